//! The demo's last part: the same network under attack.

use std::num::NonZeroUsize;

use offramp_models::dataset::{Dataset, Samples, Stack};
use offramp_models::preprocess::Preprocessor;
use offramp_runtime::report::Report;
use offramp_study::adversarial::{self, Craft, Labels};
use offramp_study::method::{Kind, Method, Target};
use offramp_study::oracle::GraphOracle;
use serde::Serialize;

use super::run;
use crate::output;
use crate::workload::Workload;

/// Pictures that are attacked.
pub const PICTURES: usize = 64;
/// Greatest change of a sample.
const EPSILON: f32 = 8.0 / 255.0;
/// Images at once while crafting.
const BATCH: NonZeroUsize = NonZeroUsize::MIN.saturating_add(31);

/// A run, and which pictures it ran.
#[derive(Serialize)]
pub struct Attacked {
    /// `benign` or the attack.
    pub name: &'static str,
    /// What came out.
    pub report: Report,
}

/// Runs `workload`'s pictures as they are, and perturbed to be answered wrongly and to leave late.
pub fn attacked(mut workload: Workload, threads: Option<usize>) -> anyhow::Result<Vec<Attacked>> {
    let policy = workload.chosen.file.policy.clone();
    let wrong = Method { exits: Some(Target::Policy), ..Method::new(Kind::Pgd) };
    let attacks = [("pgd on the policy", wrong), ("deepsloth", Method::new(Kind::Deepsloth))];
    let mut sets: Vec<(&'static str, Box<dyn Dataset>)> = Vec::new();
    {
        let prepared = &workload.prepared;
        let mut oracle = GraphOracle::open(&prepared.bundle, prepared.backend.as_ref(), threads)?;
        let shape = Preprocessor::new(&prepared.bundle.manifest().input)?.shape();
        for (name, method) in attacks {
            let method = Method { epsilon: Some(EPSILON), ..method };
            let (labels, batch, crafting) = (Labels::Data, BATCH, BATCH);
            let craft = Craft { method, policy: policy.clone(), labels, batch, crafting };
            let bar = output::progress(1, name);
            let set =
                adversarial::craft(&mut oracle, workload.data.as_ref(), shape, &craft, &mut |progress| {
                    bar.set_length(progress.of as u64);
                    bar.set_position(progress.done as u64);
                    true
                });
            bar.finish_and_clear();
            let set = set?;
            let labels = set.images.iter().map(|image| image.label).collect::<Option<_>>();
            sets.push((
                name,
                Box::new(Stack::new(name.to_owned(), shape, Samples::U8(set.samples), labels)?),
            ));
        }
    }
    let mut found = vec![Attacked { name: "benign", report: run(&workload)? }];
    for (name, set) in sets {
        workload.data = set;
        found.push(Attacked { name, report: run(&workload)? });
    }
    Ok(found)
}

/// The runs side by side.
pub fn table(runs: &[Attacked]) -> String {
    let percent = |fraction: Option<f64>| fraction.map_or("-".to_owned(), |f| format!("{:.1} %", f * 100.0));
    let mean = |run: &Attacked| run.report.latency_s.as_ref().map(|latency| latency.mean);
    let first = runs.first().and_then(mean);
    let mut text = format!("{:<20} {:>9} {:>10} {:>8} {:>6}", "", "accuracy", "mean exit", "MACs", "time");
    for run in runs {
        let (exit, macs) = (run.report.mean_exit.unwrap_or(0.0), percent(run.report.macs_fraction));
        let time =
            mean(run).zip(first).map_or("-".to_owned(), |(time, first)| format!("{:.2}", time / first));
        let (name, accuracy) = (run.name, percent(run.report.accuracy));
        text += &format!("\n{name:<20} {accuracy:>9} {exit:>10.2} {macs:>8} {time:>6}");
    }
    text
}
