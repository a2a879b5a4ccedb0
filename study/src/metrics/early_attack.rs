//! RQ4: the Early Attack by its settings: what each costs and gains, and success by the weight of the final label.

use std::collections::BTreeMap;

use super::Comparison;
use super::drawing::{axis, fraction_axis};
use super::early_success::{EarlySuccess, NONE_ATTACKABLE};
use super::group::Slugs;
use super::row::{
    NO_EARLY_EXIT, NO_IMAGES, absent, column, count, decimals, known, number, percent, share, text, word,
};
use crate::adversarial::Summary;
use crate::findings::{Axis, Cell, Figure, Format, Mark, Series, Table};

/// One set of an Early Attack.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'c, 'a> {
    /// What is held while alpha changes: the mode, and what is set beside it.
    pub series: &'c str,
    /// The weight of the final label.
    pub alpha: f64,
    /// The set on the network it was crafted on.
    pub comparison: &'c Comparison<'a>,
    /// What crafting it told, where that is known.
    pub crafted: Option<&'c Summary>,
}

/// An Early Attack, without what came of it.
#[derive(Clone, Copy, Debug)]
pub struct Tuning<'s> {
    /// What is held while alpha changes: the mode, and what is set beside it.
    pub series: &'s str,
    /// The weight of the final label.
    pub alpha: f64,
    /// What crafting it told, where that is known.
    pub crafted: Option<&'s Summary>,
}

impl<'c> Tuning<'c> {
    /// It, and what a set crafted so does to the network that it was crafted on.
    pub fn on<'a>(self, comparison: &'c Comparison<'a>) -> Setting<'c, 'a> {
        let Self { series, alpha, crafted } = self;
        Setting { series, alpha, comparison, crafted }
    }
}

/// Success at one weight of the final label.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    network: String,
    series: String,
    alpha: f64,
    success: f64,
}

impl Setting<'_, '_> {
    /// Its point over alpha; `None` where nothing can be fooled, and for an alpha of 0, which has no place on the axis.
    pub fn point(&self) -> Option<Point> {
        let success = EarlySuccess::of(self.comparison).and_then(|found| found.rate())?;
        let (network, series) = (self.comparison.given().network.to_owned(), self.series.to_owned());
        (self.alpha > 0.0).then_some(Point { network, series, alpha: self.alpha, success })
    }
}

const NOT_CRAFTED_HERE: &str = "the set's manifest is not at hand";

/// Success, sizes and exits by setting; a row per set.
pub fn table(sets: &[Setting<'_, '_>]) -> Table {
    let columns = [
        text("network", "Network"),
        text("settings", "Mode and settings"),
        column("alpha", "Alpha", Format::Decimals(3)),
        count("images", "Images"),
        percent("success", "Success, of all"),
        percent("attackable_success", "of attackable"),
        percent("attackable_success_float", "before rounding"),
        percent("early_fooled", "All early exits fooled"),
        percent("final_kept", "Final label kept"),
        decimals("l2_mean", "L2, mean", 3),
        decimals("linf_mean", "Linf, mean", 4),
        text("policy", "Policy"),
        decimals("mean_exit_benign", "Mean exit, benign", 2),
        decimals("mean_exit_adversarial", "adversarial", 2),
    ];
    Table {
        name: "early-attack".into(),
        title: "RQ4: the Early Attack by its settings".into(),
        caption: "One row per set, on the network that it was crafted on; success as in early-success, of the stored \
                  8-bit images but for the column before rounding, which is of the attackable images too. Sizes are \
                  of the perturbation as stored, samples in [0, 1]; the mean exit is under the network's first policy."
            .into(),
        columns: columns.to_vec(),
        rows: sets.iter().map(row).collect(),
    }
}

fn row(set: &Setting<'_, '_>) -> Vec<Cell> {
    let (comparison, crafted) = (set.comparison, set.crafted);
    let given = comparison.given();
    let found = EarlySuccess::of(comparison);
    let why = if found.is_none() { NO_EARLY_EXIT } else { NO_IMAGES };
    let none = if found.is_none() || comparison.is_empty() { why } else { NONE_ATTACKABLE };
    let of_all = |part: fn(&EarlySuccess) -> usize| {
        known(found.as_ref().and_then(|found| share(part(found), found.images)), why)
    };
    let told = |what: &dyn Fn(&Summary) -> Cell| crafted.map_or_else(|| absent(NOT_CRAFTED_HERE), what);
    vec![
        word(given.network),
        word(set.series),
        Cell::Number(set.alpha),
        number(comparison.len()),
        of_all(|found| found.success),
        known(found.as_ref().and_then(EarlySuccess::attackable_rate), none),
        told(&|summary| known(summary.success.map(|[float, _]| float), none)),
        of_all(|found| found.early_fooled),
        of_all(|found| found.final_kept),
        told(&|summary| Cell::Number(summary.size.mean.l2)),
        told(&|summary| Cell::Number(summary.size.mean.linf)),
        word(given.policy_name),
        known(comparison.benign().mean_exit, NO_IMAGES),
        known(comparison.adversarial().mean_exit, NO_IMAGES),
    ]
}

/// Success over alpha, a figure per network, a series for what has several alphas.
pub fn figures(points: &[Point]) -> Vec<Figure> {
    let mut networks: BTreeMap<&str, BTreeMap<&str, Vec<[f64; 2]>>> = BTreeMap::new();
    for Point { network, series, alpha, success } in points {
        let network = networks.entry(network).or_default();
        network.entry(series).or_default().push([*alpha, *success]);
    }
    for settings in networks.values_mut() {
        settings.retain(|_, points| points.iter().any(|[alpha, _]| *alpha != points[0][0]));
    }
    networks.retain(|_, settings| !settings.is_empty());
    let mut slugs = Slugs::default();
    let figures = networks.into_iter().map(|(network, settings)| Figure {
        name: format!("early-alpha-{}", slugs.of(network)),
        title: format!("Early Attack success by alpha: {network}"),
        caption: "Fraction of all images whose early exits are all fooled while the final label is kept."
            .into(),
        x: Axis { logarithmic: true, ..axis("Alpha") },
        y: fraction_axis("Success"),
        series: settings
            .into_iter()
            .map(|(settings, mut points)| {
                points.sort_by(|a, b| a[0].total_cmp(&b[0]));
                Series { name: settings.to_owned(), mark: Mark::Line, points }
            })
            .collect(),
    });
    figures.collect()
}
