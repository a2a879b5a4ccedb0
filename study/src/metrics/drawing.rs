//! Axes and series that the figures share.

use super::Comparison;
use crate::findings::{Axis, Mark, Series};

pub(super) fn axis(label: &str) -> Axis {
    Axis { label: label.to_owned(), ends: None, categories: None, logarithmic: false }
}

/// An axis of fractions.
pub(super) fn fraction_axis(label: &str) -> Axis {
    Axis { ends: Some([0.0, 1.0]), ..axis(label) }
}

/// `counts` of the whole numbers from `first` on as a density by the triangular kernel of half-width 1: at whole
/// numbers the fraction itself, straight between them, of area 1.
pub(super) fn density(name: &str, first: i64, counts: &[usize]) -> Series {
    let whole = counts.iter().sum::<usize>() as f64;
    let inner = (first..).zip(counts).map(|(at, count)| [at as f64, *count as f64 / whole]);
    let ends = [first - 1, first + counts.len() as i64].map(|end| [end as f64, 0.0]);
    let points = std::iter::once(ends[0]).chain(inner).chain([ends[1]]).collect();
    Series { name: name.to_owned(), mark: Mark::Area, points }
}

/// For every set a series of its own and one of its benign images, drawn once where sets share them.
pub(super) fn beside_benign<'c, 'a: 'c>(
    comparisons: impl Iterator<Item = &'c Comparison<'a>>,
    draw: impl Fn(&'c Comparison<'a>, &str, Which) -> Series,
) -> Vec<Series> {
    let mut series: Vec<Series> = Vec::new();
    let mut benign: Vec<Vec<[f64; 2]>> = Vec::new();
    for comparison in comparisons {
        let set = comparison.given().set;
        let name = if benign.is_empty() { "benign".to_owned() } else { format!("benign of {set}") };
        let drawn = draw(comparison, &name, Which::Benign);
        if !benign.contains(&drawn.points) {
            benign.push(drawn.points.clone());
            series.push(drawn);
        }
        series.push(draw(comparison, set, Which::Adversarial));
    }
    series.retain(|series| !series.points.is_empty());
    series
}

/// The two runs of a comparison.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which {
    Benign,
    Adversarial,
}
