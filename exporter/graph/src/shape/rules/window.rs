//! Windows that slide over an image: kernel, stride, dilation, padding.

use crate::shape::call::Call;
use crate::shape::{Contradiction, Extent};

pub(super) struct Windows {
    kernel: Vec<usize>,
    strides: Vec<usize>,
    dilations: Vec<usize>,
    before: Vec<usize>,
    after: Vec<usize>,
    padding: Padding,
    ceil: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Padding {
    Explicit,
    Valid,
    Same,
}

impl Windows {
    pub fn read(call: &Call<'_>, kernel: Vec<usize>) -> Result<Self, Contradiction> {
        let axes = kernel.len();
        let positive = |name: &'static str| {
            let sizes = call.sizes(name, axes)?.unwrap_or_else(|| vec![1; axes]);
            if sizes.contains(&0) { Err(Contradiction::Attribute { name }) } else { Ok(sizes) }
        };
        let (strides, dilations) = (positive("strides")?, positive("dilations")?);
        let pads =
            call.sizes("pads", axes.saturating_mul(2))?.unwrap_or_else(|| vec![0; axes.saturating_mul(2)]);
        let (before, after) = pads.split_at(axes.min(pads.len()));
        let padding = match call.text("auto_pad")? {
            None | Some(b"NOTSET") => Padding::Explicit,
            Some(b"VALID") => Padding::Valid,
            Some(b"SAME_UPPER" | b"SAME_LOWER") => Padding::Same,
            Some(_) => return Err(Contradiction::Attribute { name: "auto_pad" }),
        };
        if kernel.contains(&0) {
            return Err(Contradiction::Attribute { name: "kernel_shape" });
        }
        let ceil = call.int_or("ceil_mode", 0)? != 0;
        let (before, after) = (before.to_vec(), after.to_vec());
        Ok(Self { kernel, strides, dilations, before, after, padding, ceil })
    }

    pub fn padding(&self) -> Padding {
        self.padding
    }

    /// Stride, window with its dilation, padding before and after, along one spatial axis.
    pub fn along(&self, axis: usize) -> Result<(usize, usize, usize, usize), Contradiction> {
        let get = |sizes: &[usize]| sizes.get(axis).copied().ok_or(Contradiction::Overflow);
        let window = (get(&self.kernel)? - 1)
            .checked_mul(get(&self.dilations)?)
            .and_then(|reach| reach.checked_add(1))
            .ok_or(Contradiction::Overflow)?;
        let (before, after) = match self.padding {
            Padding::Explicit => (get(&self.before)?, get(&self.after)?),
            Padding::Valid | Padding::Same => (0, 0),
        };
        Ok((get(&self.strides)?, window, before, after))
    }

    /// Positions of the window along one spatial axis. Source: Conv-11, MaxPool-22 (a window never starts in the
    /// padding after the image).
    pub fn positions(&self, axis: usize, input: Extent) -> Result<Extent, Contradiction> {
        let (stride, window, before, after) = self.along(axis)?;
        let Extent::Known(extent) = input else {
            let untouched = stride == 1
                && (self.padding == Padding::Same || before.checked_add(after) == Some(window - 1));
            return Ok(if untouched { input } else { Extent::Unknown });
        };
        if self.padding == Padding::Same {
            return Ok(Extent::Known(extent.div_ceil(stride)));
        }
        let front = extent.checked_add(before).ok_or(Contradiction::Overflow)?;
        let padded = front.checked_add(after).ok_or(Contradiction::Overflow)?;
        let Some(travel) = padded.checked_sub(window) else {
            return Err(Contradiction::Window { window, extent: padded });
        };
        let steps = if self.ceil { travel.div_ceil(stride) } else { travel / stride };
        let starts_past = self.ceil && steps.checked_mul(stride).is_none_or(|start| start >= front);
        Ok(Extent::Known(if starts_past && steps > 0 { steps } else { steps.saturating_add(1) }))
    }
}
