//! Undoes numpy's stretching: what was stretched over is summed.

use offramp_graph::shape::Extent;

use super::GradientError;
use super::step::Step;

impl Step<'_> {
    /// Gives `cotangent`, of the first output's shape, to input `at`, summed over what that input was stretched over.
    ///
    /// The batch is summed only where the input truly lacks it.
    pub fn give_unbroadcast(&mut self, at: usize, cotangent: String) -> Result<(), GradientError> {
        let (from, to) = (self.output_extents(0)?, self.extents(at)?);
        let summed = self.unbroadcast(cotangent, from, to)?;
        self.give(at, summed);
        Ok(())
    }

    /// `cotangent` of extents `from`, summed to extents `to`.
    pub fn unbroadcast(
        &mut self,
        cotangent: String,
        from: &[Extent],
        to: &[Extent],
    ) -> Result<String, GradientError> {
        let missing = from.len().saturating_sub(to.len());
        let own = |axis: usize| axis.checked_sub(missing).and_then(|at| to.get(at)).copied();
        let one = Extent::Known(1);
        let stretched = |axis: &usize| match own(*axis) {
            None => true,
            Some(extent) => extent == one && from.get(*axis) != Some(&one),
        };
        let axes: Vec<usize> = (0..from.len()).filter(stretched).collect();
        if axes.is_empty() {
            return Ok(cotangent);
        }
        if missing == 0 || axes.len() == missing {
            return Ok(self.reduce("ReduceSum", &cotangent, &axes, missing == 0));
        }
        let summed = self.reduce("ReduceSum", &cotangent, &axes, true);
        self.reshape(&summed, to)
    }
}
