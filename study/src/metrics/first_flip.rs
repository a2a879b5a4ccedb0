//! RQ3: the exit at which an adversarial image begins to get another label.
//!
//! Source: the project's paper, §5.1: the final exit's label is changed; if the predictions of the first K exits are
//! the benign ones, exit K + 1 is reported. Exits are counted from 0 here, and each is compared with its own benign label.
//! No policy has a part in it: every exit is asked.

use super::Comparison;
use super::album::Plate;
use super::drawing::{axis, fraction_axis};
use super::group::without_policies;
use super::row::{NO_IMAGES, count, decimals, known, number, percent, set, set_of, share};
use crate::findings::{Axis, Mark, Table};

const TITLE: &str = "RQ3: where do labels begin to change?";
const NOTHING_FLIPPED: &str = "no final label changed";

/// Where labels begin to change, over the images whose final label changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstFlip {
    /// Images compared.
    pub images: usize,
    /// Images whose final label changes, by the first exit whose label does.
    pub by_exit: Vec<usize>,
    /// Images whose final label is kept although an early exit's changes.
    pub early_only: usize,
}

impl FirstFlip {
    /// Counts first flips.
    pub fn of(comparison: &Comparison<'_>) -> Self {
        let mut found =
            Self { images: comparison.len(), by_exit: vec![0; comparison.exits()], early_only: 0 };
        for pair in comparison.images() {
            let mut exits = pair.benign.predictions.iter().zip(pair.adversarial.predictions);
            let first = exits.position(|(benign, adversarial)| benign.label() != adversarial.label());
            match first.and_then(|exit| found.by_exit.get_mut(exit)) {
                Some(count) if pair.benign.final_label() != pair.adversarial.final_label() => *count += 1,
                Some(_) => found.early_only += 1,
                None => {}
            }
        }
        found
    }

    /// Images whose final label changes.
    pub fn flipped(&self) -> usize {
        self.by_exit.iter().sum()
    }

    /// Mean index of the first exit to change; `None` where no final label changes.
    pub fn mean(&self) -> Option<f64> {
        let sum: usize = self.by_exit.iter().enumerate().map(|(exit, count)| exit * count).sum();
        share(sum, self.flipped())
    }
}

/// How many final labels change, and how many of those images are lost at the first exit already; a row per set.
pub fn table(comparisons: &[Comparison<'_>]) -> Table {
    let columns = [
        count("images", "Images"),
        count("flipped", "Final label changed"),
        percent("flipped_share", "of all images"),
        percent("at_first_exit", "Changed from the first exit on"),
        decimals("mean_first_flip", "Mean first exit to change", 2),
        percent("early_only", "Only early labels changed"),
    ];
    let rows = without_policies(comparisons).into_iter().map(|comparison| {
        let flips = FirstFlip::of(comparison);
        let at_first = flips.by_exit.first().and_then(|first| share(*first, flips.flipped()));
        let cells = vec![
            number(flips.images),
            number(flips.flipped()),
            known(share(flips.flipped(), flips.images), NO_IMAGES),
            known(at_first, NOTHING_FLIPPED),
            known(flips.mean(), NOTHING_FLIPPED),
            known(share(flips.early_only, flips.images), NO_IMAGES),
        ];
        [set_of(comparison), cells].concat()
    });
    Table {
        name: "first-flip".into(),
        title: TITLE.into(),
        caption: "Over the images whose label at the final exit changes: the first exit whose label is not \
                  the one that the same exit gives the benign image. Every exit is asked, whatever the \
                  policy. Source: the paper's §5.1, exits counted from 0."
            .into(),
        columns: set().into_iter().chain(columns).collect(),
        rows: rows.collect(),
    }
}

/// First flips by exit; a row per set and exit, none on networks of one exit.
pub fn by_exit(comparisons: &[Comparison<'_>]) -> Table {
    let columns =
        [count("exit", "Exit"), count("images", "Images"), percent("share", "of those whose label changes")];
    let mut rows = Vec::new();
    for comparison in without_policies(comparisons).into_iter().filter(|of| of.exits() > 1) {
        let flips = FirstFlip::of(comparison);
        for (exit, images) in flips.by_exit.iter().enumerate() {
            let share = known(share(*images, flips.flipped()), NOTHING_FLIPPED);
            rows.push([set_of(comparison), vec![number(exit), number(*images), share]].concat());
        }
    }
    Table {
        name: "first-flip-by-exit".into(),
        title: "RQ3: the first exit to change its label".into(),
        caption:
            "Images whose final label changes, by the first exit whose label is not its own benign one. \
                  Networks of one exit have no row."
                .into(),
        columns: set().into_iter().chain(columns).collect(),
        rows,
    }
}

/// First flips by exit as bars; none for networks without an early exit.
pub(super) fn plate() -> Plate {
    Plate {
        name: "first-flip",
        title: "First exit to change its label",
        caption:
            "Fraction of the images whose final label changes, by the first exit whose label is not its own \
                  benign one."
                .into(),
        table: TITLE,
        axes: |exits| {
            let categories = (0..exits).map(|exit| exit.to_string()).collect();
            [Axis { categories: Some(categories), ..axis("Exit") }, fraction_axis("Fraction of images")]
        },
        mark: Mark::Bar,
        benign: false,
        by_policy: false,
        telling: "changes most final labels",
        weight: |comparison| FirstFlip::of(comparison).flipped() as f64,
        points: Box::new(|comparison, _| {
            let flips = FirstFlip::of(comparison);
            let whole = flips.flipped();
            if comparison.exits() < 2 || whole == 0 {
                return Vec::new();
            }
            let share = |images: usize| images as f64 / whole as f64;
            flips.by_exit.iter().enumerate().map(|(exit, images)| [exit as f64, share(*images)]).collect()
        }),
    }
}
