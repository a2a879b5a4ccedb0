//! Ways of placing images against each other, in turns on the same images over the same kind of link.
//!
//! Every way has connections of its own, and where a link is emulated a link of its own: what one way still has on its way holds
//! up no other. What comes out is an [`Experiment`], which `report` shows.

mod loopback;
mod result;
mod table;
mod trial;

use std::net::SocketAddr;
use std::time::Duration;

use offramp_models::dataset::Dataset;
use offramp_runtime::bench::{self, Protocol, Subject, SubjectError, WarmUp, WarmedUp};
use offramp_runtime::executor::{Departure, LocalCompletion};
use offramp_runtime::pipeline::Pipeline;
use offramp_runtime::policy::Policy;
use offramp_runtime::statistics::ratio_of_means;

use crate::client::{self, ConfigError, Model};
use crate::link::{Change, Control, LinkError, Profile};
use crate::placement::{Budget, Way};
pub use loopback::Loopback;
pub use result::{
    Cell, DataName, Experiment, FILE, Impossible, LinkName, NotTried, SCHEMA_VERSION, Terms, Tried, Verdict,
};
use trial::{ClientSide, Counts, Trial};

/// What ways are tried on.
pub struct Stage<'a> {
    /// The network on the device.
    pub pipeline: &'a Pipeline,
    /// When images stop.
    pub policy: &'a dyn Policy,
    /// What is sent at every cut.
    pub departures: &'a [Option<Departure>],
    /// The tails, by cut.
    pub models: &'a [Model],
    /// Peers and credentials. Where a link is emulated, its end is the peer.
    pub client: &'a client::Config,
    /// The link, and the server at its other end; `None` for the link that there is.
    pub link: Option<(&'a Profile, SocketAddr)>,
    /// What every emulated link is like in a second half; its events do not happen. `None` without a second half.
    pub then: Option<&'a Profile>,
    /// From an image's start to its answer.
    pub deadline: Duration,
    /// Who completes what peers do not.
    pub completion: LocalCompletion,
    /// What a client may send.
    pub budget: Budget,
    /// How long peers may take before the first image.
    pub patience: Duration,
}

/// Pictures, and what they are called.
pub struct Input<'a> {
    /// Their name in the result.
    pub name: String,
    /// The pictures.
    pub data: &'a dyn Dataset,
}

/// An experiment that cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// The link cannot be emulated.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The client can never work.
    #[error(transparent)]
    Client(#[from] ConfigError),
    /// The device cannot run an image.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// Threads cannot be started.
    #[error("cannot start threads")]
    Runtime(#[source] std::io::Error),
}

/// How many images everybody may take to find out that the link has changed; they are not measured.
pub const SETTLING: usize = 20;

/// Tries `ways` on every one of `inputs`; `each` is called after every image, of the warm-up too. A way that no peer serves, or
/// whose link is too slow for a single question, is told as [`NotTried`]. One cell comes out, or two where the link changes: the second
/// measures from [`SETTLING`] images after the change on. What is counted by clients is that of both halves.
///
/// # Errors
/// [`ExperimentError`]: what ends the experiment.
pub fn try_out(
    stage: &Stage<'_>,
    ways: &[Way],
    inputs: &[Input<'_>],
    protocol: &Protocol,
    each: &dyn Fn(),
) -> Result<Vec<Cell>, ExperimentError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(ExperimentError::Runtime)?;
    let (mut trials, mut not_tried) = (Vec::new(), Vec::new());
    for input in inputs {
        for way in ways {
            match Trial::new(stage, *way, input, runtime.handle())? {
                Ok(trial) => trials.push(trial),
                Err(why) => not_tried.push(NotTried { input: input.name.clone(), way: *way, why }),
            }
        }
    }
    let counts: Vec<_> = trials.iter().map(Trial::counts).collect();
    let links: Vec<Control> = trials.iter().filter_map(Trial::control).collect();
    let subjects = trials.iter_mut().map(|trial| trial.subject(stage, each));
    let mut subjects = subjects.collect::<Result<Vec<Subject<'_, SubjectError>>, _>>()?;
    let mut halves = Vec::new();
    let settle = WarmUp { window: SETTLING, tolerance: 0.0, most: SETTLING };
    for (then, protocol) in [(None, *protocol)]
        .into_iter()
        .chain(stage.then.map(|then| (Some(then), Protocol { warm_up: settle, ..*protocol })))
    {
        if let Some(Profile { up, down, .. }) = then {
            let change = Change::Shape { up: Some(*up), down: Some(*down) };
            links.iter().try_for_each(|link| link.apply(change)).map_err(LinkError::Profile)?;
        }
        let warmed_up = bench::warm_up(&mut subjects, &protocol)?;
        counts.iter().for_each(|counts| drop(counts.borrow_mut().begin_anew()));
        bench::measure(&mut subjects, warmed_up.clone(), &protocol)?;
        let counted: Vec<Counts> = counts.iter().map(|counts| counts.borrow_mut().begin_anew()).collect();
        halves.push((warmed_up, counted));
    }
    drop(subjects);
    let clients: Vec<ClientSide> = trials.into_iter().map(Trial::finish).collect();
    let cell = |(warmed_up, counted): (Vec<WarmedUp>, Vec<Counts>)| {
        let blocks: Vec<_> = counted.iter().map(|counts| counts.blocks(2 * protocol.turn)).collect();
        let each = clients.iter().zip(warmed_up).zip(counted);
        let tried: Vec<Tried> =
            each.map(|((client, warmed_up), counts)| client.tried(stage, warmed_up, counts)).collect();
        let verdicts = verdicts(inputs, &tried, &blocks, protocol);
        Cell { tried, verdicts, not_tried: not_tried.clone(), ..Cell::default() }
    };
    Ok(halves.into_iter().map(cell).collect())
}

/// The best fixed way of every input, and how the placement that measures compares with it.
fn verdicts(
    inputs: &[Input<'_>],
    tried: &[Tried],
    blocks: &[Vec<Vec<f64>>],
    protocol: &Protocol,
) -> Vec<Verdict> {
    let verdict = |input: &Input<'_>| {
        let here = || tried.iter().zip(blocks).filter(|(tried, _)| tried.input == input.name);
        let fixed = here().filter(|(tried, _)| tried.way != Way::Auto);
        let (best, under) = fixed.min_by(|(a, _), (b, _)| a.mean_s().total_cmp(&b.mean_s()))?;
        let auto = here().find(|(tried, _)| tried.way == Way::Auto);
        let auto_over_best = auto.and_then(|(_, over)| ratio_of_means(over, under, protocol.bootstrap));
        Some(Verdict { input: input.name.clone(), best: best.way, auto_over_best })
    };
    inputs.iter().filter_map(verdict).collect()
}
