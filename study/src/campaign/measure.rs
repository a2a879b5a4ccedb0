//! What only running tells: latency on two inputs in turns, the way to every exit, and whether predictions hold.

use std::num::NonZeroUsize;

use offramp_models::dataset::Dataset;
use offramp_runtime::bench::{Comparison, Protocol, Subject, SubjectError, compare};
use offramp_runtime::pass::{self, PassError, PassOptions};
use offramp_runtime::pipeline::Pipeline;
use offramp_runtime::policy::{Policy, PolicyFile};
use offramp_runtime::replay::Replay;
use offramp_runtime::report::Subject as Reported;
use offramp_runtime::statistics::Bootstrap;
use serde::{Deserialize, Serialize};

use super::CampaignError;
use super::config::LatencySpec;
use super::row::no_meter;
use crate::metrics::confirmation::Figures as Point;
use offramp_models::Sha256;
use offramp_runtime::report::{BackendName, BundleName};

/// What exits cost on this machine, and what a run makes of predictions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Returns {
    /// The network.
    pub network: BundleName,
    /// Mean seconds to each exit, by always stopping there.
    pub exit_latency_s: Vec<f64>,
    /// Policies, predicted by replay and really run on the images as they were.
    pub confirmations: Vec<Confirmation>,
}

/// One policy, predicted and run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confirmation {
    /// The policy's name.
    pub policy: String,
    /// Digest of the policy.
    pub key: Sha256,
    /// From the recording.
    pub predicted: Point,
    /// From running.
    pub run: Point,
}

/// Images whose latency is measured per exit.
const TIMED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(99);

/// Latency under `policy` on the images as they were and on the input, by interleaved blocks.
pub(super) fn latency(
    pipeline: &Pipeline,
    policy: &dyn Policy,
    [benign, input]: [&dyn Dataset; 2],
    name: &str,
    spec: LatencySpec,
    seed: u64,
) -> Result<Comparison, SubjectError> {
    let mut subjects = [
        Subject::segments("benign".to_owned(), pipeline, policy, benign)?,
        Subject::segments(name.to_owned(), pipeline, policy, input)?,
    ];
    let bootstrap = Bootstrap { seed, ..Bootstrap::default() };
    let protocol =
        Protocol { blocks: spec.blocks.get(), turn: spec.turn.get(), bootstrap, ..Protocol::default() };
    compare(&mut subjects, &protocol)
}

/// Measures the way to every exit and runs `policies` on `data`, whose recording is `replay`.
pub(super) fn returns(
    network: BundleName,
    backend: BackendName,
    pipeline: &Pipeline,
    data: &dyn Dataset,
    replay: &Replay,
    policies: &[(String, Sha256, PolicyFile)],
) -> Result<Returns, CampaignError> {
    let failed = |source: PassError| CampaignError::Run {
        network: network.name.clone(),
        input: "benign".to_owned(),
        source: Box::new(source),
    };
    let macs: Vec<u64> = pipeline.exits().iter().map(|exit| exit.macs).collect();
    let exit_latency_s = pass::exit_latencies(pipeline, data, TIMED, || {}).map_err(failed)?;
    let mut confirmations = Vec::with_capacity(policies.len());
    for (name, key, file) in policies {
        let policy = file.policy.fit(macs.len()).map_err(PassError::from).map_err(failed)?;
        let predicted = Point::predicted(&replay.evaluate(policy.as_ref(), &macs), Some(&exit_latency_s));
        let tally = pass::run(pipeline, policy.as_ref(), data, PassOptions::default(), None, |_, _| {
            Ok::<_, PassError>(())
        })
        .map_err(failed)?;
        let subject = Reported {
            bundle: network.clone(),
            backend: backend.clone(),
            policy: file.policy.clone(),
            macs: &macs,
        };
        let report = tally.report(subject, Err(no_meter()));
        let run = Point::from(&report);
        confirmations.push(Confirmation { policy: name.clone(), key: *key, predicted, run });
    }
    Ok(Returns { network, exit_latency_s, confirmations })
}
