//! How often the network is right, benign and adversarial, at every exit and under its policy.

use super::Comparison;
use super::album::Plate;
use super::drawing::{axis, fraction_axis, moved};
use super::group::without_policies;
use super::row::{NO_LABELS, count, identity, identity_of, known, number, percent, set, set_of, share};
use crate::findings::{Mark, Table};

const BY_EXIT: &str = "Accuracy at every exit";

/// Accuracy under the policy and at the final exit, a row per comparison.
pub fn table(comparisons: &[Comparison<'_>]) -> Table {
    let columns = [
        count("images", "Images"),
        percent("accuracy_benign", "Accuracy, benign"),
        percent("accuracy_adversarial", "adversarial"),
        percent("final_accuracy_benign", "Final exit, benign"),
        percent("final_accuracy_adversarial", "adversarial"),
    ];
    let rows = comparisons.iter().map(|comparison| {
        let [benign, adversarial] = [comparison.benign(), comparison.adversarial()];
        let last = comparison.exits() - 1;
        let at_final = at_exit(comparison, last);
        let figures = [benign.accuracy, adversarial.accuracy, at_final[0], at_final[1]];
        let cells = figures.map(|figure| known(figure, NO_LABELS));
        [identity_of(comparison), vec![number(comparison.len())], cells.to_vec()].concat()
    });
    Table {
        name: "accuracy".into(),
        title: "Accuracy, benign and adversarial".into(),
        caption: "Fraction of the labelled images that get their label: under the policy, and when all \
                  images go on to the final exit."
            .into(),
        columns: identity().into_iter().chain(columns).collect(),
        rows: rows.collect(),
    }
}

/// Accuracy when all images stop at one exit, and how many do under the policy; a row per comparison and exit.
pub fn by_exit(comparisons: &[Comparison<'_>]) -> Table {
    let columns = [
        count("exit", "Exit"),
        percent("accuracy_benign", "Accuracy, benign"),
        percent("accuracy_adversarial", "adversarial"),
    ];
    let mut rows = Vec::new();
    for comparison in without_policies(comparisons) {
        for exit in 0..comparison.exits() {
            let mut row = set_of(comparison);
            row.push(number(exit));
            row.extend(at_exit(comparison, exit).map(|accuracy| known(accuracy, NO_LABELS)));
            rows.push(row);
        }
    }
    Table {
        name: "accuracy-by-exit".into(),
        title: BY_EXIT.into(),
        caption: "Fraction of the labelled images that get their label when all images stop at this exit."
            .into(),
        columns: set().into_iter().chain(columns).collect(),
        rows,
    }
}

/// Accuracy when all images stop at one exit, as lines over the exits; none for networks without an early exit.
pub(super) fn plate() -> Plate {
    Plate {
        name: "accuracy-by-exit",
        title: "Accuracy at every exit",
        caption: "Fraction of the labelled images that get their label when all images stop at this exit."
            .into(),
        table: BY_EXIT,
        axes: |_| [axis("Exit"), fraction_axis("Accuracy")],
        mark: Mark::Line,
        benign: true,
        by_policy: false,
        telling: "costs most accuracy under the policy",
        weight: |comparison| moved(comparison, |run| run.accuracy),
        points: Box::new(|comparison, which| {
            let exits = if comparison.exits() > 1 { 0..comparison.exits() } else { 0..0 };
            let right = |exit| Some([exit as f64, at_exit(comparison, exit)[which as usize]?]);
            exits.filter_map(right).collect()
        }),
    }
}

/// Accuracy when all images stop at `exit`, benign and adversarial.
pub(super) fn at_exit(comparison: &Comparison<'_>, exit: usize) -> [Option<f64>; 2] {
    let (mut labelled, mut right) = (0, [0; 2]);
    for pair in comparison.images() {
        let Some(label) = pair.label else { continue };
        labelled += 1;
        for (right, side) in right.iter_mut().zip([pair.benign, pair.adversarial]) {
            *right += usize::from(side.predictions.get(exit).is_some_and(|exit| exit.label() == label));
        }
    }
    right.map(|right| share(right, labelled))
}
