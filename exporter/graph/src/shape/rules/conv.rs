//! Convolutions.

use super::window::{Padding, Windows};
use crate::ir::ElementType;
use crate::shape::call::{Call, Ruled};
use crate::shape::extent::INT32;
use crate::shape::{Contradiction, Extent, Fact};

/// `Conv`: image, weights `[M, C/group, k..]`, bias `[M]`.
pub(super) fn conv(call: &Call<'_>) -> Ruled {
    forward(call, 1, Some(2), call.dtype(0))
}

pub(super) fn integer(call: &Call<'_>) -> Ruled {
    forward(call, 1, None, Some(INT32))
}

/// `QLinearConv`: the output has the type of its zero point.
pub(super) fn quantised(call: &Call<'_>) -> Ruled {
    forward(call, 3, Some(8), call.dtype(7))
}

fn forward(call: &Call<'_>, weights: usize, bias: Option<usize>, dtype: Option<ElementType>) -> Ruled {
    call.need(0)?;
    call.need(weights)?;
    let rank = call.extents(0).or(call.extents(weights)).map(<[_]>::len);
    let Some(rank) = rank else { return Ok(vec![Fact::new(dtype, None)]) };
    let image = image(call, rank)?;
    let Some((channels_out, channels_in, kernel)) = filters(call, weights, rank)? else {
        let mut extents = vec![Extent::Unknown; rank];
        extents.iter_mut().zip(&image).take(1).for_each(|(to, from)| *to = *from);
        return Ok(vec![Fact::new(dtype, extents)]);
    };
    let group = group(call)?;
    let expected = channels_in.times(Extent::Known(group))?;
    let channels = image.get(1).copied().unwrap_or(Extent::Unknown);
    expected.agreed(channels, "channels of the image, given the weights")?;
    divides(group, channels_out)?;
    if let Some(bias) = bias {
        check_bias(call, bias, channels_out)?;
    }
    let mut extents = vec![image.first().copied().unwrap_or(Extent::Unknown), channels_out];
    let spatial = image.iter().skip(2).copied();
    match kernel {
        Some(kernel) => {
            let windows = Windows::read(call, kernel)?;
            for (axis, extent) in spatial.enumerate() {
                extents.push(windows.positions(axis, extent)?);
            }
        }
        None => extents.resize(rank, Extent::Unknown),
    }
    Ok(vec![Fact::new(dtype, extents)])
}

fn image(call: &Call<'_>, rank: usize) -> Result<Vec<Extent>, Contradiction> {
    if rank < 3 {
        return Err(Contradiction::Rank { input: 0, expected: 3, found: rank });
    }
    Ok(call.extents_of_rank(0, rank)?.map_or_else(|| vec![Extent::Unknown; rank], <[_]>::to_vec))
}

type Filters = (Extent, Extent, Option<Vec<usize>>);

/// The first two extents of the weights, and the kernel where it is known.
fn filters(call: &Call<'_>, weights: usize, rank: usize) -> Result<Option<Filters>, Contradiction> {
    let Some(extents) = call.extents_of_rank(weights, rank)? else { return Ok(None) };
    let known = |extent: &Extent| match extent {
        Extent::Known(extent) => Some(*extent),
        _ => None,
    };
    let [first, second, spatial @ ..] = extents else { return Ok(None) };
    let kernel: Option<Vec<usize>> = spatial.iter().map(known).collect();
    let stated = call.sizes("kernel_shape", spatial.len())?;
    if let (Some(kernel), Some(stated)) = (&kernel, &stated) {
        for (expected, found) in stated.iter().zip(kernel) {
            let (expected, found) = (Extent::Known(*expected), Extent::Known(*found));
            expected.agreed(found, "kernel of the weights")?;
        }
    }
    Ok(Some((*first, *second, kernel.or(stated))))
}

fn group(call: &Call<'_>) -> Result<usize, Contradiction> {
    match usize::try_from(call.int_or("group", 1)?) {
        Ok(group) if group > 0 => Ok(group),
        _ => Err(Contradiction::Attribute { name: "group" }),
    }
}

