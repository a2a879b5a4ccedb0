//! The study's questions on recordings small enough to be answered by hand.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop at once")]

mod early;
mod exits;
mod gains;
mod inquiry;
#[path = "../scripted/mod.rs"]
mod scripted;

use offramp_runtime::bench;
use offramp_runtime::confidence::{Measure, Threshold};
use offramp_runtime::policy::{Fallback, PolicySpec, Rule};
use offramp_runtime::replay::Replay;
use offramp_runtime::statistics::{Bootstrap, Interval};
use offramp_study::adversarial::{Crafted, Score, Size, Summary};
use offramp_study::findings::{Figure, Findings, MOST_SERIES, Mark, Table};
use offramp_study::metrics::change_of_exit::{self, ChangeOfExit};
use offramp_study::metrics::confirmation::{self, Confirmed, Figures};
use offramp_study::metrics::early_attack::{self, Point, Setting};
use offramp_study::metrics::early_success::{self, EarlySuccess};
use offramp_study::metrics::efficacy::{self, Efficacy};
use offramp_study::metrics::first_flip::{self, FirstFlip};
use offramp_study::metrics::latency::{self, MeasuredLatency};
use offramp_study::metrics::returns::{Advice, Return};
use offramp_study::metrics::transfer::{self, Direction, Rates, Transfer};
use offramp_study::metrics::{
    Comparison, Costs, Inquiry, Origin, Pairing, Runs, accuracy, curve, returns, summary,
};
use scripted::{number, replay, text, unlabelled, why};

const MACS: &[u64] = &[10, 20, 40];

const PGD: Origin<'_> = Origin { crafted: true, family: "pgd", label: "pgd" };

/// All that is found of sets that are asked for one after the other.
fn inquired(sets: &[&[Comparison<'_>]], measure: Measure) -> Findings {
    let mut inquiry = Inquiry::new(["net", "other", "Net!"].map(str::to_owned).to_vec(), measure);
    sets.iter().for_each(|set| inquiry.add(set, None));
    inquiry.finish(Runs::default())
}

/// The figures whose names begin with `name`.
fn figures(findings: &Findings, name: &str) -> Vec<Figure> {
    findings.figures().filter(|figure| figure.name.starts_with(name)).cloned().collect()
}

/// A comparison on `network` of a set crafted on `surrogate`, max-softmax 0.9.
fn crossed<'a>(
    [surrogate, network]: [&'a str; 2],
    macs: &'a [u64],
    policy: &'a PolicySpec,
    [benign, adversarial]: [&'a Replay; 2],
) -> Comparison<'a> {
    let costs = Costs::counted(macs);
    let (set, policy_name) = ("pgd", "default");
    let origin = PGD;
    let pairing =
        Pairing { network, set, surrogate, origin, policy_name, policy, costs, benign, adversarial };
    Comparison::new(pairing).unwrap()
}

fn compared<'a>(policy: &'a PolicySpec, [benign, adversarial]: [&'a Replay; 2]) -> Comparison<'a> {
    let macs = &MACS[..benign.exits()];
    crossed(["net", "net"], macs, policy, [benign, adversarial])
}
