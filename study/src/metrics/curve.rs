//! Accuracy against cost: one threshold for all exits, from letting go early to never.

use offramp_runtime::confidence::{Measure, Threshold};
use offramp_runtime::replay::Evaluation;

use super::Comparison;
use super::album::Plate;
use super::drawing::{Which, fraction_axis, moved};
use super::group::without_policies;
use super::row::{NO_IMAGES, NO_LABELS, NO_MACS, count, decimals, known, number, percent, set, set_of};
use super::sweep::{Family, sweep, thresholds};
use crate::findings::{Cell, Mark, Table};

const TITLE: &str = "Accuracy against cost";

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
        let [benign, adversarial] =
            [Which::Benign, Which::Adversarial].map(|which| evaluate(comparison, which, measure, &grid));
        for ((threshold, benign), adversarial) in grid.iter().zip(benign).zip(adversarial) {
            let mut row = set_of(comparison);
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
        title: TITLE.into(),
        caption: format!(
            "One threshold on {} for all exits, those of the published Shallow-Deep Networks code; MACs \
             are means over those of the final exit.",
            measure.name()
        ),
        columns: set().into_iter().chain(columns).collect(),
        rows,
    }
}

/// Accuracy over cost as lines; none for networks without an early exit.
pub(super) fn plate(measure: Measure) -> Plate {
    let grid = thresholds(POINTS);
    Plate {
        name: "accuracy-against-cost",
        title: "Accuracy against cost",
        caption: format!(
            "One threshold on {} for all exits, {POINTS} of them from 0.01 to 0.9999; cost is the mean of the MACs over \
             those of the final exit.",
            measure.name()
        ),
        table: TITLE,
        axes: |_| [fraction_axis("MACs over those of the final exit"), fraction_axis("Accuracy")],
        mark: Mark::Line,
        benign: true,
        by_policy: false,
        telling: "costs most accuracy",
        weight: |comparison| moved(comparison, |run| run.accuracy),
        points: Box::new(move |comparison, which| {
            if comparison.exits() < 2 {
                return Vec::new();
            }
            let evaluations = evaluate(comparison, which, measure, &grid);
            let points = evaluations.iter().filter_map(|of| Some([of.macs_fraction?, of.accuracy?]));
            let mut points: Vec<_> = points.collect();
            points.dedup();
            points
        }),
    }
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
