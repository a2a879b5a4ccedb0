//! Accuracy against cost: one threshold for all exits, from letting go early to never.

use offramp_runtime::confidence::{Measure, Threshold};
use offramp_runtime::replay::Evaluation;

use super::Comparison;
use super::drawing::{Which, beside_benign, fraction_axis};
use super::group::{by_network, without_policies};
use super::row::{NO_IMAGES, NO_LABELS, NO_MACS, count, decimals, identity, known, number, percent, word};
use super::sweep::{Family, sweep, thresholds};
use crate::findings::{Cell, Figure, Mark, Series, Table};

/// The published grid of the Shallow-Deep Networks code. Source: Kaya et al. 2019.
const PUBLISHED: [f32; 11] = [0.1, 0.15, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999];

/// Thresholds behind a curve.
const POINTS: usize = 100;

/// Accuracy and cost at the published thresholds, benign and adversarial; a row per set and threshold.
pub fn table(comparisons: &[Comparison<'_>], measure: Measure) -> Table {
    let columns = [
        decimals("threshold", "Threshold", 3),
        count("images", "Images"),
        percent("accuracy_benign", "Accuracy, benign"),
        percent("accuracy_adversarial", "adversarial"),
        percent("macs_fraction_benign", "MACs, benign"),
        percent("macs_fraction_adversarial", "adversarial"),
        decimals("mean_exit_benign", "Mean exit, benign", 2),
        decimals("mean_exit_adversarial", "adversarial", 2),
    ];
    let grid: Vec<Threshold> = PUBLISHED.into_iter().filter_map(|at| Threshold::new(at).ok()).collect();
    let mut rows = Vec::new();
    for comparison in without_policies(comparisons).into_iter().filter(|of| of.exits() > 1) {
        let given = comparison.given();
        let [benign, adversarial] =
            [Which::Benign, Which::Adversarial].map(|which| evaluate(comparison, which, measure, &grid));
        for ((threshold, benign), adversarial) in grid.iter().zip(benign).zip(adversarial) {
            let mut row: Vec<Cell> = [given.network, given.set, given.surrogate].map(word).to_vec();
            row.push(Cell::Number(shown(*threshold)));
            row.push(number(comparison.len()));
            row.extend([benign.accuracy, adversarial.accuracy].map(|figure| known(figure, NO_LABELS)));
            row.extend(
                [benign.macs_fraction, adversarial.macs_fraction].map(|figure| known(figure, NO_MACS)),
            );
            row.extend([benign.mean_exit, adversarial.mean_exit].map(|figure| known(figure, NO_IMAGES)));
            rows.push(row);
        }
    }
    Table {
        name: "accuracy-against-cost".into(),
        title: "Accuracy against cost".into(),
        caption: format!(
            "One threshold on {} for all exits, those of the published Shallow-Deep Networks code; MACs \
             are means over those of the final exit.",
            measure.name()
        ),
        columns: identity().into_iter().take(3).chain(columns).collect(),
        rows,
    }
}

/// Accuracy over cost as lines, a figure per network with an early exit, benign and every set.
pub fn figures(comparisons: &[Comparison<'_>], measure: Measure) -> Vec<Figure> {
    let grid = thresholds(POINTS);
    let groups = by_network(comparisons).into_iter().filter_map(|group| {
        let dynamic = group.members.into_iter().filter(|of| of.exits() > 1);
        let series = beside_benign(dynamic, |of, name, which| {
            let evaluations = evaluate(of, which, measure, &grid);
            let points = evaluations.iter().filter_map(|of| Some([of.macs_fraction?, of.accuracy?]));
            let mut points: Vec<_> = points.collect();
            points.dedup();
            Series { name: name.to_owned(), mark: Mark::Line, points }
        });
        (!series.is_empty()).then(|| Figure {
            name: format!("accuracy-against-cost-{}", group.slug),
            title: format!("Accuracy against cost: {}", group.title),
            caption: format!(
                "One threshold on {} for all exits, {POINTS} of them from 0.01 to 0.9999; cost is the mean \
                 of the MACs over those of the final exit.",
                measure.name()
            ),
            x: fraction_axis("MACs over those of the final exit"),
            y: fraction_axis("Accuracy"),
            series,
        })
    });
    groups.collect()
}

fn evaluate(
    comparison: &Comparison<'_>,
    which: Which,
    measure: Measure,
    thresholds: &[Threshold],
) -> Vec<Evaluation> {
    let given = comparison.given();
    let family = Family::Confidence { measure, thresholds: thresholds.to_vec() };
    let candidates = sweep(comparison.replay(which), given.costs.macs, &[family], given.policy.fallback);
    candidates.into_iter().map(|candidate| candidate.evaluation).collect()
}

/// The decimal that the threshold was written as, not its nearest f32.
pub(super) fn shown(threshold: Threshold) -> f64 {
    (f64::from(threshold.get()) * 1e6).round() / 1e6
}
