//! Images through the segments, asking the policy after every exit.
//!
//! Between segments values stay where the backend computes; only logits are read back. Everything is wired and
//! allocated once: while all images of a batch go on, nothing is allocated here. When some stop, the batch is compacted
//! to those that go on: a copy of every tensor that later segments read, and for every segment that follows one binding
//! with its outputs. How many go on is known only then, so this is done while the clock runs, and what it costs is
//! reported. Nothing is prepared, built or run for it that [`Executor::warm_up`] has not been through.
//!
//! Work that leaves the device leaves it between two segments, where a batch is compacted: what crosses the cut is sent, and
//! logits come back ([`crate::remote`]).

mod error;
mod offload;
mod outcome;
mod pace;
mod wiring;

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use crate::backend::{Bound, HostTensor};
use crate::confidence::Prediction;
use crate::pipeline::{Feed, Pipeline};
use crate::policy::{Answer, Policy, conclude, most_confident};
use crate::remote::{Answered, By, Cut};
pub use error::{ExecutorError, Images};
use offload::{Away, Turn};
pub use offload::{Departure, LocalCompletion, Offload};
use outcome::Lane;
pub use outcome::{Batch, Outcome};
use pace::Pace;
pub(crate) use wiring::Wiring;
use wiring::{Remainder, crossing};

/// Runs images through a pipeline until its policy stops them. The network's batch must be free, or 1.
pub struct Executor<'a> {
    pipeline: &'a Pipeline,
    policy: &'a dyn Policy,
    full: Wiring,
    /// For the last images of a data set, fewer than a batch.
    partial: Option<Wiring>,
    /// By segment: what later segments read of what is there when it has run.
    crossing: Vec<Vec<Feed>>,
    lanes: Vec<Lane>,
    /// The lane of every row of the batch.
    rows: Vec<usize>,
    /// Rows that go on after an exit.
    staying: Vec<usize>,
    logits: Vec<f32>,
    offload: Option<Offload<'a>>,
    pace: Pace,
    /// By segment: the graph that makes the sent form of a whole batch, once it was sent.
    wires: Vec<Option<Box<dyn Bound>>>,
}

impl<'a> Executor<'a> {
    /// Wires `pipeline` for `batch` images at once.
    ///
    /// # Errors
    /// `FixedBatch` when the network insists on another batch, `NoImage` or `Wire` when segments cannot be wired.
    pub fn new(
        pipeline: &'a Pipeline,
        policy: &'a dyn Policy,
        batch: NonZeroUsize,
    ) -> Result<Self, ExecutorError> {
        let batch = batch.get();
        let exits = pipeline.exits().len();
        Ok(Self {
            pipeline,
            policy,
            full: Wiring::new(pipeline, batch)?,
            partial: None,
            crossing: (0..exits).map(|segment| crossing(pipeline, segment)).collect(),
            lanes: (0..batch).map(|_| Lane::with_room_for(exits)).collect(),
            rows: Vec::with_capacity(batch),
            staying: Vec::with_capacity(batch),
            logits: vec![0.0; batch * pipeline.classes()],
            offload: None,
            pace: Pace::new(exits),
            wires: Vec::new(),
        })
    }

    /// Lets images be completed elsewhere.
    #[must_use]
    pub fn with_offload(mut self, offload: Offload<'a>) -> Self {
        self.offload = Some(offload);
        self
    }