fn divides(group: usize, channels: Extent) -> Result<(), Contradiction> {
    match channels {
        Extent::Known(channels) if channels % group != 0 => Err(Contradiction::Attribute { name: "group" }),
        _ => Ok(()),
    }
}

fn check_bias(call: &Call<'_>, at: usize, channels: Extent) -> Result<(), Contradiction> {
    if let Some([bias]) = call.extents_of_rank(at, 1)? {
        channels.agreed(*bias, "length of the bias")?;
    }
    Ok(())
}

/// `ConvTranspose`: image, weights `[C, M/group, k..]`, bias `[M]`. Source: ConvTranspose-11.
pub(super) fn transposed(call: &Call<'_>) -> Ruled {
    call.need(0)?;
    call.need(1)?;
    let rank = call.extents(0).or(call.extents(1)).map(<[_]>::len);
    let Some(rank) = rank else { return Ok(vec![Fact::new(call.dtype(0), None)]) };
    let image = image(call, rank)?;
    let Some((channels_in, filters_out, kernel)) = filters(call, 1, rank)? else {
        return Ok(vec![Fact::new(call.dtype(0), vec![Extent::Unknown; rank])]);
    };
    let group = group(call)?;
    let channels = image.get(1).copied().unwrap_or(Extent::Unknown);
    channels_in.agreed(channels, "channels of the image, given the weights")?;
    divides(group, channels_in)?;
    let channels_out = filters_out.times(Extent::Known(group))?;
    check_bias(call, 2, channels_out)?;
    let mut extents = vec![image.first().copied().unwrap_or(Extent::Unknown), channels_out];
    let spatial = rank - 2;
    let (stated, extra) = (call.sizes("output_shape", spatial)?, call.sizes("output_padding", spatial)?);
    let windows = kernel.map(|kernel| Windows::read(call, kernel)).transpose()?;
    for (axis, extent) in image.iter().skip(2).enumerate() {
        let stated = stated.as_ref().and_then(|stated| stated.get(axis).copied());
        let extra = extra.as_ref().and_then(|extra| extra.get(axis).copied()).unwrap_or(0);
        extents.push(match (stated, &windows, extent) {
            (Some(stated), ..) => Extent::Known(stated),
            (None, Some(windows), Extent::Known(extent)) => spread(windows, axis, *extent, extra)?,
            _ => Extent::Unknown,
        });
    }
    Ok(vec![Fact::new(call.dtype(0), extents)])
}

fn spread(windows: &Windows, axis: usize, extent: usize, extra: usize) -> Result<Extent, Contradiction> {
    let (stride, window, before, after) = windows.along(axis)?;
    if windows.padding() == Padding::Same {
        return extent.checked_mul(stride).map(Extent::Known).ok_or(Contradiction::Overflow);
    }
    let full = extent.saturating_sub(1).checked_mul(stride).and_then(|reach| reach.checked_add(window));
    let full = full.and_then(|full| full.checked_add(extra)).ok_or(Contradiction::Overflow)?;
    let pads = before.checked_add(after).ok_or(Contradiction::Overflow)?;
    let left = full.checked_sub(pads).ok_or(Contradiction::Window { window: pads, extent: full })?;
    Ok(Extent::Known(left))
}

#[cfg(test)]
mod tests {
    use crate::ir::Attribute;
    use crate::shape::sample::{Given, floats, list, text, told, typed};
    use offramp_models::DType;

    fn conv(image: &str, weights: &str, with: &[(&str, Attribute)]) -> String {
        told("Conv", 17, &[floats(image), floats(weights)], with)
    }

