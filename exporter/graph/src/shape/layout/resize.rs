//! Pad, Resize, Tile and the moves between depth and space.

use super::super::Extent;
use super::super::facts::TensorShape;
use super::super::operands::{Operands, axis};

pub(super) fn pad(of: &Operands<'_>) -> Option<TensorShape> {
    let extents = of.extents(0)?;
    let pads = of.ints("pads").map(<[i64]>::to_vec).or_else(|| of.numbers(1))?;
    let axes = if of.has(3) {
        of.numbers(3)?.iter().map(|a| axis(*a, extents.len())).collect::<Option<Vec<_>>>()?
    } else {
        (0..extents.len()).collect()
    };
    let mut out = extents.to_vec();
    for (at, along) in axes.iter().enumerate() {
        let by = pads.get(at)?.checked_add(*pads.get(at + axes.len())?)?;
        if by == 0 {
            continue;
        }
        out[*along] = match out[*along] {
            Extent::Known(extent) => usize::try_from(i64::try_from(extent).ok()?.checked_add(by)?)
                .map_or(Extent::Unknown, Extent::Known),
            _ => Extent::Unknown,
        };
    }
    Some(TensorShape::new(of.dtype(0), out))
}

pub(super) fn resize(of: &Operands<'_>) -> Option<TensorShape> {
    let extents = of.extents(0)?;
    let (scales, sizes) = if of.opset >= 11 && of.node.op == "Resize" { (2, 3) } else { (1, usize::MAX) };
    let axes = match of.ints("axes") {
        Some(axes) => axes.iter().map(|a| axis(*a, extents.len())).collect::<Option<Vec<_>>>()?,
        None => (0..extents.len()).collect(),
    };
    let mut out = extents.to_vec();
    if of.has(sizes) {
        let sizes = of.value(sizes)?;
        for (along, size) in axes.iter().zip(sizes) {
            out[*along] = size.extent();
        }
    } else {
        let scales = of.float_constant(scales)?;
        for (along, scale) in axes.iter().zip(scales) {
            out[*along] = match out[*along] {
                extent if scale == 1.0 => extent,
                Extent::Known(extent) => Extent::Known((extent as f64 * f64::from(scale)).floor() as usize),
                _ => Extent::Unknown,
            };
        }
    }
    Some(TensorShape::new(of.dtype(0), out))
}

pub(super) fn tile(of: &Operands<'_>) -> Option<TensorShape> {
    let repeats = of.value(1)?;
    let extents = of.extents(0)?.iter().zip(repeats).map(|(extent, times)| extent.times(times.extent())).collect();
    Some(TensorShape::new(of.dtype(0), extents))
}

pub(super) fn blocks(of: &Operands<'_>) -> Option<TensorShape> {
    let [batch, channels, height, width] = of.extents(0)? else { return None };
    let block = Extent::Known(usize::try_from(of.int("blocksize", 0)).ok().filter(|block| *block > 0)?);
    let area = block.times(block);
    let extents = if of.node.op == "DepthToSpace" {
        vec![*batch, channels.over(area), height.times(block), width.times(block)]
    } else {
        vec![*batch, channels.times(area), height.over(block), width.over(block)]
    };
    Some(TensorShape::new(of.dtype(0), extents))
}
