//! Windows that lie side by side: reshaped apart and put together again.

use offramp_graph::shape::Extent;

use super::GradientError;
use super::step::Step;
use super::windows::Windows;

/// `tensor`, one element per window, given to every element of its window times `weight`; of the image's extents.
pub(super) fn spread(
    step: &mut Step<'_>,
    tensor: &str,
    windows: &Windows,
    weight: f32,
) -> Result<String, GradientError> {
    if !moves(windows) {
        let spread = step.stretch(tensor, &[&[1, 1], windows.kernel.as_slice()].concat(), weight);
        return fit(step, &spread, windows);
    }
    let lead = lead(step)?;
    let apart: Vec<usize> = windows.positions.iter().flat_map(|positions| [*positions, 1]).collect();
    let apart = step.reshape(tensor, &with(lead, &apart))?;
    let within: Vec<usize> = windows.kernel.iter().flat_map(|extent| [1, *extent]).collect();
    let spread = step.stretch(&apart, &[&[1, 1], within.as_slice()].concat(), weight);
    let together = step.reshape(&spread, &with(lead, &covered(windows)))?;
    fit(step, &together, windows)
}

/// The image as `[batch, channels, positions.., elements of a window]`.
pub(super) fn apart(
    step: &mut Step<'_>,
    image: &str,
    windows: &Windows,
    padding: f32,
) -> Result<String, GradientError> {
    let (lead, rank) = (lead(step)?, windows.rank());
    let mut image = image.to_owned();
    let mut after = vec![0; rank + 2];
    for axis in 0..rank {
        let back = windows.after(axis);
        after[axis + 2] = back.max(0) as usize;
        if back < 0 {
            let end = windows.covered(axis).saturating_sub(windows.before[axis]);
            image = step.slice(&image, axis + 2, 0, end);
        }
    }
    let before = [&[0, 0], windows.before.as_slice()].concat();
    let image = step.pad(&image, &before, &after, padding);
    let split: Vec<usize> = windows
        .positions
        .iter()
        .zip(&windows.kernel)
        .flat_map(|(positions, kernel)| [*positions, *kernel])
        .collect();
    let image = step.reshape(&image, &with(lead, &split))?;
    let inner = (0..rank).map(|axis| 2 * axis + 2).chain((0..rank).map(|axis| 2 * axis + 3));
    let order: Vec<usize> = [0, 1].into_iter().chain(inner).collect();
    let image = if moves(windows) { step.transpose(&image, &order) } else { image };
    let window = windows.kernel.iter().product();
    step.reshape(&image, &with(lead, &[windows.positions.as_slice(), &[window]].concat()))
}

/// The inverse of [`apart`]; elements that no window covers get nothing.
pub(super) fn together(
    step: &mut Step<'_>,
    tensor: &str,
    windows: &Windows,
) -> Result<String, GradientError> {
    let (lead, rank) = (lead(step)?, windows.rank());
    let split = [windows.positions.as_slice(), &windows.kernel].concat();
    let tensor = step.reshape(tensor, &with(lead, &split))?;
    let inner = (0..rank).flat_map(|axis| [axis + 2, axis + 2 + rank]);
    let order: Vec<usize> = [0, 1].into_iter().chain(inner).collect();
    let tensor = if moves(windows) { step.transpose(&tensor, &order) } else { tensor };
    let tensor = step.reshape(&tensor, &with(lead, &covered(windows)))?;
    fit(step, &tensor, windows)
}

/// Whether elements of a window do not lie together in the image.
fn moves(windows: &Windows) -> bool {
    windows.positions.iter().any(|positions| *positions > 1)
}

/// Padding taken off, what lies after the last window put on.
fn fit(step: &mut Step<'_>, tensor: &str, windows: &Windows) -> Result<String, GradientError> {
    let rank = windows.rank();
    let mut tensor = tensor.to_owned();
    let mut after = vec![0; rank + 2];
    for axis in 0..rank {
        let (front, back) = (windows.before[axis], windows.after(axis));
        after[axis + 2] = (-back).max(0) as usize;
        if front > 0 || back > 0 {
            let end = windows.covered(axis).saturating_sub(back.max(0) as usize);
            tensor = step.slice(&tensor, axis + 2, front, end);
        }
    }
    Ok(step.pad(&tensor, &vec![0; rank + 2], &after, 0.0))
}

fn covered(windows: &Windows) -> Vec<usize> {
    (0..windows.rank()).map(|axis| windows.covered(axis)).collect()
}

/// Batch and channels of the image.
fn lead(step: &Step<'_>) -> Result<[Extent; 2], GradientError> {
    match step.extents(0)? {
        [batch, channels, ..] => Ok([*batch, *channels]),
        _ => Err(step.unsupported("an image without channels")),
    }
}

fn with(lead: [Extent; 2], rest: &[usize]) -> Vec<Extent> {
    lead.into_iter().chain(rest.iter().map(|extent| Extent::Known(*extent))).collect()
}
