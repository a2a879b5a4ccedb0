//! DeepSloth's efficacy: how much computing the exits save.
//!
//! The area under the cumulative fraction of images that have left against the cost of the exit over that of the final
//! one, by trapezoids, from (0, 0), the last point at 1. Higher is more saved. Source: Hong et al. 2021, §3, and its
//! published code. The value depends on where the exits are: if all images stay to the end it is not 0, if all leave at
//! the first exit it is not 1. The normalised value, `(E - floor) / (ceiling - floor)`, compares networks.

use super::Comparison;
use super::album::Plate;
use super::drawing::{fraction_axis, moved};
use super::row::{NO_IMAGES, NO_METER, absent, decimals, identity, identity_of, known, measured};
use crate::findings::{Cell, Format, Mark, Table};

const TITLE: &str = "Efficacy: how much the exits save";

/// Efficacy of one run and what its exits allow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Efficacy {
    /// The area, between floor and ceiling.
    pub raw: f64,
    /// The area if all images leave at the final exit.
    pub floor: f64,
    /// The area if all leave at the first.
    pub ceiling: f64,
}

impl Efficacy {
    /// Of `counts` images by exit, `costs` until each exit. `None` without images, with a final cost of 0, or with
    /// costs that fall from one exit to the next.
    pub fn of(counts: &[usize], costs: &[f64]) -> Option<Self> {
        let images: usize = counts.iter().sum();
        let whole = *costs.last()?;
        let usable =
            counts.len() == costs.len() && costs.is_sorted() && costs.iter().all(|cost| cost.is_finite());
        if images == 0 || whole <= 0.0 || !usable {
            return None;
        }
        let placed = |leave: &dyn Fn(usize) -> f64| {
            let (mut area, mut before) = (0.0, [0.0, 0.0]);
            for (exit, cost) in costs.iter().enumerate() {
                let left = if exit + 1 == costs.len() { 1.0 } else { leave(exit) };
                let point = [cost / whole, left];
                area += (point[0] - before[0]) * (point[1] + before[1]) / 2.0;
                before = point;
            }
            area
        };
        let left = cumulative(counts);
        Some(Self {
            raw: placed(&|exit| left.get(exit).copied().unwrap_or(1.0)),
            floor: placed(&|_| 0.0),
            ceiling: placed(&|_| 1.0),
        })
    }

    /// The place between floor and ceiling, in [0, 1]; `None` where the exits leave nothing to save.
    pub fn normalised(&self) -> Option<f64> {
        let range = self.ceiling - self.floor;
        (range > 0.0).then(|| (self.raw - self.floor) / range)
    }
}

/// Fraction of the images that have left at each exit or before.
fn cumulative(counts: &[usize]) -> Vec<f64> {
    let images: usize = counts.iter().sum();
    let running = counts.iter().scan(0, |left, count| {
        *left += count;
        Some(*left as f64 / images.max(1) as f64)
    });
    running.collect()
}

const NO_RANGE: &str = "no images, no cost, or no exit before the whole cost";

/// Efficacy benign and adversarial, raw and normalised; a row per comparison on a network with an early exit.
pub fn table(comparisons: &[Comparison<'_>]) -> Table {
    let columns = [
        decimals("efficacy_benign", "Efficacy, benign", 3),
        decimals("efficacy_adversarial", "adversarial", 3),
        decimals("floor", "Floor", 3),
        decimals("ceiling", "Ceiling", 3),
        decimals("normalised_benign", "Normalised, benign", 3),
        decimals("normalised_adversarial", "adversarial", 3),
        measured("latency_efficacy_benign", "By latency, benign", Format::Decimals(3)),
        measured("latency_efficacy_adversarial", "adversarial", Format::Decimals(3)),
        measured("energy_efficacy_benign", "By energy, benign", Format::Decimals(3)),
        measured("energy_efficacy_adversarial", "adversarial", Format::Decimals(3)),
    ];
    let dynamic = comparisons.iter().filter(|comparison| comparison.exits() > 1);
    let rows = dynamic.map(|comparison| {
        let macs: Vec<f64> = comparison.given().costs.macs.iter().map(|macs| *macs as f64).collect();
        let [benign, adversarial] = sides(comparison, &macs);
        let of = |side: Option<Efficacy>, figure: fn(Efficacy) -> f64| known(side.map(figure), NO_RANGE);
        let normalised = |side: Option<Efficacy>| known(side.and_then(|of| of.normalised()), NO_RANGE);
        let [slow_benign, slow_adversarial] = by_latency(comparison);
        let cells = vec![
            of(benign, |of| of.raw),
            of(adversarial, |of| of.raw),
            of(benign, |of| of.floor),
            of(benign, |of| of.ceiling),
            normalised(benign),
            normalised(adversarial),
            slow_benign,
            slow_adversarial,
            absent(NO_METER),
            absent(NO_METER),
        ];
        [identity_of(comparison), cells].concat()
    });
    Table {
        name: "efficacy".into(),
        title: TITLE.into(),
        caption: "Area under the fraction of images that have left against the cost of the exit over that \
                  of the final one: by trapezoids from (0, 0), the last point at 1; higher is more saved. \
                  Floor: all images leave at the final exit. Ceiling: all at the first. Normalised: \
                  (efficacy - floor) / (ceiling - floor), to compare networks. Networks of one exit have no row. Source: Hong et al. 2021; \
                  the normalisation is this study's."
            .into(),
        columns: identity().into_iter().chain(columns).collect(),
        rows: rows.collect(),
    }
}

fn sides(comparison: &Comparison<'_>, costs: &[f64]) -> [Option<Efficacy>; 2] {
    [comparison.benign(), comparison.adversarial()].map(|run| Efficacy::of(&run.counts, costs))
}

/// By measured seconds, normalised: heads and cuts included.
fn by_latency(comparison: &Comparison<'_>) -> [Cell; 2] {
    let Some(seconds) = comparison.given().costs.seconds else {
        return [(); 2].map(|()| absent("latency by exit was not measured"));
    };
    let why = if comparison.is_empty() {
        NO_IMAGES
    } else if seconds.is_sorted() {
        NO_RANGE
    } else {
        "a later exit was measured faster than an earlier one"
    };
    sides(comparison, seconds).map(|side| known(side.and_then(|of| of.normalised()), why))
}

/// The curves that efficacy is the area of; none for networks without an early exit.
pub(super) fn plate() -> Plate {
    Plate {
        name: "efficacy",
        title: "Early-exit capability",
        caption:
            "Fraction of images that have left against the cost of the exit; the area below is the efficacy."
                .into(),
        table: TITLE,
        axes: |_| {
            [
                fraction_axis("MACs over those of the final exit"),
                fraction_axis("Fraction of images that have left"),
            ]
        },
        mark: Mark::Line,
        benign: true,
        by_policy: true,
        telling: "moves the mean cost most",
        weight: |comparison| moved(comparison, |run| run.macs_fraction),
        points: Box::new(|comparison, which| {
            let costs = comparison.given().costs.macs;
            let whole = costs.last().map_or(0.0, |macs| *macs as f64);
            if comparison.exits() < 2 || comparison.is_empty() || whole == 0.0 {
                return Vec::new();
            }
            let left = cumulative(&comparison.run(which).counts);
            let points = costs.iter().zip(left).map(|(macs, left)| [*macs as f64 / whole, left]);
            std::iter::once([0.0, 0.0]).chain(points).collect()
        }),
    }
}