    /// Runs one preprocessed image, number `index` of its data.
    ///
    /// # Errors
    /// As [`Executor::run_batch`], for exactly one image.
    pub fn run_one(&mut self, index: usize, image: HostTensor<'_>) -> Result<Outcome<'_>, ExecutorError> {
        self.full.count(image, 1)?;
        let batch = self.run_batch(index, image)?;
        Ok(batch.lanes[0].outcome(index))
    }

    /// The logits, one per class, of the last exit that the last run computed here for its first image: of a single image that was not
    /// sent, those of the exit where it stopped.
    pub fn last_logits(&self) -> &[f32] {
        self.logits.get(..self.pipeline.classes()).unwrap_or_default()
    }

    /// Runs every segment once on `images`, 1 to a batch of them, whatever the policy says, and then every cut with one
    /// image chosen: what engines build or touch on the first run, and on the first compaction, is then not timed.
    ///
    /// # Errors
    /// As [`Executor::run_batch`].
    pub fn warm_up(&mut self, images: HostTensor<'_>) -> Result<(), ExecutorError> {
        let count = self.full.count(images, self.full.batch())?;
        let all = Images { first: 0, count };
        let wiring = wired(self.pipeline, &mut self.full, &mut self.partial, count)?;
        wiring.write(images).map_err(|source| ExecutorError::Input { images: all, source })?;
        let logits = &mut self.logits[..count * self.pipeline.classes()];
        for (segment, stage) in self.pipeline.stages().iter().enumerate() {
            let failed = |source| ExecutorError::Segment { segment, images: all, source };
            wiring.run(segment, stage.logits, logits).map_err(failed)?;
            if self.offload.is_some() {
                // The first run touches memory for the first time: how long one takes is seen on the second.
                let started = Instant::now();
                wiring.run(segment, stage.logits, logits).map_err(failed)?;
                self.pace.note(segment, count, started.elapsed());
            }
        }
        let cuts = self.crossing.iter().enumerate().take(self.crossing.len().saturating_sub(1));
        for (segment, crossing) in cuts.filter(|_| count > 1) {
            let refused = |source| ExecutorError::Compaction { segment, images: all, source };
            let mut one = Remainder::of(wiring, crossing, &[0]).map_err(refused)?;
            let failed = |source| ExecutorError::Segment { segment: segment + 1, images: all, source };
            one.bind(self.pipeline, segment + 1).and_then(|mut bound| bound.run()).map_err(failed)?;
        }
        Ok(())
    }

    /// Runs preprocessed images, `first` the number of the first, shape `[1..=batch, ..]` in the input's layout.
    ///
    /// # Errors
    /// `Elements` when they are not 1 to a batch of whole images, `Input` when the backend refuses them, `Segment`,
    /// `Compaction` or `Logits` when one cannot be computed. The executor stays usable.
    pub fn run_batch(&mut self, first: usize, images: HostTensor<'_>) -> Result<Batch<'_>, ExecutorError> {
        let Self { pipeline, policy, full, partial, crossing, lanes, rows, staying, logits, .. } = self;
        let Self { offload, pace, wires, .. } = self;
        let (exits, classes, measure) = (pipeline.exits().len(), pipeline.classes(), policy.measure());
        let whole = full.batch();
        let count = full.count(images, whole)?;
        let wiring = wired(pipeline, full, partial, count)?;
        let all = Images { first, count };
        let lanes = &mut lanes[..count];
        lanes.iter_mut().for_each(Lane::clear);
        rows.clear();
        rows.extend(0..count);

        let started = Instant::now();
        let mut mark = started;
        let mut remainder: Option<Remainder> = None;
        let mut away: Option<Away> = None;
        let (mut compaction, mut compactions) = (Duration::ZERO, 0);
        wiring.write(images).map_err(|source| ExecutorError::Input { images: all, source })?;
        for (segment, stage) in pipeline.stages().iter().enumerate() {
            let failed = |source| ExecutorError::Segment { segment, images: all, source };
            if let Some(offload) = offload {
                if away.is_none() {
                    let ahead = pace.ahead(segment, rows.len());
                    let cut = Cut { segment, images: rows.len(), ahead, since: started };
                    let value =
                        |feed| remainder.as_ref().map_or(Some(wiring.value(feed)), |left| left.value(feed));
                    // What is left of a batch has values of its own, and so has a batch that is not a whole one.
                    let mut anew = Vec::new();
                    let kept = remainder.is_none() && count == whole;
                    let form = if kept { &mut *wires } else { &mut anew };
                    let refused = |source| ExecutorError::Departure { segment, images: all, source };
                    away = offload.depart(cut, form, value).map_err(refused)?;
                }
                if let Some(away) = &mut away {
                    match away.turn(segment, pace, rows.len(), classes * (exits - away.cut())) {
                        Turn::Local => {}
                        Turn::Peer => {
                            for (row, &lane) in rows.iter().enumerate() {
                                let lane = &mut lanes[lane];
                                while let Some(logits) = away.logits(lane.computed(), row, classes) {
                                    let prediction =
                                        Prediction::of(lane.computed(), logits).map_err(|source| {
                                            ExecutorError::Logits { image: first + rows[row], source }
                                        })?;
                                    if let Some(answer) =
                                        conclude(*policy, exits, lane.predict(prediction, measure))
                                    {
                                        lane.answer(answer);
                                        break;
                                    }
                                }
                                lane.come_back(away.offloaded(By::Peer), started.elapsed());
                            }
                            break;
                        }
                        Turn::Degrade => {
                            for &lane in rows.iter() {
                                let lane = &mut lanes[lane];
                                let best = most_confident(lane.predictions());
                                lane.answer(Answer { exit: segment - 1, answer_exit: best });
                                lane.come_back(away.offloaded(By::Degraded), started.elapsed());
                            }
                            break;
                        }
                    }
                }
                mark = Instant::now();
            }
            let logits = &mut logits[..rows.len() * classes];
            if let Some(remainder) = &mut remainder {
                let mut bound = remainder.bind(pipeline, segment).map_err(failed)?;
                let wired = Instant::now();
                compaction += wired - mark;
                mark = wired;
                bound.run().and_then(|()| bound.outputs()[stage.logits].read(logits)).map_err(failed)?;
            } else {
                wiring.run(segment, stage.logits, logits).map_err(failed)?;
            }

            staying.clear();
            for (row, logits) in logits.chunks_exact(classes).enumerate() {
                let lane = &mut lanes[rows[row]];
                let prediction = Prediction::of(segment, logits)
                    .map_err(|source| ExecutorError::Logits { image: first + rows[row], source })?;
                match conclude(*policy, exits, lane.predict(prediction, measure)) {
                    Some(answer) => {
                        lane.answer(answer);
                        if let Some(away) = &away {
                            lane.come_back(away.offloaded(By::Device), started.elapsed());
                        }
                    }
                    None => staying.push(row),
                }
            }
            let decided = Instant::now();
            for &lane in rows.iter() {
                lanes[lane].time(decided - mark, decided - started);
            }
            if offload.is_some() {
                pace.note(segment, rows.len(), decided - mark);
            }
            mark = decided;

            if staying.is_empty() {
                break;
            }
            if staying.len() < rows.len() {
                let crossing = &crossing[segment];
                let selected = match &remainder {
                    None => Remainder::of(wiring, crossing, staying),
                    Some(remainder) => remainder.select(crossing, staying),
                };
                let refused = |source| ExecutorError::Compaction { segment, images: all, source };
                remainder = Some(selected.map_err(refused)?);
                if let Some(away) = &mut away {
                    away.keep(staying);
                }
                staying.iter_mut().for_each(|row| *row = rows[*row]);
                std::mem::swap(rows, staying);
                let compacted = Instant::now();
                compaction += compacted - mark;
                compactions += 1;
                mark = compacted;
            }
        }
        if let Some(offload) = offload {
            for (row, lane) in lanes.iter().enumerate() {
                let Outcome { image, exit, offload: went, .. } = lane.outcome(first + row);
                offload.remote.answered(Answered { image, exit, offload: went });
            }
        }
        Ok(Batch { first, lanes, compaction, compactions })
    }
}

/// The wiring for `count` images, made now unless they are a whole batch, or as many as the last ones that were not.
fn wired<'w>(
    pipeline: &Pipeline,
    full: &'w mut Wiring,
    partial: &'w mut Option<Wiring>,
    count: usize,
) -> Result<&'w mut Wiring, ExecutorError> {
    if full.batch() == count {
        return Ok(full);
    }
    let kept = partial.take().filter(|kept| kept.batch() == count);
    Ok(partial.insert(kept.map_or_else(|| Wiring::new(pipeline, count), Ok)?))
}
