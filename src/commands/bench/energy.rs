//! `bench --meter`: what an image costs.

use clap::Args;
use offramp_models::dataset::Dataset;
use offramp_runtime::backend::processor::Processor;
use offramp_runtime::bench::energy::{ExitEnergy, Metered};
use offramp_runtime::bench::record::{Energy, Load, Pair, Record, SCHEMA_VERSION};
use offramp_runtime::bench::{Comparison, Subject, SubjectError};
use offramp_runtime::meter::protocol::{self, Verdict};
use offramp_runtime::meter::state::BoardState;
use offramp_runtime::meter::statistics::Estimate;
use offramp_runtime::meter::{Joules, Meter, NotMeasured};
use offramp_runtime::pipeline::Pipeline;

use crate::energy::{WindowFlags, with_exits};
use crate::meters::MeterChoice;
use crate::provenance;
use crate::status::hint;
use crate::workload::{Workload, WorkloadFlags};

/// What is measured besides time.
#[derive(Args)]
#[command(next_help_heading = "Energy")]
pub struct EnergyTrials {
    #[command(flatten)]
    windows: WindowFlags,
    /// Measure what an image costs by the exit where it stops: exits one by one, and mixtures of them
    #[arg(long, requires = "meter")]
    energy_per_exit: bool,
}

impl EnergyTrials {
    /// The meter, where one was asked for. Nothing is measured with one that was not: it takes minutes.
    ///
    /// # Errors
    /// When a meter that was asked for by name cannot be used.
    pub fn meter(&self, flags: &WorkloadFlags) -> anyhow::Result<Result<Box<dyn Meter>, NotMeasured>> {
        if flags.meter.meter.is_none() {
            return Ok(Err(NotMeasured::energy(
                "no meter was asked for; --meter auto takes the best there is",
            )));
        }
        let meter = flags.meter.open(&MeterChoice::None)?;
        if let (Err(reason), true) = (&meter, self.energy_per_exit) {
            let error = anyhow::anyhow!("there is no energy by exit: {}", reason.why);
            return Err(hint(error, "`offramp meter list` tells what there is"));
        }
        Ok(meter)
    }

