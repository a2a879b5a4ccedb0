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
