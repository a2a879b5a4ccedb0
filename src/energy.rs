//! How energy is measured: windows in turns, shown as they come.

use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use offramp_models::dataset::Dataset;
use offramp_runtime::bench::energy::Exits;
use offramp_runtime::bench::record::Energy;
use offramp_runtime::bench::{Subject, SubjectError};
use offramp_runtime::meter::protocol::{Event, Load, Plan, Session, SystemClock, measure};
use offramp_runtime::meter::source::Host;
use offramp_runtime::meter::state::BoardState;
use offramp_runtime::meter::{Joules, Meter};
use offramp_runtime::pipeline::Pipeline;
use offramp_runtime::policy::PolicySpec;

use crate::status::hint;
use crate::{output, quantities};

/// How long, and how often.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Energy")]
pub struct WindowFlags {
    /// Windows of everything that is measured [default: 10]
    #[arg(long, value_name = "N", requires = "meter", value_parser = quantities::windows)]
    windows: Option<NonZeroU32>,
    /// Seconds of a window; one shorter than 10 s, 20 time constants and 200 new values of the sensor is flagged [default: the
    /// longest of these]
    #[arg(long, value_name = "S", requires = "meter", value_parser = quantities::seconds)]
    window: Option<Duration>,
}

/// Keys the mixtures of exits.
const SEED: u64 = 0;

impl WindowFlags {
    /// Measures `loads` in turns and shows how far it is.
    ///
    /// # Errors
    /// When the meter or a load fails.
    pub fn measure(
        &self,
        host: &Host,
        meter: &mut dyn Meter,
        loads: &mut [&mut dyn Load],
    ) -> anyhow::Result<Session> {
        let plan = Plan::by_rule(meter.description());
        let plan = self.windows.map_or(plan, |windows| plan.with_windows(windows.get()));
        let plan = self.window.map_or(plan, |window| plan.with_window(window));
        output::note(format!(
            "energy: for each load ({}) windows of {:?} ({}), about {:.1} min",
            loads.len(),
            plan.window,
            plan.windows,
            plan.duration(loads.len()).as_secs_f64() / 60.0
        ));
        let bar = output::progress(u64::from(plan.windows) * loads.len() as u64, "energy");
        let mut board = || BoardState::read(host);
        let session = measure(&plan, meter, &SystemClock::default(), &mut board, loads, &mut |event| {
            bar.set_message(match event {
                Event::Calibrating => "meter's cost",
                Event::WarmingUp(_) => "warming up",
                Event::Idling => "idle",
                _ => "energy",
            });
            if let Event::Measuring { done, .. } = event {
                bar.set_position(done as u64);
            }
        });
        bar.finish_and_clear();
        Ok(session?)
    }

    /// Joules of an image by the exit where it stops, net of idling, each with half of its stated 95 % interval.
    ///
    /// # Errors
    /// As [`WindowFlags::measure`]; when an exit has no window that counts or no interval, is said to give energy, or is the last
    /// and cannot be told from nothing.
    pub fn exits(
        &self,
        host: &Host,
        meter: &mut dyn Meter,
        pipeline: &Pipeline,
        data: &dyn Dataset,
    ) -> anyhow::Result<Vec<(Joules, Joules)>> {
        let exits = pipeline.exits().len();
        with_exits(pipeline, data, |forced| {
            let mut loads = forced.loads();
            loads.truncate(exits);
            let mut loads: Vec<&mut dyn Load> = loads.iter_mut().map(|load| load as &mut dyn Load).collect();
            let session = self.measure(host, meter, &mut loads)?;
            let summaries = session.summaries();
            let net = summaries.iter().map(|summary| {
                let none = || format!("no window of {} counts, or no idle one", summary.load);
                let mean = Joules(summary.net.with_context(none)?.mean);
                let alone = "one window of an exit that counts has no interval";
                let advice = "--windows 2 or more";
                let half = summary.net_interval.ok_or_else(|| hint(anyhow::anyhow!(alone), advice))?;
                anyhow::Ok((mean, half))
            });
            let net = net.collect::<anyhow::Result<Vec<_>>>()?;
            let told: Vec<String> = net.iter().map(|(mean, half)| mean.within(*half)).collect();
            output::note(format!("energy by exit, net: {}", told.join(", ")));
            for doubt in Energy::of(&session, exits, None).doubts() {
                output::note(format!("energy: {doubt}"));
            }
            let last = net.len().saturating_sub(1);
            // The whole network must cost something that is seen; an early exit may cost little, and never less than nothing.
            let not_seen = |(exit, (mean, half)): &(usize, &(Joules, Joules))| {
                mean.0 < 0.0 || (*exit == last && mean.0 <= half.0)
            };
            if let Some((exit, (mean, half))) = net.iter().enumerate().find(not_seen) {
                let told = format!(
                    "an image that stops at exit {exit} costs {} net: the meter cannot tell that from nothing",
                    mean.within(*half)
                );
                return Err(hint(
                    anyhow::anyhow!(told),
                    "longer windows (--window), or a meter of the board alone",
                ));
            }
            Ok(net)
        })
    }
}

/// Gives `each` one subject per exit of `pipeline`, each of which stops nowhere else.
///
/// # Errors
/// When segments cannot be wired, and those of `each`.
pub fn with_exits<T>(
    pipeline: &Pipeline,
    data: &dyn Dataset,
    each: impl FnOnce(&Exits<'_, SubjectError>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let exits = pipeline.exits().len();
    let policies =
        (0..exits).map(|exit| PolicySpec::fixed(exit).fit(exits)).collect::<Result<Vec<_>, _>>()?;
    let subjects = policies
        .iter()
        .enumerate()
        .map(|(exit, policy)| Subject::segments(format!("exit {exit}"), pipeline, policy.as_ref(), data));
    each(&Exits::new(subjects.collect::<Result<_, _>>()?, SEED))
}
