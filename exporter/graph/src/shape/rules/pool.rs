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

#[cfg(test)]
mod tests {
    use crate::ir::Attribute;
    use crate::shape::sample::{floats, list, told, told_all};

    fn pooled(side: &str, kernel: i64, stride: i64, pad: i64, ceil: i64) -> String {
        let with = [
            ("kernel_shape", list(&[kernel])),
            ("strides", list(&[stride])),
            ("pads", list(&[pad, pad])),
            ("ceil_mode", Attribute::Int(ceil)),
        ];
        told("MaxPool", 17, &[floats(&format!("b 4 {side}"))], &with)
    }

    #[test]
    fn ceil_mode_adds_a_window_that_starts_inside_the_image() {
        assert_eq!(pooled("6", 3, 2, 0, 0), "float32 [batch, 4, 2]");
        assert_eq!(pooled("6", 3, 2, 0, 1), "float32 [batch, 4, 3]");
        // The third window would start in the padding.
        assert_eq!(pooled("4", 1, 3, 1, 1), "float32 [batch, 4, 2]");
        assert_eq!(pooled("5", 5, 5, 0, 1), "float32 [batch, 4, 1]");
    }

    #[test]
    fn max_pools_give_positions_too() {
        let with = [("kernel_shape", list(&[2, 2])), ("strides", list(&[2, 2]))];
        let told = told_all("MaxPool", 17, &[floats("b 4 8 8")], &with, 2);
        assert_eq!(told, ["float32 [batch, 4, 4, 4]", "int64 [batch, 4, 4, 4]"]);
    }

    #[test]
    fn global_pools_leave_one_element() {
        assert_eq!(told("GlobalAveragePool", 17, &[floats("b 4 8 ?")], &[]), "float32 [batch, 4, 1, 1]");
    }
}
