//! Pools.

use super::window::Windows;
use crate::shape::call::{Call, Ruled};
use crate::shape::extent::INT64;
use crate::shape::{Contradiction, Extent, Fact};

pub(super) fn pool(call: &Call<'_>) -> Ruled {
    let Some(extents) = call.need(0)?.extents.as_deref() else {
        return Ok(vec![Fact::new(call.dtype(0), None), Fact::new(INT64, None)]);
    };
    let [batch, channels, spatial @ ..] = extents else {
        return Err(Contradiction::Rank { input: 0, expected: 3, found: extents.len() });
    };
    let kernel = call.sizes("kernel_shape", spatial.len())?;
    let kernel = kernel.ok_or(Contradiction::MissingAttribute { name: "kernel_shape" })?;
    let windows = Windows::read(call, kernel)?;
    let mut pooled = vec![*batch, *channels];
    for (axis, extent) in spatial.iter().enumerate() {
        pooled.push(windows.positions(axis, *extent)?);
    }
    Ok(vec![Fact::new(call.dtype(0), pooled.clone()), Fact::new(INT64, pooled)])
}

pub(super) fn global(call: &Call<'_>) -> Ruled {
    let pooled = call.need(0)?.extents.as_ref().map(|extents| {
        let one = |(axis, extent): (usize, &Extent)| if axis < 2 { *extent } else { Extent::Known(1) };
        extents.iter().enumerate().map(one).collect()
    });
    Ok(vec![Fact::new(call.dtype(0), pooled)])
}
