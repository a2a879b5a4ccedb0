//! Images that are completed elsewhere get the answers that they would have had here.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod scripted;

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use offramp_runtime::backend::{HostTensor, Value};
use offramp_runtime::confidence::Threshold;
use offramp_runtime::executor::{Departure, Executor, LocalCompletion, Offload};
use offramp_runtime::pipeline::{Feed, Pipeline};
use offramp_runtime::policy::{PolicySpec, Rule};
use offramp_runtime::remote::{Answered, By, Completion, Cut, Pending, Placement, Remote, Waited};
use proptest::prelude::*;
use scripted::Table;

/// What a scripted peer does with a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Peer {
    /// Answers from the table after this many looks, each of which takes no time.
    Answers { looks: usize },
    /// Answers with a logit too few.
    AnswersShort,
    /// Says that there will be no answer.
    Fails,
    /// Takes nothing.
    Declines,
    /// Never answers.
    Hangs,
}

struct Scripted<'t> {
    table: &'t Table,
    /// Sends what comes to this cut.
    at: usize,
    peer: Peer,
    asked: usize,
    answered: Vec<Answered>,
}

struct Request {
    peer: Peer,
    looks: usize,
    logits: Vec<f32>,
}

impl Pending for Request {
    fn wait(&mut self, until: Instant) -> Waited {
        self.looks += 1;
        match self.peer {
            Peer::Answers { looks } if self.looks > looks => {
                Waited::Answer(Completion { logits: std::mem::take(&mut self.logits) })
            }
            Peer::AnswersShort => Waited::Answer(Completion { logits: self.logits[1..].to_vec() }),
            Peer::Answers { .. } => Waited::NotYet,
            Peer::Fails => Waited::Failed,
            _ => {
                std::thread::sleep(until.saturating_duration_since(Instant::now()));
                Waited::NotYet
            }
        }
    }
}

impl Remote for Scripted<'_> {
    fn place(&mut self, cut: Cut<'_>) -> Placement {
        assert_eq!(cut.ahead.len(), self.table.exits - cut.segment);
        if cut.segment == self.at { Placement::Offload } else { Placement::Local }
    }

    fn complete(&mut self, cut: Cut<'_>, values: &[Value], _: Instant) -> Option<Box<dyn Pending>> {
        self.asked += 1;
        if self.peer == Peer::Declines {
            return None;
        }
        let mut bytes = vec![0; cut.images * 4];
        values[0].read_bytes(0, &mut bytes).unwrap();
        let images = bytes.chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()) as usize);
        let images: Vec<usize> = images.collect();
        let (table, exits) = (self.table, cut.segment..self.table.exits);
        let logits = exits.flat_map(|exit| images.iter().flat_map(move |image| table.row(*image, exit)));
        Some(Box::new(Request { peer: self.peer, looks: 0, logits: logits.copied().collect() }))
    }

    fn answered(&mut self, answered: Answered) {
        self.answered.push(answered);
    }
}

/// What the tail of the scripted segments takes: the number of the image, wherever it is to be had.
fn departures(pipeline: &Pipeline) -> Vec<Option<Departure>> {
    let feeds =
        pipeline.stages().iter().map(|stage| Departure { feeds: stage.feeds[..1].to_vec(), wire: None });
    let departures: Vec<_> = feeds.map(Some).collect();
    assert_eq!(departures[0].as_ref().unwrap().feeds, [Feed::Image]);
    departures
}

/// Exit, answering exit and label of every image, and who answered.
type Said = (usize, usize, usize, Option<By>);

struct Run {
    said: Vec<Said>,
    answered: Vec<Answered>,
    asked: usize,
    slowest: Duration,
}

/// How a table is run.
#[derive(Clone, Copy)]
struct Setting {
    batch: usize,
    /// Where images are sent, and what becomes of them.
    offload: Option<(usize, Peer)>,
    deadline: Duration,
    completion: LocalCompletion,
    /// Whether the device knows how long its segments take.
    warm: bool,
}

impl Setting {
    /// One image at a time.
    fn sent(at: usize, peer: Peer, deadline_ms: u64) -> Self {
        let deadline = Duration::from_millis(deadline_ms);
        Self {
            batch: 1,
            offload: Some((at, peer)),
            deadline,
            completion: LocalCompletion::InTime,
            warm: true,
        }
    }
}

fn run(table: &Table, spec: &PolicySpec, setting: Setting) -> Run {
    let Setting { batch, offload, deadline, completion, warm } = setting;
    let pipeline = table.pipeline(None);
    let policy = spec.fit(table.exits).unwrap();
    let departures = departures(&pipeline);
    let (at, peer) = offload.unwrap_or((0, Peer::Declines));
    let mut remote = Scripted { table, at, peer, asked: 0, answered: Vec::new() };
    let mut run = Run { said: Vec::new(), answered: Vec::new(), asked: 0, slowest: Duration::ZERO };
    {
        let mut executor =
            Executor::new(&pipeline, policy.as_ref(), NonZeroUsize::new(batch).unwrap()).unwrap();
        if offload.is_some() {
            executor = executor.with_offload(Offload {
                remote: &mut remote,
                departures: &departures,
                deadline,
                completion,
            });
        }
        if warm {
            executor.warm_up(HostTensor::Float32(&[0.0])).unwrap();
        }
        for first in (0..table.images()).step_by(batch) {
            let images: Vec<f32> =
                (first..table.images().min(first + batch)).map(|image| image as f32).collect();
            for outcome in executor.run_batch(first, HostTensor::Float32(&images)).unwrap().outcomes() {
                run.slowest = run.slowest.max(outcome.latency);
                assert_eq!(outcome.confidences().len(), outcome.exit + 1);
                let by = outcome.offload.map(|offload| offload.by);
                run.said.push((outcome.exit, outcome.answer_exit, outcome.predicted, by));
            }
        }
    }
    (run.answered, run.asked) = (remote.answered, remote.asked);
    run
}

