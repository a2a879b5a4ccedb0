//! The table of sets: what each changes, and how much of it survives 8 bits.

use crate::adversarial::SetManifest;
use crate::findings::{Cell, Column, Format, Table};

const NO_AIM: &str = "the aim is no matter of yes or no";
const NOTHING: &str = "no image can be attacked";

/// The table of `rows`.
pub(super) fn table(rows: Vec<Vec<Cell>>) -> Table {
    let columns = [
        ("set", "Set", Format::Text),
        ("surrogate", "Crafted on", Format::Text),
        ("images", "Images", Format::Count),
        ("attackable", "Attackable", Format::Count),
        ("success_float", "Success before rounding", Format::Percent),
        ("success_8bit", "Success as stored", Format::Percent),
        ("linf_mean", "Linf, mean", Format::Decimals(4)),
        ("linf_max", "Linf, greatest", Format::Decimals(4)),
        ("l2_mean", "L2, mean", Format::Decimals(3)),
        ("l2_max", "L2, greatest", Format::Decimals(3)),
        ("l1_mean", "L1, mean", Format::Decimals(1)),
        ("l1_max", "L1, greatest", Format::Decimals(1)),
    ];
    let columns = columns.map(|(name, head, format)| Column {
        name: name.to_owned(),
        head: head.to_owned(),
        format,
        measured: false,
    });
    Table {
        name: "sets".into(),
        title: "Adversarial sets, before and after rounding to 8 bits".into(),
        caption: "Success is on the network that the set was crafted on, of the attackable images: those that the aim \
                  did not hold for already. Sizes are of the perturbation as stored, samples in [0, 1]."
            .into(),
        columns: columns.into(),
        rows,
    }
}

/// The row of one set.
pub(super) fn row(set: &str, surrogate: &str, manifest: &SetManifest) -> Vec<Cell> {
    let summary = &manifest.summary;
    let attackable = match summary.attackable {
        Some(images) => Cell::Number(images as f64),
        None => Cell::NotMeasured(NO_AIM.to_owned()),
    };
    let success = match summary.success {
        Some(success) => success.map(Cell::Number),
        None => {
            let why = if summary.attackable.is_some() { NOTHING } else { NO_AIM };
            [why, why].map(|why| Cell::NotMeasured(why.to_owned()))
        }
    };
    let (mean, max) = (summary.size.mean, summary.size.max);
    let sizes = [mean.linf, max.linf, mean.l2, max.l2, mean.l1, max.l1].map(Cell::Number);
    let identity = [set, surrogate].map(|word| Cell::Text(word.to_owned()));
    let counts = [Cell::Number(summary.images as f64), attackable];
    identity.into_iter().chain(counts).chain(success).chain(sizes).collect()
}
