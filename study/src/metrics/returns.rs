//! Return on investment of an exit: what it costs, what it saves, and whether it ever pays.
//!
//! The counterfactual is the same network without the exit under the same policy: who left there goes on to the next
//! exit that takes it, and nobody pays for the internal classifier.

use std::collections::HashSet;

use offramp_runtime::confidence::Prediction;
use offramp_runtime::policy::{PolicySpec, Rule, conclude};
use offramp_runtime::replay::{Evaluation, Replay};

use super::Comparison;
use super::drawing::Which;
use super::row::{
    NO_IMAGES, absent, column, count, decimals, known, measured, number, percent, share, text, word,
};
use crate::findings::{Cell, Format, Table};

/// What one exit is worth on one recording, means over all images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Return {
    /// Images whose computing gets to the exit.
    pub reached: usize,
    /// Images that leave there.
    pub left: usize,
    /// Accuracy of those that leave there; `None` without a label among them.
    pub accuracy_left: Option<f64>,
    /// What removing the exit would change; `None` for the final exit, for a policy that names one exit, and without
    /// images.
    pub removal: Option<Removal>,
}

/// The network without the exit less the network with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Removal {
    /// More MACs per image for going on past the exit, the internal classifier's own not counted.
    pub saved_macs: f64,
    /// MACs per image that the internal classifier costs, those that leave before it counted; `None` where its MACs are
    /// not known.
    pub head_macs: Option<f64>,
    /// What is saved less what the internal classifier costs; `None` where that is not known.
    pub net_macs: Option<f64>,
    /// The same in measured seconds; `None` where they were not measured.
    pub net_seconds: Option<f64>,
    /// More accuracy; `None` without labels.
    pub accuracy: Option<f64>,
}

/// Whether an exit is worth having.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// It saves more than it costs.
    Pays,
    /// It saves more than it costs, and answers less well than what comes after it.
    PaysInAccuracy,
    /// Images leave there; whether that is worth the internal classifier is not known.
    SavesUnknownCost,
    /// It costs at least what it saves, and answers better than what comes after it.
    BuysAccuracy,
    /// No image leaves there, nor earlier or more rightly because of it.
    NeverLeft,
    /// It costs at least what it saves.
    NeverPays,
}

impl Advice {
    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Pays => "pays",
            Self::PaysInAccuracy => "pays, at a loss of accuracy",
            Self::SavesUnknownCost => "saves, its own cost is unknown",
            Self::BuysAccuracy => "costs at least what it saves, for more accuracy",
            Self::NeverLeft => "never pays: no image leaves here",
            Self::NeverPays => "never pays: costs at least what it saves",
        }
    }
}

impl Return {
    /// Whether the exit is worth having, by measured seconds, else by MACs; `None` without a counterfactual.
    pub fn advice(&self) -> Option<Advice> {
        let removal = self.removal?;
        let accuracy = removal.accuracy.unwrap_or(0.0);
        // Under patience and the most confident's fallback an exit that nobody leaves at has a part in others' answers.
        let idle = self.left == 0 && removal.saved_macs <= 0.0 && accuracy >= 0.0;
        Some(match removal.net_seconds.or(removal.net_macs) {
            _ if idle => Advice::NeverLeft,
            None => Advice::SavesUnknownCost,
            Some(net) if net <= 0.0 && accuracy < 0.0 => Advice::BuysAccuracy,
            Some(net) if net <= 0.0 => Advice::NeverPays,
            Some(_) if accuracy > 0.0 => Advice::PaysInAccuracy,
            Some(_) => Advice::Pays,
        })
    }

    /// Of every exit, benign and on the set.
    pub fn of(comparison: &Comparison<'_>) -> [Vec<Self>; 2] {
        [Which::Benign, Which::Adversarial]
            .map(|which| (0..comparison.exits()).map(|exit| Self::of_exit(comparison, which, exit)).collect())
    }

    fn of_exit(comparison: &Comparison<'_>, which: Which, exit: usize) -> Self {
        let (replay, run) = (comparison.replay(which), comparison.run(which));
        let (mut labelled, mut right) = (0, 0);
        let here = comparison.answers(which).iter().zip(replay.labels());
        for (answer, label) in here.filter(|(answer, _)| answer.exit == exit) {
            labelled += usize::from(label.is_some());
            right += usize::from(*label == Some(answer.predicted));
        }
        Self {
            reached: run.counts.iter().skip(exit).sum(),
            left: run.counts.get(exit).copied().unwrap_or(0),
            accuracy_left: share(right, labelled),
            removal: Removal::of(comparison, replay, run, exit),
        }
    }
}

impl Removal {
    fn of(comparison: &Comparison<'_>, replay: &Replay, run: &Evaluation, removed: usize) -> Option<Self> {
        let (given, exits) = (comparison.given(), comparison.exits());
        let policy = without(given.policy, exits, removed)?.fit(exits - 1).ok()?;
        let (mut counts, mut labelled, mut right) = (vec![0_usize; exits], 0, 0);
        let mut kept: Vec<Prediction> = Vec::with_capacity(exits);
        for (predictions, label) in replay.images().zip(replay.labels()) {
            kept.clear();
            kept.extend(
                predictions.iter().enumerate().filter(|(at, _)| *at != removed).map(|(_, exit)| *exit),
            );
            let answer = (1..exits).find_map(|seen| conclude(policy.as_ref(), exits - 1, &kept[..seen]))?;
            counts[answer.exit + usize::from(answer.exit >= removed)] += 1;
            labelled += usize::from(label.is_some());
            right += usize::from(*label == Some(kept[answer.answer_exit].label()));
        }
        let costs = given.costs;
        let macs = |counts: &[usize]| mean(counts, costs.macs.iter().map(|macs| *macs as f64));
        let seconds = |counts: &[usize]| mean(counts, costs.seconds?.iter().copied());
        let past = share(counts.iter().skip(removed + 1).sum(), run.images)?;
        let saved_macs = macs(&counts)? - macs(&run.counts)?;
        let head_macs = costs.head_macs.and_then(|heads| heads.get(removed)).map(|head| *head as f64);
        let head_seconds = costs.head_seconds.and_then(|heads| heads.get(removed));
        let saved_seconds = seconds(&counts).zip(seconds(&run.counts)).map(|(without, with)| without - with);
        let accuracy = share(right, labelled);
        Some(Self {
            saved_macs,
            head_macs: head_macs.map(|head| past * head),
            net_macs: head_macs.map(|head| saved_macs - past * head),
            net_seconds: saved_seconds.zip(head_seconds).map(|(saved, head)| saved - past * head),
            accuracy: accuracy.zip(run.accuracy).map(|(without, with)| without - with),
        })
    }
}