    #[test]
    fn strides_dilations_and_pads_set_the_extents() {
        assert_eq!(
            conv("b 3 32 32", "16 3 3 3", &[("pads", list(&[1, 1, 1, 1]))]),
            "float32 [batch, 16, 32, 32]"
        );
        let strided = [("strides", list(&[2, 2])), ("pads", list(&[3, 3, 3, 3]))];
        assert_eq!(conv("b 3 224 224", "64 3 7 7", &strided), "float32 [batch, 64, 112, 112]");
        assert_eq!(conv("b 3 9 9", "4 3 3 3", &[("dilations", list(&[2, 3]))]), "float32 [batch, 4, 5, 3]");
        assert_eq!(conv("b 3 10", "4 3 3", &[]), "float32 [batch, 4, 8]");
    }

    #[test]
    fn automatic_padding_keeps_or_shrinks() {
        let same = [("auto_pad", text("SAME_UPPER")), ("strides", list(&[2, 2]))];
        assert_eq!(conv("b 3 7 8", "4 3 3 3", &same), "float32 [batch, 4, 4, 4]");
        assert_eq!(conv("b 3 7 8", "4 3 3 3", &[("auto_pad", text("VALID"))]), "float32 [batch, 4, 5, 6]");
    }

    #[test]
    fn groups_divide_the_channels() {
        assert_eq!(conv("b 8 5 5", "8 1 3 3", &[("group", Attribute::Int(8))]), "float32 [batch, 8, 3, 3]");
        assert_eq!(
            conv("b 3 5 5", "8 1 3 3", &[("group", Attribute::Int(8))]),
            "channels of the image, given the weights: expected 8, got 3"
        );
        assert_eq!(
            conv("b 4 5 5", "7 2 3 3", &[("group", Attribute::Int(2))]),
            "attribute group has a type, length or value that the operator does not allow"
        );
    }

    #[test]
    fn a_window_larger_than_the_image_is_refused() {
        assert_eq!(
            conv("b 3 2 2", "4 3 3 3", &[]),
            "a window of 3 does not fit an extent of 2 (padding included)"
        );
        let zero = [("strides", list(&[0, 1]))];
        assert!(conv("b 3 5 5", "4 3 3 3", &zero).starts_with("attribute strides"));
    }

    #[test]
    fn a_bias_is_as_long_as_there_are_filters() {
        let given = [floats("b 3 5 5"), floats("4 3 1 1"), floats("5")];
        assert_eq!(told("Conv", 17, &given, &[]), "length of the bias: expected 4, got 5");
    }

    #[test]
    fn transposed_convolutions_spread() {
        let up = |with: &[(&str, Attribute)]| {
            told("ConvTranspose", 17, &[floats("b 8 7 7"), floats("8 4 3 3")], with)
        };
        assert_eq!(up(&[]), "float32 [batch, 4, 9, 9]");
        let doubled =
            [("strides", list(&[2, 2])), ("pads", list(&[1, 1, 1, 1])), ("output_padding", list(&[1, 1]))];
        assert_eq!(up(&doubled), "float32 [batch, 4, 14, 14]");
        assert_eq!(up(&[("group", Attribute::Int(2))]), "float32 [batch, 8, 9, 9]");
        let same = [("auto_pad", text("SAME_UPPER")), ("strides", list(&[3, 3]))];
        assert_eq!(up(&same), "float32 [batch, 4, 21, 21]");
        assert_eq!(up(&[("output_shape", list(&[10, 11]))]), "float32 [batch, 4, 10, 11]");
    }

    #[test]
    fn quantised_convolutions_have_the_type_of_their_zero_point() {
        let (image, weights) = (typed(DType::Uint8, "b 3 5 5"), typed(DType::Int8, "4 3 3 3"));
        assert_eq!(told("ConvInteger", 17, &[image.clone(), weights.clone()], &[]), "int32 [batch, 4, 3, 3]");
        let (scale, zero) = (floats(""), typed(DType::Uint8, ""));
        let given = [image, scale.clone(), zero.clone(), weights, scale.clone(), Given::Absent, scale, zero];
        assert_eq!(told("QLinearConv", 17, &given, &[]), "uint8 [batch, 4, 3, 3]");
    }
}
