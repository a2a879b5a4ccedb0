//! `Conv` (ai.onnx 1 to 22): the input's cotangent is the transposed convolution of `dy` with the same weights.
//!
//! With stride 1 that is an ordinary convolution whose kernels are mirrored in space, with input and output channels
//! of a group exchanged, padded by `dilation (kernel - 1) - pad`; where that is negative, `dy` is cropped.
//! Source: Dumoulin and Visin 2016, "A guide to convolution arithmetic for deep learning", 4.2 to 4.5.

use offramp_graph::ir::Attribute;
use offramp_graph::shape::Extent;

use crate::gradient::GradientError;
use crate::gradient::kernel::Kernel;
use crate::gradient::step::{Ruled, Step};
use crate::gradient::windows::{Windows, known};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    if step.wants(1) || step.wants(2) {
        return Err(step.unsupported("weights that the image changes"));
    }
    let upstream = step.upstream()?;
    let group = usize::try_from(step.int("group", 1)?).map_err(|_| step.wrong("group"))?;
    let weights = known(step, step.extents(1)?)?;
    let kernel = weights.get(2..).unwrap_or_default().to_vec();
    let image = step.extents(0)?.get(2..).unwrap_or_default();
    let windows = Windows::read(step, kernel, image, step.output_extents(0)?.get(2..).unwrap_or_default())?;
    let found = match (Kernel::of(step, 1, group), windows.strides.iter().all(|stride| *stride == 1)) {
        (Some(kernel), true) => mirrored(step, &upstream, &kernel, &windows)?,
        _ => {
            let weights = step.input(1)?.to_owned();
            transposed(step, &upstream, &weights, group, &windows)?
        }
    };
    step.give(0, found);
    Ok(())
}

/// The cotangent of what `windows` of stride 1 slide over.
pub(super) fn mirrored(
    step: &mut Step<'_>,
    upstream: &str,
    kernel: &Kernel,
    windows: &Windows,
) -> Result<String, GradientError> {
    let rank = windows.rank();
    let (mut before, mut after) = (vec![0_usize; rank], vec![0_usize; rank]);
    let mut cropped = upstream.to_owned();
    for axis in 0..rank {
        let reach = windows.reach(axis) as i64 - 1;
        let (front, back) = (reach - windows.before[axis] as i64, reach - windows.after(axis));
        before[axis] = front.max(0) as usize;
        after[axis] = back.max(0) as usize;
        if front < 0 || back < 0 {
            let start = (-front).max(0) as usize;
            let end = windows.positions[axis].saturating_sub((-back).max(0) as usize);
            cropped = step.slice(&cropped, axis + 2, start, end);
        }
    }
    let kernel_shape = kernel.dims[2..].iter().map(|extent| *extent as i64).collect();
    let weights = kernel.mirrored();
    let weights = step.floats(&weights.dims, &weights.elements);
    let list = |sizes: &[usize]| Attribute::Ints(sizes.iter().map(|size| *size as i64).collect());
    let attributes = [
        ("dilations", list(&windows.dilations)),
        ("group", Attribute::Int(kernel.group as i64)),
        ("kernel_shape", Attribute::Ints(kernel_shape)),
        ("pads", list(&[before, after].concat())),
        ("strides", list(&vec![1; rank])),
    ];
    Ok(step.emit_with("Conv", &[&cropped, &weights], &attributes))
}

/// The cotangent of what `windows` slide over, by a `ConvTranspose`.
pub(super) fn transposed(
    step: &mut Step<'_>,
    upstream: &str,
    weights: &str,
    group: usize,
    windows: &Windows,
) -> Result<String, GradientError> {
    let rank = windows.rank();
    let mut after = vec![0_usize; rank];
    // What no window covers gets nothing: `output_padding` where it is less than a stride, else `Pad`.
    let (mut inside, mut rest) = (vec![0_usize; rank], vec![0_usize; rank]);
    for axis in 0..rank {
        let back = windows.after(axis);
        after[axis] = back.max(0) as usize;
        let uncovered = (-back).max(0) as usize;
        inside[axis] = uncovered.min(windows.strides[axis] - 1);
        rest[axis] = uncovered - inside[axis];
    }
    let list = |sizes: &[usize]| Attribute::Ints(sizes.iter().map(|size| *size as i64).collect());
    let attributes = [
        ("dilations", list(&windows.dilations)),
        ("group", Attribute::Int(group as i64)),
        ("kernel_shape", list(&windows.kernel)),
        ("output_padding", list(&inside)),
        ("pads", list(&[windows.before.as_slice(), &after].concat())),
        ("strides", list(&windows.strides)),
    ];
    let spread = step.emit_with("ConvTranspose", &[upstream, weights], &attributes);
    let (none, rest) = (vec![0; rank + 2], [&[0, 0], rest.as_slice()].concat());
    Ok(step.pad(&spread, &none, &rest, 0.0))
}

/// `planes`, one element per position of `windows`, with zeros at the positions that their strides skip; and the windows
/// that skip none.
pub(super) fn unstrided(
    step: &mut Step<'_>,
    planes: &str,
    mut windows: Windows,
) -> Result<(String, Windows), GradientError> {
    let rank = windows.rank();
    if windows.strides.iter().all(|stride| *stride == 1) {
        return Ok((planes.to_owned(), windows));
    }
    let extents = |spatial: Vec<usize>| -> Vec<Extent> {
        let spatial = spatial.into_iter().map(Extent::Known);
        [Extent::Unknown, Extent::Known(1)].into_iter().chain(spatial).collect()
    };
    let apart: Vec<usize> = windows.positions.iter().flat_map(|positions| [*positions, 1]).collect();
    let apart = step.reshape(planes, &extents(apart))?;
    let more = windows.strides.iter().flat_map(|stride| [0, stride - 1]);
    let more: Vec<usize> = [0, 0].into_iter().chain(more).collect();
    let padded = step.pad(&apart, &vec![0; more.len()], &more, 0.0);
    let stretched =
        windows.positions.iter().zip(&windows.strides).map(|(positions, stride)| positions * stride);
    let mut together = step.reshape(&padded, &extents(stretched.collect()))?;
    for axis in 0..rank {
        let positions = (windows.positions[axis].max(1) - 1) * windows.strides[axis] + 1;
        if windows.strides[axis] > 1 {
            together = step.slice(&together, axis + 2, 0, positions);
        }
        windows.positions[axis] = positions;
        windows.strides[axis] = 1;
    }
    Ok((together, windows))
}

/// Extents of `[batch, channels, ..]` as planes `[batch * channels, 1, ..]`.
pub(super) fn planes(extents: &[Extent], spatial: &[usize]) -> Vec<Extent> {
    let known = |extent: &Extent| match extent {
        Extent::Known(extent) => Some(*extent),
        _ => None,
    };
    let (batch, channels) = (extents.first().and_then(known), extents.get(1).and_then(known));
    let count = match (batch, channels) {
        (Some(batch), Some(channels)) => Extent::Known(batch * channels),
        _ => Extent::Unknown,
    };
    let spatial = spatial.iter().map(|extent| Extent::Known(*extent));
    [count, Extent::Known(1)].into_iter().chain(spatial).collect()
}
