//! RQ4: the Early Attack's success by the weight of the final label.

use std::collections::BTreeMap;

use super::Comparison;
use super::drawing::{axis, fraction_axis};
use super::early_success::{EarlySuccess, NONE_ATTACKABLE};
use super::group::Slugs;
use super::row::{NO_EARLY_EXIT, NO_IMAGES, column, count, known, number, percent, share, text, word};
use crate::findings::{Axis, Cell, Figure, Format, Mark, Series, Table};

/// One set of an alpha sweep.
#[derive(Clone, Copy, Debug)]
pub struct Swept<'c, 'a> {
    /// What is held while alpha changes: the mode.
    pub series: &'c str,
    /// The weight of the final label.
    pub alpha: f64,
    /// The set on the network it was crafted on.
    pub comparison: &'c Comparison<'a>,
}

/// Success by alpha; a row per set.
pub fn table(sets: &[Swept<'_, '_>]) -> Table {
    let columns = [
        text("network", "Network"),
        text("mode", "Mode"),
        column("alpha", "Alpha", Format::Decimals(3)),
        count("images", "Images"),
        percent("success", "Success, of all"),
        percent("attackable_success", "Success, of attackable"),
        percent("early_fooled", "All early exits fooled"),
        percent("final_kept", "Final label kept"),
    ];
    let rows = sets.iter().map(|set| {
        let found = EarlySuccess::of(set.comparison);
        let why = if found.is_none() { NO_EARLY_EXIT } else { NO_IMAGES };
        let of_all = |part: fn(&EarlySuccess) -> usize| {
            known(found.as_ref().and_then(|found| share(part(found), found.images)), why)
        };
        let attackable = found.as_ref().and_then(EarlySuccess::attackable_rate);
        let none = if set.comparison.is_empty() { why } else { NONE_ATTACKABLE };
        vec![
            word(set.comparison.given().network),
            word(set.series),
            Cell::Number(set.alpha),
            number(set.comparison.len()),
            of_all(|found| found.success),
            known(attackable, if found.is_none() { why } else { none }),
            of_all(|found| found.early_fooled),
            of_all(|found| found.final_kept),
        ]
    });
    Table {
        name: "early-alpha".into(),
        title: "RQ4: success by alpha".into(),
        caption: "The Early Attack with several weights of the final label; success as in early-success."
            .into(),
        columns: columns.to_vec(),
        rows: rows.collect(),
    }
}

/// Success over alpha, a figure per network, a series per mode; alphas that are not positive have no place on its axis.
pub fn figures(sets: &[Swept<'_, '_>]) -> Vec<Figure> {
    let mut networks: BTreeMap<&str, BTreeMap<&str, Vec<[f64; 2]>>> = BTreeMap::new();
    for set in sets.iter().filter(|set| set.alpha > 0.0) {
        if let Some(rate) = EarlySuccess::of(set.comparison).and_then(|found| found.rate()) {
            let network = networks.entry(set.comparison.given().network).or_default();
            network.entry(set.series).or_default().push([set.alpha, rate]);
        }
    }
    let mut slugs = Slugs::default();
    let figures = networks.into_iter().map(|(network, modes)| Figure {
        name: format!("early-alpha-{}", slugs.of(network)),
        title: format!("Early Attack success by alpha: {network}"),
        caption: "Fraction of all images whose early exits are all fooled while the final label is kept."
            .into(),
        x: Axis { logarithmic: true, ..axis("Alpha") },
        y: fraction_axis("Success"),
        series: modes
            .into_iter()
            .map(|(mode, mut points)| {
                points.sort_by(|a, b| a[0].total_cmp(&b[0]));
                Series { name: mode.to_owned(), mark: Mark::Line, points }
            })
            .collect(),
    });
    figures.collect()
}
