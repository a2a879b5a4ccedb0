//! Windows that slide over an image, their padding resolved.

use offramp_graph::shape::Extent;

use super::GradientError;
use super::step::Step;

/// Kernel, strides, dilations and padding per spatial axis, and the extents before and after.
pub(super) struct Windows {
    pub kernel: Vec<usize>,
    pub strides: Vec<usize>,
    pub dilations: Vec<usize>,
    /// Padding before each axis, as it is in effect.
    pub before: Vec<usize>,
    /// Extents of the image that the windows slide over.
    pub image: Vec<usize>,
    /// Positions of the window.
    pub positions: Vec<usize>,
}

impl Windows {
    /// The windows of `step`, which slide over `image` and stop at so many `positions`.
    pub fn read(
        step: &Step<'_>,
        kernel: Vec<usize>,
        image: &[Extent],
        positions: &[Extent],
    ) -> Result<Self, GradientError> {
        let rank = kernel.len();
        let strides = sizes(step, "strides", rank)?.unwrap_or_else(|| vec![1; rank]);
        let dilations = sizes(step, "dilations", rank)?.unwrap_or_else(|| vec![1; rank]);
        if kernel.contains(&0) || strides.contains(&0) || dilations.contains(&0) {
            return Err(step.wrong("kernel_shape"));
        }
        let (image, positions) = (known(step, image)?, known(step, positions)?);
        if image.len() != rank || positions.len() != rank {
            return Err(step.wrong("kernel_shape"));
        }
        let mut windows = Self { kernel, strides, dilations, before: Vec::new(), image, positions };
        windows.before = windows.padding(step)?;
        Ok(windows)
    }

    /// One window that covers an image of these extents.
    pub fn whole(step: &Step<'_>, image: &[Extent]) -> Result<Self, GradientError> {
        let image = known(step, image)?;
        let rank = image.len();
        let ones = vec![1; rank];
        let (strides, dilations, positions) = (image.clone(), ones.clone(), ones);
        Ok(Self { kernel: image.clone(), strides, dilations, before: vec![0; rank], image, positions })
    }

    /// Spatial axes.
    pub fn rank(&self) -> usize {
        self.kernel.len()
    }

    /// Elements from the first to the last that a window covers along an axis.
    pub fn reach(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilations[axis] + 1
    }

    /// Elements from the first that the first window covers to the last that the last one covers.
    pub fn covered(&self, axis: usize) -> usize {
        (self.positions[axis].max(1) - 1) * self.strides[axis] + self.reach(axis)
    }

    /// Elements after the image that the last window covers; negative where it ends before the image does.
    pub fn after(&self, axis: usize) -> i64 {
        self.covered(axis) as i64 - self.before[axis] as i64 - self.image[axis] as i64
    }

    /// Whether windows lie side by side.
    pub fn tile(&self) -> bool {
        let one = |extents: &[usize]| extents.iter().all(|extent| *extent == 1);
        one(&self.dilations) && (self.kernel == self.strides || one(&self.positions))
    }

    fn padding(&self, step: &Step<'_>) -> Result<Vec<usize>, GradientError> {
        let upper = match step.text("auto_pad")? {
            None | Some(b"NOTSET") => {
                let pads = sizes(step, "pads", self.rank() * 2)?;
                return Ok(pads.map_or_else(|| vec![0; self.rank()], |pads| pads[..self.rank()].to_vec()));
            }
            Some(b"VALID") => return Ok(vec![0; self.rank()]),
            Some(b"SAME_UPPER") => true,
            Some(b"SAME_LOWER") => false,
            Some(_) => return Err(step.wrong("auto_pad")),
        };
        let half = |axis: usize| {
            let total = self.covered(axis).saturating_sub(self.image[axis]);
            if upper { total / 2 } else { total - total / 2 }
        };
        Ok((0..self.rank()).map(half).collect())
    }
}

/// Non-negative numbers among the attributes, so many.
pub(super) fn sizes(
    step: &Step<'_>,
    name: &'static str,
    length: usize,
) -> Result<Option<Vec<usize>>, GradientError> {
    let Some(ints) = step.ints(name)? else { return Ok(None) };
    let sizes: Option<Vec<usize>> = ints.iter().map(|int| usize::try_from(*int).ok()).collect();
    match sizes {
        Some(sizes) if sizes.len() == length => Ok(Some(sizes)),
        _ => Err(step.wrong(name)),
    }
}

/// Extents that must not depend on the batch.
pub(super) fn known(step: &Step<'_>, extents: &[Extent]) -> Result<Vec<usize>, GradientError> {
    let known = |extent: &Extent| match extent {
        Extent::Known(extent) => Ok(*extent),
        Extent::Batch(_) | Extent::Unknown => Err(step.unsupported("the batch among its spatial axes")),
    };
    extents.iter().map(known).collect()
}
