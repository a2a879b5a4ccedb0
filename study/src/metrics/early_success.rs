//! RQ4: whether every early exit is fooled while the final one keeps its label, and whether that transfers.
//!
//! With `p` the final exit's label for the benign image, success is: final label `p`, every early label another.
//! Source: the project's paper, §6.2.1. Labels of the data have no part in it.
//!
//! T1 and T2 of the paper's Table 2 are not defined there. §6.2.3 says of them that the examples "either can keep the
//! final layer label the same or can change the early exit layer outputs"; the published code counts only both at once,
//! with the target network's own `p`. Here T1 is the fraction whose early labels all differ from the target's own `p`,
//! T2 the fraction whose final label stays `p`, both over all images of the set.

use super::Comparison;
use super::row::{
    NO_EARLY_EXIT, NO_IMAGES, absent, count, identity, identity_of, known, number, percent, share,
};
use super::transfer::surrogate_run;
use crate::findings::{Cell, Table};

/// What became of the images of a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EarlySuccess {
    /// Images compared.
    pub images: usize,
    /// Images that the attack may succeed on: some early exit says `p` of the benign image.
    pub attackable: usize,
    /// Images whose early exits all say another label than `p`: T1.
    pub early_fooled: usize,
    /// Images whose final label is `p`: T2.
    pub final_kept: usize,
    /// Images with both.
    pub success: usize,
    /// Attackable images with both.
    pub attackable_success: usize,
    /// Images with both and another answer than `p` under the policy.
    pub deployed: usize,
}

impl EarlySuccess {
    /// Counts the images; `None` for a network without an early exit, where there is nothing to fool.
    pub fn of(comparison: &Comparison<'_>) -> Option<Self> {
        let fates = fates(comparison)?;
        let mut found = Self::default();
        for fate in fates {
            let success = fate.success();
            found.images += 1;
            found.attackable += usize::from(fate.attackable);
            found.early_fooled += usize::from(fate.early_fooled);
            found.final_kept += usize::from(fate.final_kept);
            found.success += usize::from(success);
            found.attackable_success += usize::from(success && fate.attackable);
            found.deployed += usize::from(success && fate.answer_lost);
        }
        Some(found)
    }

    /// Fraction of all images that it succeeds on, the paper's figure; `None` without images.
    pub fn rate(&self) -> Option<f64> {
        share(self.success, self.images)
    }

    /// Fraction of the attackable images that it succeeds on; `None` without any.
    pub fn attackable_rate(&self) -> Option<f64> {
        share(self.attackable_success, self.attackable)
    }
}

/// What became of one image.
struct Fate {
    attackable: bool,
    early_fooled: bool,
    final_kept: bool,
    answer_lost: bool,
}

impl Fate {
    fn success(&self) -> bool {
        self.early_fooled && self.final_kept
    }
}

fn fates<'c>(comparison: &'c Comparison<'_>) -> Option<impl Iterator<Item = Fate> + 'c> {
    (comparison.exits() > 1).then(|| {
        comparison.images().map(|pair| {
            let (benign, adversarial) = (pair.benign, pair.adversarial);
            let p = benign.final_label();
            Fate {
                attackable: benign.early().iter().any(|exit| Some(exit.label()) == p),
                early_fooled: adversarial.early().iter().all(|exit| Some(exit.label()) != p),
                final_kept: adversarial.final_label() == p,
                answer_lost: Some(adversarial.answer.predicted) != p,
            }
        })
    })
}

pub(super) const NONE_ATTACKABLE: &str = "every image fools all early exits before the attack";

/// Success by set; a row per comparison.
pub fn table(comparisons: &[Comparison<'_>]) -> Table {
    let columns = [
        count("images", "Images"),
        count("attackable", "Attackable"),
        percent("success", "Success, of all"),
        percent("attackable_success", "Success, of attackable"),
        percent("early_fooled", "All early exits fooled"),
        percent("final_kept", "Final label kept"),
        percent("deployed_success", "Success that the policy returns"),
    ];
    let width = columns.len();
    let rows = comparisons.iter().map(|comparison| {
        let cells = match EarlySuccess::of(comparison) {
            None => vec![absent(NO_EARLY_EXIT); width],
            Some(found) => {
                let of_all = |part| known(share(part, found.images), NO_IMAGES);
                let none = if found.images == 0 { NO_IMAGES } else { NONE_ATTACKABLE };
                vec![
                    number(found.images),
                    number(found.attackable),
                    of_all(found.success),
                    known(found.attackable_rate(), none),
                    of_all(found.early_fooled),
                    of_all(found.final_kept),
                    of_all(found.deployed),
                ]
            }
        };
        [identity_of(comparison), cells].concat()
    });
    Table {
        name: "early-success".into(),
        title: "RQ4: early exits fooled, final label kept".into(),
        caption: "With p the final exit's label for the benign image: success is a final label of p and \
                  another label at every early exit. An image is attackable if some early exit says p of \
                  it before the attack; the paper divides by all images. Success that the policy returns: \
                  the answer, under thresholds and fallback, is not p. Source: the paper's §6.2.1."
            .into(),
        columns: identity().into_iter().chain(columns).collect(),
        rows: rows.collect(),
    }
}

/// T1 and T2 of sets on networks that they were not crafted on; a row per such comparison.
pub fn transfer_table(comparisons: &[Comparison<'_>]) -> Table {
    let columns = [
        count("images", "Images"),
        percent("t1", "T1: early exits fooled"),
        percent("t2", "T2: final label kept"),
        percent("both", "Both"),
        percent("both_of_successful", "Both, of those that succeed where crafted"),
    ];
    let width = columns.len();
    let foreign = comparisons.iter().filter(|of| of.given().network != of.given().surrogate);
    let rows = foreign.map(|comparison| {
        let cells = match EarlySuccess::of(comparison) {
            None => vec![absent(NO_EARLY_EXIT); width],
            Some(found) => {
                let of_all = |part| known(share(part, found.images), NO_IMAGES);
                vec![
                    number(found.images),
                    of_all(found.early_fooled),
                    of_all(found.final_kept),
                    of_all(found.success),
                    carried(comparisons, comparison),
                ]
            }
        };
        [identity_of(comparison), cells].concat()
    });
    Table {
        name: "early-transfer".into(),
        title: "RQ4: does the Early Attack transfer?".into(),
        caption: "On networks that the set was not crafted on, with p the target network's own final label \
                  for the benign image. T1: all its early exits say another label than p. T2: its final \
                  exit still says p. Over all images; the last column over those whose attack succeeds on \
                  the network it was crafted on. The paper's Table 2 does not define T1 and T2; this \
                  follows its §6.2.3, and the published code's choice of p."
            .into(),
        columns: identity().into_iter().chain(columns).collect(),
        rows: rows.collect(),
    }
}

/// Success on the target among the images that succeed on the surrogate.
fn carried(comparisons: &[Comparison<'_>], target: &Comparison<'_>) -> Cell {
    let Some(surrogate) = surrogate_run(comparisons, target) else {
        return absent("the set was not run on the network it was crafted on");
    };
    let (Some(there), Some(here)) = (fates(surrogate), fates(target)) else { return absent(NO_EARLY_EXIT) };
    let (mut successful, mut carried) = (0, 0);
    for (_, here) in there.zip(here).filter(|(there, _)| there.success()) {
        successful += 1;
        carried += usize::from(here.success());
    }
    known(share(carried, successful), "no image succeeds where crafted")
}