    /// Measures `subjects` in turns.
    ///
    /// # Errors
    /// When the meter or a subject fails.
    pub fn measure(
        &self,
        flags: &WorkloadFlags,
        meter: &mut dyn Meter,
        subjects: &mut [Subject<'_, SubjectError>],
        pipeline: &Pipeline,
        data: &dyn Dataset,
    ) -> anyhow::Result<Energy> {
        let exits = pipeline.exits().len();
        let mut metered: Vec<_> = subjects.iter_mut().map(|subject| Metered::new(subject, exits)).collect();
        let host = flags.meter.host();
        if !self.energy_per_exit {
            let mut loads: Vec<_> = metered.iter_mut().map(|load| load as &mut dyn protocol::Load).collect();
            let session = self.windows.measure(&host, meter, &mut loads)?;
            return Ok(Energy::of(&session, loads.len(), None));
        }
        with_exits(pipeline, data, |forced| {
            let (first, mut by_exit) = (metered.len(), forced.loads());
            let subjects = metered.iter_mut().map(|load| load as &mut dyn protocol::Load);
            let mut loads: Vec<_> =
                subjects.chain(by_exit.iter_mut().map(|load| load as &mut dyn protocol::Load)).collect();
            let session = self.windows.measure(&host, meter, &mut loads)?;
            Ok(Energy::of(&session, first, Some(forced.energies(&session, first))))
        })
    }
}

/// What came out, as it is kept.
///
/// # Errors
/// When the data cannot be read again.
pub fn record(
    flags: &WorkloadFlags,
    workload: &Workload,
    data: Vec<String>,
    measured: &Comparison,
    energy: Result<Energy, NotMeasured>,
    board: BoardState,
) -> anyhow::Result<Record> {
    let Workload { prepared, chosen, .. } = workload;
    let exits = prepared.pipeline.exits().len();
    let (energy, not_measured) = match energy {
        Ok(energy) => (Some(energy), Vec::new()),
        Err(reason) => (None, vec![reason]),
    };
    Ok(Record {
        schema_version: SCHEMA_VERSION,
        producer: concat!("offramp ", env!("CARGO_PKG_VERSION")).to_owned(),
        machine: Processor::here().to_string(),
        bundle: prepared.bundle_name(),
        backend: prepared.backend_name(),
        threads: prepared.threads.threads,
        spinning: prepared.threads.spinning,
        policy: chosen.file.policy.clone(),
        data,
        data_sha256: provenance::digest(&flags.input.input, prepared.bundle.manifest())?,
        board,
        loads: measured.subjects.iter().map(|measured| Load::of(measured, exits)).collect(),
        ratios: measured.ratios.clone(),
        energy,
        not_measured,
    })
}

/// For people.
pub fn tell(found: &Energy) -> String {
    let idle = |at: usize| found.idle[at].map_or("unknown".to_owned(), |power| power.to_string());
    let domain = found.meter.domain.as_deref().unwrap_or("no total");
    let cost = found.meter.cpu_share.map_or(String::new(), |share| {
        let power = found.meter.cost.map_or("less than it can tell".to_owned(), |power| power.to_string());
        format!("; measuring takes {:.2} % of a core, {power}", share * 100.0)
    });
    let mut lines = vec![format!(
        "energy by {}, {domain}: idle {} before, {} after{cost}",
        found.meter.source,
        idle(0),
        idle(1)
    )];
    for energy in &found.loads {
        let of = energy.windows + energy.rejected;
        let stopped: Vec<String> = energy
            .exits
            .iter()
            .map(|count| format!("{:.1}", 100.0 * *count as f64 / energy.images.max(1) as f64))
            .collect();
        lines.push(format!(
            "  {}: net {}, gross {} per image; {} of {of} windows count; % by exit: {}",
            energy.load,
            spread(energy.net, energy.net_interval),
            spread(energy.gross, energy.gross_interval),
            energy.windows,
            stopped.join(" ")
        ));
    }
    for Pair { name, against, found } in &found.pairs {
        let difference = match found.difference {
            Some(Estimate { mean, .. }) => {
                let told = match found.interval {
                    Some(half) => format!("{} per image", Joules(mean).within(half)),
                    None => format!("{} per image, no interval", Joules(mean)),
                };
                let ratio = found.ratio.map_or(String::new(), |ratio| format!(", ratio {ratio:.4}"));
                let kind = if found.net { "net" } else { "gross" };
                let pairs = found.difference.map_or(0, |difference| difference.count);
                format!("{told} {kind}{ratio}, over {pairs} pairs of windows")
            }
            None => "unknown".to_owned(),
        };
        lines.push(format!(
            "  {name} less {against}: {difference}: {}",
            verdict(found.verdict, found.resolution)
        ));
    }
    if let Some(exits) = &found.exits {
        lines.extend(exits.exits.iter().map(tell_exit));
        if let Some(why) = &exits.not_fitted {
            lines.push(format!("  mixtures: {why}"));
        }
        if let Some(worst) =
            exits.held_out.iter().filter_map(|held| Some(held.relative?.abs())).reduce(f64::max)
        {
            lines.push(format!(
                "  mixtures that the fit did not see: predicted within {:.2} % ({} windows)",
                worst * 100.0,
                exits.held_out.len()
            ));
        }
    }
    let not_bounded = found.not_bounded();
    if !not_bounded.is_empty() {
        lines.push(format!("  in no interval, because no bound is known: {}", not_bounded.join(", ")));
    }
    lines.extend(found.doubts().iter().map(|doubt| format!("  {doubt}")));
    lines.join("\n")
}

fn tell_exit(exit: &ExitEnergy) -> String {
    let fitted = exit.fitted.and_then(|fitted| Some((fitted.energy?, fitted.half_width)));
    let fitted = fitted.map_or(String::new(), |(energy, half)| {
        let told = half.map_or_else(|| format!("{energy}, no interval"), |half| energy.within(half));
        format!(", from mixtures {told}")
    });
    format!("  exit {}: {} net per image{fitted}", exit.exit, spread(exit.forced, exit.forced_interval))
}

fn spread(estimate: Option<Estimate>, half: Option<Joules>) -> String {
    match (estimate, half) {
        (Some(estimate), Some(half)) => Joules(estimate.mean).within(half),
        (Some(estimate), None) => Joules(estimate.mean).to_string(),
        (None, _) => "unknown".to_owned(),
    }
}

fn verdict(verdict: Verdict, resolution: Option<Joules>) -> String {
    match resolution.filter(|_| verdict == Verdict::BelowResolution) {
        Some(least) => format!("{verdict}, {least} per image"),
        None => verdict.to_string(),
    }
}
