//! Normalisations that have more than one output.

use crate::shape::call::{Call, Ruled, axis};
use crate::shape::extent::FLOAT32;
use crate::shape::{Contradiction, Extent, Fact};

/// `BatchNormalization`: the running statistics follow in training mode.
pub(super) fn batch(call: &Call<'_>) -> Ruled {
    let image = call.need(0)?;
    let mut channels = match image.extents.as_deref() {
        Some([_, channels, ..]) => *channels,
        Some([_]) => Extent::Known(1),
        Some([]) => return Err(Contradiction::Rank { input: 0, expected: 1, found: 0 }),
        None => Extent::Unknown,
    };
    for at in 1..5 {
        call.need(at)?;
        if let Some([length]) = call.extents_of_rank(at, 1)? {
            channels = length.agreed(channels, "channels of the image, given the statistics")?;
        }
    }
    let statistics = |at: usize| Fact::new(call.dtype(at), vec![channels]);
    Ok(vec![image.like(), statistics(3), statistics(4), statistics(3), statistics(4)])
}

/// `LayerNormalization`: output, mean, inverse deviation.
pub(super) fn layer(call: &Call<'_>) -> Ruled {
    let input = call.need(0)?;
    let statistics = match &input.extents {
        Some(extents) => {
            let first = axis(call.int_or("axis", -1)?, extents.len())?;
            let one = |(at, extent): (usize, &Extent)| if at < first { *extent } else { Extent::Known(1) };
            Some(extents.iter().enumerate().map(one).collect::<Vec<_>>())
        }
        None => None,
    };
    let dtype = call.element_type("stash_type", Some(FLOAT32))?;
    Ok(vec![input.like(), Fact::new(dtype, statistics.clone()), Fact::new(dtype, statistics)])
}
