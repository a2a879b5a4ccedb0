//! Resizing and sampling of images.

use crate::shape::call::{Call, Ruled, Setting, axis};
use crate::shape::{Contradiction, Extent, Fact};

/// `Resize` and `Upsample`: by scales or by sizes, of all axes or of some.
pub(super) fn resize(call: &Call<'_>) -> Ruled {
    let input = call.need(0)?;
    let Some(extents) = &input.extents else { return Ok(vec![Fact::new(input.dtype, None)]) };
    let rank = extents.len();
    let unknown = || Ok(vec![Fact::new(input.dtype, vec![Extent::Unknown; rank])]);
    let early = call.node.op == "Upsample" || call.opset < 11;
    let axes: Vec<usize> = match call.int_list("axes")? {
        Some(axes) => axes.iter().map(|one| axis(*one, rank)).collect::<Result<_, _>>()?,
        None => (0..rank).collect(),
    };
    let mut resized = extents.clone();
    if !early && call.input(3).is_some() {
        let stretched = call.text("keep_aspect_ratio_policy")?.is_none_or(|policy| policy == b"stretch");
        let Some(sizes) = call.elems(3).filter(|_| stretched) else { return unknown() };
        if sizes.len() != axes.len() {
            return Err(Contradiction::Value { input: 3 });
        }
        for (axis, size) in axes.iter().zip(sizes) {
            if let Some(extent) = resized.get_mut(*axis) {
                *extent = size.extent().ok_or(Contradiction::Value { input: 3 })?;
            }
        }
        return Ok(vec![Fact::new(input.dtype, resized)]);
    }
    let at = if early { 1 } else { 2 };
    let scales: Option<Vec<f64>> = match call.float_list("scales")? {
        Some(scales) => Some(scales.iter().map(|scale| f64::from(*scale)).collect()),
        None => call.elems(at).and_then(|elems| elems.iter().map(|elem| elem.real()).collect()),
    };
    let Some(scales) = scales else { return unknown() };
    if scales.len() != axes.len() {
        return Err(Contradiction::Value { input: at });
    }
    for (axis, scale) in axes.iter().zip(scales) {
        if let Some(extent) = resized.get_mut(*axis) {
            *extent = scaled(*extent, scale as f32).ok_or(Contradiction::Value { input: at })?;
        }
    }
    Ok(vec![Fact::new(input.dtype, resized)])
}

/// `floor(extent * scale)` in float32, as engines compute it.
fn scaled(extent: Extent, scale: f32) -> Option<Extent> {
    if !scale.is_finite() || scale <= 0.0 {
        return None;
    }
    Some(match extent {
        extent if scale == 1.0 => extent,
        Extent::Known(extent) => {
            let product = (extent as f32 * scale).floor();
            if product > u32::MAX as f32 {
                return None;
            }
            Extent::Known(product as usize)
        }
        Extent::Batch(factor) if scale.fract() == 0.0 && scale < u32::MAX as f32 => {
            Extent::Batch(factor.checked_mul(scale as usize)?)
        }
        _ => Extent::Unknown,
    })
}

/// `GridSample`: image `[N, C, ..]`, grid `[N, .., axes]`.
pub(super) fn grid_sample(call: &Call<'_>) -> Ruled {
    call.need(1)?;
    let extents = match (call.need(0)?.extents.as_deref(), call.extents(1)) {
        (Some([batch, channels, ..]), Some([_, spatial @ .., _])) => {
            Some([&[*batch, *channels], spatial].concat())
        }
        (Some(image), None) => Some(vec![Extent::Unknown; image.len()]),
        _ => None,
    };
    Ok(vec![Fact::new(call.dtype(0), extents)])
}

/// `AffineGrid`: `size` is `[N, C, H, W]` or `[N, C, D, H, W]`.
pub(super) fn affine_grid(call: &Call<'_>) -> Ruled {
    call.need(0)?;
    let extents = match call.setting("size", 1)? {
        Setting::Absent => return Err(Contradiction::MissingInput { input: 1 }),
        Setting::Given(_) | Setting::Unknown => call.elems(1).and_then(|elems| {
            let extents: Vec<Extent> = elems.iter().map(|elem| elem.extent()).collect::<Option<_>>()?;
            let [batch, _, spatial @ ..] = extents.as_slice() else { return None };
            Some([&[*batch], spatial, &[Extent::Known(spatial.len())]].concat())
        }),
    };
    Ok(vec![Fact::new(call.dtype(0), extents)])
}

#[cfg(test)]
mod tests {
    use crate::ir::Attribute;
    use crate::shape::sample::{Given, floats, ints, list, reals, told};

    #[test]
    fn scales_and_sizes_are_both_understood() {
        let scales = || reals(&[1.0, 1.0, 2.0, 1.5]);
        assert_eq!(told("Upsample", 9, &[floats("b 3 7 7"), scales()], &[]), "float32 [batch, 3, 14, 10]");
        assert_eq!(told("Resize", 10, &[floats("b 3 7 7"), scales()], &[]), "float32 [batch, 3, 14, 10]");
        let given = [floats("b 3 7 7"), Given::Absent, scales()];
        assert_eq!(told("Resize", 13, &given, &[]), "float32 [batch, 3, 14, 10]");
        let sizes = [floats("b 3 7 7"), Given::Absent, Given::Absent, ints(&[9, 5])];
        assert_eq!(told("Resize", 18, &sizes, &[("axes", list(&[2, 3]))]), "float32 [batch, 3, 9, 5]");
        let with = [("scales", Attribute::Floats(vec![1.0, 1.0, 2.0, 2.0]))];
        assert_eq!(told("Upsample", 7, &[floats("b 3 7 7")], &with), "float32 [batch, 3, 14, 14]");
    }

    #[test]
    fn scales_must_be_positive_numbers() {
        let given = [floats("b 3 7 7"), Given::Absent, reals(&[1.0, 1.0, f32::NAN, 0.0])];
        assert_eq!(told("Resize", 13, &given, &[]), "input 2 has a value that the operator does not allow");
    }

    #[test]
    fn a_grid_says_where_to_sample() {
        assert_eq!(
            told("GridSample", 16, &[floats("b 3 7 7"), floats("b 4 5 2")], &[]),
            "float32 [batch, 3, 4, 5]"
        );
    }
}
