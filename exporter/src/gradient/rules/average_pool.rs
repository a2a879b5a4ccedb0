//! `AveragePool` (ai.onnx 1 to 22): every element gets `dy / count` of each window that covers it, where `count` is the
//! window's elements, without the padding unless `count_include_pad` is set.
//!
//! Windows that lie side by side spread by stretching; others by a convolution of every plane with ones,
//! zeros put between the positions of windows that skip some.
//! Source: linearity.

use crate::gradient::GradientError;
use crate::gradient::kernel::Kernel;
use crate::gradient::step::{Ruled, Step};
use crate::gradient::tiles;
use crate::gradient::windows::{Windows, sizes};

use super::conv;

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let (extents, pooled) = (step.extents(0)?, step.output_extents(0)?);
    let spatial = extents.get(2..).unwrap_or_default();
    let kernel = sizes(step, "kernel_shape", spatial.len())?.ok_or_else(|| step.wrong("kernel_shape"))?;
    let windows = Windows::read(step, kernel, spatial, pooled.get(2..).unwrap_or_default())?;
    let shares = shares(step, &windows)?;
    let upstream = step.upstream()?;
    let dims = [&[1, 1], windows.positions.as_slice()].concat();
    let first = shares.first().copied().unwrap_or(1.0);
    let uniform = shares.iter().all(|share| *share == first);
    if windows.tile() {
        let upstream = match uniform {
            true => upstream,
            false => {
                let shares = step.floats(&dims, &shares);
                step.emit("Mul", &[&upstream, &shares])
            }
        };
        let spread = tiles::spread(step, &upstream, &windows, if uniform { first } else { 1.0 })?;
        step.give(0, spread);
        return Ok(());
    }
    let weight = if uniform { first } else { 1.0 };
    let shared = match uniform {
        true => upstream,
        false => {
            let shares = step.floats(&dims, &shares);
            step.emit("Mul", &[&upstream, &shares])
        }
    };
    let planes = step.reshape(&shared, &conv::planes(extents, &windows.positions))?;
    let kernel = Kernel {
        group: 1,
        dims: [&[1, 1], windows.kernel.as_slice()].concat(),
        elements: vec![weight; windows.kernel.iter().product()],
    };
    let (planes, windows) = conv::unstrided(step, &planes, windows)?;
    let spread = conv::mirrored(step, &planes, &kernel, &windows)?;
    let spread = step.reshape(&spread, extents)?;
    step.give(0, spread);
    Ok(())
}

/// `1 / count` per position of the window.
fn shares(step: &Step<'_>, windows: &Windows) -> Result<Vec<f32>, GradientError> {
    let padding = step.int("count_include_pad", 0)? != 0;
    let pads = sizes(step, "pads", windows.rank() * 2)?.unwrap_or_else(|| vec![0; windows.rank() * 2]);
    let mut shares = vec![1.0_f64];
    for axis in 0..windows.rank() {
        let (front, extent) = (windows.before[axis] as i64, windows.image[axis] as i64);
        // In `auto_pad` the padding is as long as the windows reach.
        let back = match step.text("auto_pad")? {
            None | Some(b"NOTSET") => pads[windows.rank() + axis] as i64,
            Some(_) => windows.after(axis).max(0),
        };
        let (low, high) = if padding { (-front, extent + back) } else { (0, extent) };
        let count = |position: usize| {
            let start = (position * windows.strides[axis]) as i64 - front;
            let taps = (0..windows.kernel[axis]).map(|tap| start + (tap * windows.dilations[axis]) as i64);
            taps.filter(|at| (low..high).contains(at)).count().max(1) as f64
        };
        let along: Vec<f64> = (0..windows.positions[axis]).map(count).collect();
        shares = shares.iter().flat_map(|share| along.iter().map(move |count| share / count)).collect();
    }
    Ok(shares.into_iter().map(|share| share as f32).collect())
}
