//! RQ2: whether adversarial images leave later than the images that they were made from.
//!
//! Source: the project's paper, §4.1: the exit of the adversarial image less that of the benign one, under the policy.

use super::Comparison;
use super::album::Plate;
use super::drawing::{axis, density, moved};
use super::row::{NO_IMAGES, NO_MACS, count, decimals, identity, identity_of, known, number, percent, share};
use crate::findings::{Mark, Table};

const TITLE: &str = "RQ2: do adversarial images leave later?";

/// Changes of the exit over a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeOfExit {
    exits: usize,
    /// Images by change; entry 0 is `-(exits - 1)`.
    counts: Vec<usize>,
}

impl ChangeOfExit {
    /// Counts the changes.
    pub fn of(comparison: &Comparison<'_>) -> Self {
        let exits = comparison.exits();
        let mut counts = vec![0; 2 * exits - 1];
        for pair in comparison.images() {
            counts[exits - 1 + pair.adversarial.answer.exit - pair.benign.answer.exit] += 1;
        }
        Self { exits, counts }
    }

    /// Every change that is possible and the images that have it, from all earliest to all latest.
    pub fn by_change(&self) -> impl Iterator<Item = (i64, usize)> + '_ {
        let least = 1 - self.exits as i64;
        (least..).zip(self.counts.iter().copied())
    }

    /// Images.
    pub fn images(&self) -> usize {
        self.counts.iter().sum()
    }

    /// Images whose change is one that `counts`.
    pub fn count(&self, counts: impl Fn(i64) -> bool) -> usize {
        self.by_change().filter(|(change, _)| counts(*change)).map(|(_, images)| images).sum()
    }

    /// Mean change; `None` without images.
    pub fn mean(&self) -> Option<f64> {
        let sum: f64 = self.by_change().map(|(change, images)| change as f64 * images as f64).sum();
        (self.images() > 0).then(|| sum / self.images() as f64)
    }
}

/// How many images leave earlier, at the same exit, later, and later by more than one; a row per comparison on a network
/// with an early exit.
pub fn table(comparisons: &[Comparison<'_>]) -> Table {
    let columns = [
        count("images", "Images"),
        percent("earlier", "Earlier"),
        percent("same", "Same exit"),
        percent("later", "Later"),
        percent("later_by_more_than_one", "Later by more than one"),
        decimals("mean_change", "Mean change", 2),
        decimals("mean_exit_benign", "Mean exit, benign", 2),
        decimals("mean_exit_adversarial", "adversarial", 2),
        percent("macs_fraction_benign", "MACs, benign"),
        percent("macs_fraction_adversarial", "adversarial"),
    ];
    let dynamic = comparisons.iter().filter(|comparison| comparison.exits() > 1);
    let rows = dynamic.map(|comparison| {
        let change = ChangeOfExit::of(comparison);
        let share = |counts: fn(i64) -> bool| known(share(change.count(counts), change.images()), NO_IMAGES);
        let [benign, adversarial] = [comparison.benign(), comparison.adversarial()];
        let cells = vec![
            number(change.images()),
            share(|change| change < 0),
            share(|change| change == 0),
            share(|change| change > 0),
            share(|change| change > 1),
            known(change.mean(), NO_IMAGES),
            known(benign.mean_exit, NO_IMAGES),
            known(adversarial.mean_exit, NO_IMAGES),
            known(benign.macs_fraction, NO_MACS),
            known(adversarial.macs_fraction, NO_MACS),
        ];
        [identity_of(comparison), cells].concat()
    });
    Table {
        name: "change-of-exit".into(),
        title: TITLE.into(),
        caption: "The exit where computing stops for the adversarial image less that for the benign one, \
                  under the policy; above 0 the adversarial image costs more. MACs are means over those of \
                  the final exit. Networks of one exit have no row. Source: the paper's §4.1."
            .into(),
        columns: identity().into_iter().chain(columns).collect(),
        rows: rows.collect(),
    }
}

/// Densities of the change; none for networks without an early exit.
pub(super) fn plate() -> Plate {
    Plate {
        name: "change-of-exit",
        title: "Change of exit",
        caption: "Density of the adversarial image's exit less the benign one's: at every whole number the fraction \
                  of images that change by so many exits, straight between them; the area is 1."
            .into(),
        table: TITLE,
        axes: |_| [axis("Change of exit, adversarial less benign"), axis("Density")],
        mark: Mark::Area,
        benign: false,
        by_policy: true,
        telling: "moves the mean exit most",
        weight: |comparison| moved(comparison, |run| run.mean_exit),
        points: Box::new(|comparison, _| {
            let change = ChangeOfExit::of(comparison);
            if change.exits > 1 { density(1 - change.exits as i64, &change.counts) } else { Vec::new() }
        }),
    }
}

/// Where benign and adversarial images leave; none for networks without an early exit.
///
/// Source: the project's paper, appendix A.
pub(super) fn exits_plate() -> Plate {
    Plate {
        name: "exit-density",
        title: "Exits taken",
        caption: "Density of the exit where computing stops under the policy: at every exit the fraction of images \
                  that leave there, straight between them; the area is 1."
            .into(),
        axes: |_| [axis("Exit"), axis("Density")],
        benign: true,
        points: Box::new(|comparison, which| {
            if comparison.exits() > 1 { density(0, &comparison.run(which).counts) } else { Vec::new() }
        }),
        ..plate()
    }
}
