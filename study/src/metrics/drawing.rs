//! Axes and points that the figures share.

use super::Comparison;
use crate::findings::Axis;

pub(super) fn axis(label: &str) -> Axis {
    Axis { label: label.to_owned(), ends: None, categories: None, logarithmic: false }
}

/// An axis of fractions.
pub(super) fn fraction_axis(label: &str) -> Axis {
    Axis { ends: Some([0.0, 1.0]), ..axis(label) }
}

/// `counts` of the whole numbers from `first` on as a density by the triangular kernel of half-width 1: at whole
/// numbers the fraction itself, straight between them, of area 1. Nothing of nothing.
pub(super) fn density(first: i64, counts: &[usize]) -> Vec<[f64; 2]> {
    let whole = counts.iter().sum::<usize>() as f64;
    if whole == 0.0 {
        return Vec::new();
    }
    let inner = (first..).zip(counts).map(|(at, count)| [at as f64, *count as f64 / whole]);
    let ends = [first - 1, first + counts.len() as i64].map(|end| [end as f64, 0.0]);
    std::iter::once(ends[0]).chain(inner).chain([ends[1]]).collect()
}

/// By how much the set moves a figure that both runs have; 0 where one lacks it.
pub(super) fn moved(
    comparison: &Comparison<'_>,
    of: fn(&offramp_runtime::replay::Evaluation) -> Option<f64>,
) -> f64 {
    let [benign, adversarial] = [comparison.benign(), comparison.adversarial()].map(of);
    benign.zip(adversarial).map_or(0.0, |(benign, adversarial)| (adversarial - benign).abs())
}

/// The two runs of a comparison.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which {
    Benign,
    Adversarial,
}
