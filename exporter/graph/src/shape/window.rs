//! Convolutions and pools. Source: ONNX Conv, ConvTranspose, MaxPool, AveragePool.

use offramp_models::DType;

use super::Extent;
use super::facts::TensorShape;
use super::operands::{Operands, Results};

pub(super) fn global(of: &Operands<'_>) -> Results {
    let extents = of.extents(0).map(|extents| {
        extents.iter().enumerate().map(|(axis, e)| if axis < 2 { *e } else { Extent::Known(1) }).collect()
    });
    Ok(vec![TensorShape { dtype: of.dtype(0), extents, value: None }])
}

pub(super) fn infer(of: &Operands<'_>) -> Results {
    let op = of.node.op.as_str();
    let weight = match op {
        "Conv" | "ConvTranspose" | "ConvInteger" => Some(1),
        "QLinearConv" => Some(3),
        _ => None,
    };
    let dtype = match op {
        "ConvInteger" => Some(DType::Int32),
        "QLinearConv" => of.dtype(7),
        _ => of.dtype(0),
    };
    let unknown = Ok(vec![TensorShape { dtype, ..TensorShape::default() }]);
    let Some([batch, channels, spatial @ ..]) = of.extents(0) else { return unknown };
    let group = usize::try_from(of.int("group", 1)).unwrap_or(1).max(1);
    let (out_channels, kernel): (Extent, Vec<Option<usize>>) = match weight {
        None => (*channels, of.ints("kernel_shape").unwrap_or_default().iter().map(|k| usize::try_from(*k).ok()).collect()),
        Some(weight) => {
            let Some([a, b, rest @ ..]) = of.extents(weight) else { return unknown };
            let (per_group, out) = if op == "ConvTranspose" { (*a, b.times(Extent::Known(group))) } else { (*b, *a) };
            let expected = if op == "ConvTranspose" { per_group } else { per_group.times(Extent::Known(group)) };
            if let (Extent::Known(expected), Extent::Known(found)) = (expected, *channels)
                && expected != found
            {
                return Err(of.contradiction(format!("{expected} channels"), found.to_string()));
            }
            (out, rest.iter().map(|extent| extent.known()).collect())
        }
    };
    if kernel.len() != spatial.len() {
        return Err(of.contradiction(format!("a kernel of {} extents", spatial.len()), kernel.len().to_string()));
    }
    let mut extents = vec![*batch, out_channels];
    for (axis, (extent, kernel)) in spatial.iter().zip(&kernel).enumerate() {
        let out = match (extent, kernel) {
            (Extent::Known(extent), Some(kernel)) => {
                let Some(out) = along(of, axis, spatial.len(), *extent, *kernel) else {
                    return Err(of.contradiction(format!("a window of {kernel} inside"), format!("extent {extent}")));
                };
                Extent::Known(out)
            }
            _ => Extent::Unknown,
        };
        extents.push(out);
    }
    let indices = TensorShape::new(Some(DType::Int64), extents.clone());
    let shape = TensorShape::new(dtype, extents);
    Ok(if op == "MaxPool" { vec![shape, indices] } else { vec![shape] })
}

/// Extent after the window has moved along one axis.
fn along(of: &Operands<'_>, axis: usize, rank: usize, extent: usize, kernel: usize) -> Option<usize> {
    let at = |name: &str, position: usize, default: i64| {
        of.ints(name).and_then(|values| values.get(position).copied()).unwrap_or(default)
    };
    let (extent, kernel) = (i64::try_from(extent).ok()?, i64::try_from(kernel).ok()?);
    let stride = at("strides", axis, 1);
    if stride < 1 || kernel < 1 {
        return None;
    }
    let window = at("dilations", axis, 1).checked_mul(kernel - 1)?.checked_add(1)?;
    let mut padding = at("pads", axis, 0).checked_add(at("pads", axis + rank, 0))?;
    let auto = of.text("auto_pad").unwrap_or(b"NOTSET");
    if of.node.op == "ConvTranspose" {
        if let Some(shape) = of.ints("output_shape") {
            let spatial = shape.get(shape.len().checked_sub(rank)? + axis)?;
            return usize::try_from(*spatial).ok();
        }
        if auto.starts_with(b"SAME") {
            return usize::try_from(extent.checked_mul(stride)?).ok();
        }
        let out = stride.checked_mul(extent - 1)?.checked_add(window)?.checked_add(at("output_padding", axis, 0))?;
        return usize::try_from(out.checked_sub(padding)?).ok();
    }
    if auto.starts_with(b"SAME") {
        return usize::try_from(extent.checked_add(stride - 1)? / stride).ok();
    }
    if auto == b"VALID" {
        padding = 0;
    }
    let room = extent.checked_add(padding)?.checked_sub(window)?;
    if room < 0 {
        return None;
    }
    let mut out = room / stride + 1;
    if of.int("ceil_mode", 0) != 0 && room % stride != 0 {
        // A window that would start in the padding behind the end does not count.
        let start = out.checked_mul(stride)?;
        if start < extent.checked_add(at("pads", axis, 0))? {
            out += 1;
        }
    }
    usize::try_from(out).ok()
}