fn tables() -> impl Strategy<Value = Table> {
    (1..5_usize, 1..4_usize, 1..12_usize).prop_flat_map(|(exits, classes, images)| {
        prop::collection::vec(-4.0..4.0_f32, exits * classes * images).prop_map(move |logits| Table {
            exits,
            classes,
            logits,
        })
    })
}

fn specs() -> impl Strategy<Value = PolicySpec> {
    let threshold = (0.0..=1.0_f32).prop_map(|value| PolicySpec {
        rule: Rule::Confidence {
            measure: offramp_runtime::confidence::Measure::MaxSoftmax,
            thresholds: vec![Threshold::new(value).unwrap()],
        },
        ..PolicySpec::default()
    });
    let patience = (1..4_usize)
        .prop_map(|patience| PolicySpec { rule: Rule::Patience { patience }, ..PolicySpec::default() });
    prop_oneof![threshold, patience]
}

fn peers() -> impl Strategy<Value = Peer> {
    prop_oneof![
        (0..3_usize).prop_map(|looks| Peer::Answers { looks }),
        Just(Peer::AnswersShort),
        Just(Peer::Fails),
        Just(Peer::Declines),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn where_work_is_done_changes_no_exit_and_no_label(
        table in tables(), spec in specs(), batch in 1..6_usize, at in 0..5_usize, peer in peers(), warm in any::<bool>(),
    ) {
        let there = Setting { batch, warm, ..Setting::sent(at, peer, 10_000) };
        let here = run(&table, &spec, Setting { offload: None, ..there });
        let there = run(&table, &spec, there);
        let plain = |run: &Run| run.said.iter().map(|said| (said.0, said.1, said.2)).collect::<Vec<_>>();
        prop_assert_eq!(plain(&here), plain(&there));
        // Images that had stopped before the cut were never sent, and all are told of once, in order.
        prop_assert_eq!(there.answered.len(), table.images());
        for (image, (answered, said)) in there.answered.iter().zip(&there.said).enumerate() {
            prop_assert_eq!((answered.image, answered.exit), (image, said.0));
            prop_assert_eq!(answered.offload.map(|offload| offload.by), said.3);
            prop_assert!(said.3.is_none() || said.0 >= at);
            if peer == (Peer::Answers { looks: 0 }) && said.0 >= at {
                prop_assert_eq!(said.3, Some(By::Peer));
            }
        }
    }
}

/// One image that stops nowhere before the last of four exits.
fn stubborn() -> Table {
    Table { exits: 4, classes: 2, logits: [[0.0, 0.1], [0.4, 0.0], [0.0, 0.2], [0.0, 9.0]].concat() }
}

#[test]
fn a_peer_that_hangs_is_not_waited_for_beyond_what_the_device_needs() {
    let run = run(&stubborn(), &PolicySpec::default(), Setting::sent(1, Peer::Hangs, 40));
    assert_eq!(run.said, [(3, 3, 1, Some(By::Device))]);
    let patient = Duration::from_millis(30)..Duration::from_millis(120);
    assert!(patient.contains(&run.slowest), "{:?}", run.slowest);
    assert_eq!(run.asked, 1);
}

#[test]
fn a_device_that_does_not_know_how_long_it_takes_keeps_half_of_the_time() {
    let setting = Setting { warm: false, ..Setting::sent(1, Peer::Hangs, 60) };
    let run = run(&stubborn(), &PolicySpec::default(), setting);
    assert_eq!(run.said, [(3, 3, 1, Some(By::Device))]);
    assert!(run.slowest < Duration::from_millis(55), "{:?}", run.slowest);
}

#[test]
fn a_device_that_cannot_complete_answers_with_the_surest_exit_so_far() {
    let setting = Setting { completion: LocalCompletion::Never, ..Setting::sent(2, Peer::Hangs, 20) };
    let run = run(&stubborn(), &PolicySpec::default(), setting);
    // Exit 1 is surer than exit 0; computing stopped after it.
    assert_eq!(run.said, [(1, 1, 0, Some(By::Degraded))]);
    assert!(run.slowest < Duration::from_millis(60), "{:?}", run.slowest);
}

#[test]
fn a_peer_that_answers_while_the_device_catches_up_is_taken() {
    let setting = Setting::sent(1, Peer::Answers { looks: 2 }, 10_000);
    let run = run(&stubborn(), &PolicySpec::default(), setting);
    assert_eq!(run.said, [(3, 3, 1, Some(By::Peer))]);
}
