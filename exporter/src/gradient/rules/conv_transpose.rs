//! `ConvTranspose` (ai.onnx 1 to 22): it is the cotangent of a convolution, so its own is that convolution of `dy`, with the
//! same weights, strides, dilations, groups and padding.
//!
//! Source: Dumoulin and Visin 2016, "A guide to convolution arithmetic for deep learning", 4.1.

use offramp_graph::ir::Attribute;

use crate::gradient::step::{Ruled, Step};
use crate::gradient::windows::{Windows, known, sizes};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    if step.wants(1) || step.wants(2) {
        return Err(step.unsupported("weights that the image changes"));
    }
    let upstream = step.upstream()?;
    let weights = known(step, step.extents(1)?)?;
    let kernel = weights.get(2..).unwrap_or_default().to_vec();
    let (image, positions) = (step.output_extents(0)?, step.extents(0)?);
    let (image, positions) = (image.get(2..).unwrap_or_default(), positions.get(2..).unwrap_or_default());
    let mut windows = Windows::read(step, kernel, image, positions)?;
    // The windows cover the larger side, so that the padding is what they reach beyond it.
    let rank = windows.rank();
    let inside = sizes(step, "output_padding", rank)?.unwrap_or_else(|| vec![0; rank]);
    let stated = step.ints("output_shape")?.is_some();
    for (axis, inside) in inside.iter().enumerate() {
        let total = (windows.covered(axis) + inside).saturating_sub(windows.image[axis]);
        match step.text("auto_pad")? {
            Some(b"SAME_UPPER") => windows.before[axis] = total / 2,
            Some(b"SAME_LOWER") => windows.before[axis] = total - total / 2,
            _ if stated => windows.before[axis] = total - total / 2,
            _ => {}
        }
    }
    let mut upstream = upstream;
    let mut after = vec![0; rank];
    for (axis, after) in after.iter_mut().enumerate() {
        let back = windows.after(axis);
        *after = back.max(0) as usize;
        // Output padding that no window reaches.
        if back < 0 {
            let end = windows.covered(axis).saturating_sub(windows.before[axis]);
            upstream = step.slice(&upstream, axis + 2, 0, end);
        }
    }
    let list = |sizes: &[usize]| Attribute::Ints(sizes.iter().map(|size| *size as i64).collect());
    let attributes = [
        ("dilations", list(&windows.dilations)),
        ("group", Attribute::Int(step.int("group", 1)?)),
        ("kernel_shape", list(&windows.kernel)),
        ("pads", list(&[windows.before.as_slice(), &after].concat())),
        ("strides", list(&windows.strides)),
    ];
    let found = step.emit_with("Conv", &[&upstream, step.input(1)?], &attributes);
    step.give(0, found);
    Ok(())
}