/// Mean cost of images that leave by exit.
fn mean(counts: &[usize], costs: impl Iterator<Item = f64>) -> Option<f64> {
    let images: usize = counts.iter().sum();
    let sum: f64 = counts.iter().zip(costs).map(|(count, cost)| *count as f64 * cost).sum();
    (images > 0).then(|| sum / images as f64)
}

/// The policy for the network without `exit`.
fn without(policy: &PolicySpec, exits: usize, exit: usize) -> Option<PolicySpec> {
    if exit + 1 >= exits {
        return None;
    }
    let mut policy = policy.clone();
    match &mut policy.rule {
        Rule::Confidence { thresholds, .. } if thresholds.len() > 1 => drop(thresholds.remove(exit)),
        Rule::Confidence { .. } | Rule::Patience { .. } => {}
        _ => return None,
    }
    Some(policy)
}

/// What every exit costs and saves, a row per network with an early exit, policy, images and exit.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    rows: Vec<Vec<Cell>>,
    /// Networks and policies whose benign images were told.
    told: HashSet<[String; 2]>,
}

impl Ledger {
    /// Adds the set of a comparison, and the benign images unless they were told. Sets crafted on another network are left
    /// out.
    pub fn add(&mut self, comparison: &Comparison<'_>) {
        let given = comparison.given();
        if comparison.exits() < 2 || given.surrogate != given.network {
            return;
        }
        let told = !self.told.insert([given.network, given.policy_name].map(str::to_owned));
        let benign = (!told).then_some((Which::Benign, "benign"));
        for (which, images) in benign.into_iter().chain([(Which::Adversarial, given.set)]) {
            let exits = (0..comparison.exits()).map(|exit| (exit, Return::of_exit(comparison, which, exit)));
            self.rows.extend(exits.map(|(exit, found)| row(comparison, images, exit, &found)));
        }
    }

    /// The table.
    pub fn table(self) -> Table {
        Table {
            name: "exit-returns".into(),
            title: "What every exit costs and saves".into(),
            caption: "Against the same network without the exit, under the same policy: who left there goes on \
                      to the next exit that takes it. Saved: the MACs of going on, mean over all images. \
                      Cost: the MACs of the exit's own internal classifier, which everybody who gets there pays: \
                      what no other exit needs. Net: saved less cost. Accuracy: without the exit less with it. An exit that never pays is better \
                      removed; judged by measured time where there is one, else by MACs. Networks of one exit \
                      and sets crafted on other networks have no row."
                .into(),
            columns: vec![
                text("network", "Network"),
                text("policy", "Policy"),
                text("images", "Images"),
                count("exit", "Exit"),
                text("advice", "Advice"),
                count("reached", "Reached by"),
                count("left", "Left by"),
                percent("accuracy_left", "Accuracy of those"),
                count("head_macs", "MACs of its classifier"),
                column("cost_macs", "Cost, MACs per image", Format::Decimals(0)),
                column("saved_macs", "Saved", Format::Decimals(0)),
                column("net_macs", "Net", Format::Decimals(0)),
                measured("net_s", "Net time per image", Format::Seconds),
                decimals("accuracy_without", "Accuracy gained without it", 4),
            ],
            rows: self.rows,
        }
    }
}

fn row(comparison: &Comparison<'_>, images: &str, exit: usize, found: &Return) -> Vec<Cell> {
    let given = comparison.given();
    let final_exit = exit + 1 == comparison.exits();
    let why = match (comparison.is_empty(), final_exit) {
        (true, _) => NO_IMAGES,
        (_, true) => "the final exit cannot be removed",
        _ => "the policy names its exit",
    };
    let removal = |figure: fn(Removal) -> Option<f64>, unknown: &str| match found.removal {
        Some(removal) => known(figure(removal), unknown),
        None => absent(why),
    };
    let head = given.costs.head_macs.and_then(|heads| heads.get(exit)).map(|head| *head as f64);
    const UNKNOWN_HEAD: &str = "the MACs of the internal classifier alone are not known";
    let no_accuracy = if found.left == 0 { "no image leaves here" } else { "no labels" };
    vec![
        word(given.network),
        word(given.policy_name),
        word(images),
        number(exit),
        found.advice().map_or_else(|| absent(why), |advice| word(advice.text())),
        number(found.reached),
        number(found.left),
        known(found.accuracy_left, no_accuracy),
        if final_exit { absent(why) } else { known(head, UNKNOWN_HEAD) },
        removal(|of| of.head_macs, UNKNOWN_HEAD),
        removal(|of| Some(of.saved_macs), why),
        removal(|of| of.net_macs, UNKNOWN_HEAD),
        removal(|of| of.net_seconds, "latency by exit and by classifier was not measured"),
        removal(|of| of.accuracy, "no labels"),
    ]
}
