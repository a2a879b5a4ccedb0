//! Constant kernels of a convolution.

use super::step::Step;

/// Weights `[outputs, inputs / group, ..]` of a convolution.
pub(super) struct Kernel {
    pub group: usize,
    pub dims: Vec<usize>,
    pub elements: Vec<f32>,
}

impl Kernel {
    /// Input `at` of `step`, if it is a constant that holds kernels of so many groups.
    pub fn of(step: &Step<'_>, at: usize, group: usize) -> Option<Self> {
        let dims = step.constant(at)?.dims.clone();
        let elements = step.constant_floats(at)?;
        let fits = dims.len() >= 3 && group > 0 && dims[0] % group == 0;
        (fits && dims.iter().product::<usize>() == elements.len()).then_some(Self { group, dims, elements })
    }

    /// Kernels mirrored in space, with the input and output channels of a group exchanged: `[inputs, outputs / group, ..]`.
    pub fn mirrored(&self) -> Self {
        let (outputs, inputs) = (self.dims[0] / self.group, self.dims[1]);
        let window: usize = self.dims[2..].iter().product();
        let mut elements = Vec::with_capacity(self.elements.len());
        for group in 0..self.group {
            for input in 0..inputs {
                for output in 0..outputs {
                    let start = ((group * outputs + output) * inputs + input) * window;
                    elements.extend(self.elements[start..start + window].iter().rev());
                }
            }
        }
        let dims = [&[self.group * inputs, outputs], &self.dims[2..]].concat();
        Self { group: self.group, dims, elements }
    }
}
