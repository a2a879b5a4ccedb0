//! Shapes that a graph does not state, as running showed them.
//!
//! Two runs tell all batches: an extent is the same for every batch, or grows with it.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Shapes of all outputs.
pub(super) type Shapes = Arc<[Vec<usize>]>;

/// Shapes by batch.
#[derive(Debug, Default)]
pub(super) struct Observed(BTreeMap<usize, Shapes>);

impl Observed {
    /// The shapes at `batch`, seen or told by what was seen at one image and at another batch.
    pub(super) fn at(&self, batch: usize) -> Option<Shapes> {
        if let Some(seen) = self.0.get(&batch) {
            return Some(Arc::clone(seen));
        }
        let one = self.0.get(&1)?;
        let (&many, shapes) = self.0.range(2..).next_back()?;
        let pairs = one.iter().zip(shapes.iter());
        pairs.map(|(one, shape)| told(one, shape, many, batch)).collect()
    }

    /// Whether a run showed the shapes at `batch`.
    pub(super) fn has_seen(&self, batch: usize) -> bool {
        self.0.contains_key(&batch)
    }

    pub(super) fn see(&mut self, batch: usize, shapes: Shapes) {
        self.0.insert(batch, shapes);
    }
}

/// The shape at `batch`, from those of one image and of `many`; `None` where an extent does neither.
fn told(one: &[usize], shape: &[usize], many: usize, batch: usize) -> Option<Vec<usize>> {
    if one.len() != shape.len() {
        return None;
    }
    let extent = |(&one, &extent): (&usize, &usize)| match extent {
        _ if extent == one => Some(one),
        _ if extent == one * many => Some(one * batch),
        _ => None,
    };
    one.iter().zip(shape).map(extent).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(shapes: &[(usize, &[usize])]) -> Observed {
        let mut observed = Observed::default();
        shapes.iter().for_each(|(batch, shape)| observed.see(*batch, [shape.to_vec()].into()));
        observed
    }

    #[test]
    fn one_image_and_a_batch_tell_every_other_batch() {
        let observed = observed(&[(1, &[1, 12, 8]), (64, &[64, 12, 8])]);
        assert_eq!(observed.at(5).as_deref(), Some(&[vec![5, 12, 8]][..]));
        assert_eq!(observed.at(64).as_deref(), Some(&[vec![64, 12, 8]][..]));
        assert!(observed.has_seen(64) && !observed.has_seen(5));
    }

    #[test]
    fn images_may_lie_inside_an_axis() {
        let observed = observed(&[(1, &[7, 4]), (8, &[7, 32])]);
        assert_eq!(observed.at(3).as_deref(), Some(&[vec![7, 12]][..]));
    }

    #[test]
    fn what_one_run_showed_and_what_does_not_grow_with_the_batch_tell_nothing() {
        assert_eq!(observed(&[(1, &[1, 4])]).at(2), None);
        assert_eq!(observed(&[(8, &[8, 4])]).at(2), None);
        assert_eq!(observed(&[(1, &[1, 4]), (8, &[9, 4])]).at(2), None);
        assert_eq!(observed(&[(1, &[1, 4]), (8, &[8, 4, 1])]).at(2), None);
    }
}
