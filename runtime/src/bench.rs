//! Fair comparison of latencies: warmed up, interleaved, with intervals.
//!
//! Every block runs all subjects in one order and again in the opposite order (A B B A), on the same inputs, so that
//! what drifts over minutes falls on all of them alike.

pub mod energy;
pub mod record;
mod subjects;
mod warm_up;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::statistics::{Bootstrap, Interval, Latency, median_interval, ratio_of_medians};
pub use subjects::SubjectError;
pub use warm_up::{WarmUp, WarmedUp};

/// Something whose latency is measured.
pub struct Subject<'a, E> {
    /// Its name in the result.
    pub name: String,
    /// Runs input `n`, counted from 0 over the whole comparison, and says where it stopped and how long it took. All
    /// subjects get the same numbers; whoever has fewer inputs takes the remainder.
    pub run: Box<dyn FnMut(usize) -> Result<Sample, E> + 'a>,
}

/// One measured run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The exit where computing stopped.
    pub exit: usize,
    /// How long it took.
    pub latency: Duration,
}

/// How to measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Protocol {
    /// When measuring begins.
    pub warm_up: WarmUp,
    /// Blocks, the unit of resampling.
    pub blocks: usize,
    /// Runs of one subject in a row; it has two turns per block.
    pub turn: usize,
    /// How intervals are drawn.
    pub bootstrap: Bootstrap,
}

impl Default for Protocol {
    fn default() -> Self {
        Self { warm_up: WarmUp::default(), blocks: 30, turn: 20, bootstrap: Bootstrap::default() }
    }
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// In the order given.
    pub subjects: Vec<Measured>,
    /// Every later subject against the first.
    pub ratios: Vec<Ratio>,
}

/// One subject's latencies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The subject.
    pub name: String,
    /// How it warmed up.
    pub warm_up: WarmedUp,
    /// Runs measured.
    pub runs: usize,
    /// Latency of all runs; `None` without any.
    pub latency_s: Option<Latency>,
    /// Median latency with its 95 % interval.
    pub median_s: Option<Interval>,
    /// By exit where computing stopped; exits that nothing stopped at are left out.
    pub exits: Vec<MeasuredExit>,
}

/// Latencies of the runs that stopped at one exit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeasuredExit {
    /// The exit.
    pub exit: usize,
    /// Runs that stopped here.
    pub runs: usize,
    /// Their latency.
    pub latency_s: Option<Latency>,
    /// Their median latency with its 95 % interval.
    pub median_s: Option<Interval>,
}

/// Median latency of one subject over that of another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// The numerator.
    pub name: String,
    /// The denominator.
    pub against: String,
    /// The ratio with its 95 % interval, both resampled block by block.
    pub ratio: Interval,
}

/// Warms every subject up and measures them interleaved.
///
/// # Errors
/// The first error of a subject ends the comparison.
pub fn compare<E>(subjects: &mut [Subject<'_, E>], protocol: &Protocol) -> Result<Comparison, E> {
    let warmed_up = warm_up(subjects, protocol)?;
    measure(subjects, warmed_up, protocol)
}

/// Warms every subject up: the first half of [`compare`], for those who count something of their own from then on.
///
/// # Errors
/// The first error of a subject.
pub fn warm_up<E>(subjects: &mut [Subject<'_, E>], protocol: &Protocol) -> Result<Vec<WarmedUp>, E> {
    subjects.iter_mut().map(|subject| protocol.warm_up.run(&mut subject.run)).collect()
}

/// Measures warm subjects interleaved: the second half of [`compare`].
///
/// # Errors
/// The first error of a subject.
pub fn measure<E>(
    subjects: &mut [Subject<'_, E>],
    warmed_up: Vec<WarmedUp>,
    protocol: &Protocol,
) -> Result<Comparison, E> {
    let count = subjects.len();
    let there_and_back: Vec<usize> = (0..count).chain((0..count).rev()).collect();
    let mut samples: Vec<Vec<Vec<Sample>>> = vec![Vec::new(); count];
    for block in 0..protocol.blocks {
        let mut taken = vec![Vec::with_capacity(2 * protocol.turn); count];
        for (position, &subject) in there_and_back.iter().enumerate() {
            let first = (2 * block + position / count) * protocol.turn;
            for input in first..first + protocol.turn {
                taken[subject].push((subjects[subject].run)(input)?);
            }
        }
        samples.iter_mut().zip(taken).for_each(|(blocks, block)| blocks.push(block));
    }
    let seconds: Vec<Blocks> = samples.iter().map(|blocks| seconds(blocks, |_| true)).collect();
    let ratios = subjects.iter().zip(&seconds).skip(1).filter_map(|(subject, over)| {
        let ratio = ratio_of_medians(over, &seconds[0], protocol.bootstrap)?;
        Some(Ratio { name: subject.name.clone(), against: subjects[0].name.clone(), ratio })
    });
    let ratios = ratios.collect();
    let mut measured = Vec::with_capacity(subjects.len());
    for (at, warm_up) in warmed_up.into_iter().enumerate() {
        measured.push(Measured {
            name: subjects[at].name.clone(),
            warm_up,
            runs: seconds[at].iter().map(Vec::len).sum(),
            latency_s: latency(&seconds[at]),
            median_s: median_interval(&seconds[at], protocol.bootstrap),
            exits: by_exit(&samples[at], protocol.bootstrap),
        });
    }
    Ok(Comparison { subjects: measured, ratios })
}

type Blocks = Vec<Vec<f64>>;

fn seconds(blocks: &[Vec<Sample>], keep: impl Fn(&Sample) -> bool) -> Blocks {
    let seconds = |block: &Vec<Sample>| {
        block.iter().filter(|sample| keep(sample)).map(|sample| sample.latency.as_secs_f64()).collect()
    };
    blocks.iter().map(seconds).collect()
}

fn latency(blocks: &Blocks) -> Option<Latency> {
    Latency::of(&mut blocks.concat())
}

fn by_exit(blocks: &[Vec<Sample>], bootstrap: Bootstrap) -> Vec<MeasuredExit> {
    let exits = blocks.iter().flatten().map(|sample| sample.exit + 1).max().unwrap_or(0);
    let measured = (0..exits).map(|exit| {
        let blocks = seconds(blocks, |sample| sample.exit == exit);
        let runs = blocks.iter().map(Vec::len).sum();
        MeasuredExit {
            exit,
            runs,
            latency_s: latency(&blocks),
            median_s: median_interval(&blocks, bootstrap),
        }
    });
    measured.filter(|exit| exit.runs > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};
    use std::convert::Infallible;

    const MS: Duration = Duration::from_millis(1);

    /// A clock that slows everything down as it goes on, and a log of who ran what.
    #[derive(Default)]
    struct Machine {
        runs: Cell<u32>,
        log: RefCell<String>,
    }

    impl Machine {
        fn subject(&self, name: &'static str, work: Duration) -> Subject<'_, Infallible> {
            let run = move |input: usize| {
                self.runs.set(self.runs.get() + 1);
                self.log.borrow_mut().push_str(&format!("{name}{input} "));
                Ok(Sample { exit: input % 2, latency: work + work * self.runs.get() / 1000 })
            };
            Subject { name: name.into(), run: Box::new(run) }
        }
    }

    fn protocol(blocks: usize, turn: usize) -> Protocol {
        Protocol { warm_up: WarmUp { most: 0, ..WarmUp::default() }, blocks, turn, ..Protocol::default() }
    }

    #[test]
    fn turns_are_taken_there_and_back_on_the_same_inputs() {
        let machine = Machine::default();
        let mut subjects = [machine.subject("a", MS), machine.subject("b", MS)];
        compare(&mut subjects, &protocol(2, 2)).unwrap();
        drop(subjects);
        let expected = "a0 a1 b0 b1 b2 b3 a2 a3 a4 a5 b4 b5 b6 b7 a6 a7 ";
        assert_eq!(machine.log.into_inner(), expected);
    }

    #[test]
    fn drift_does_not_tell_equal_subjects_apart_and_a_real_ratio_is_found() {
        let machine = Machine::default();
        let mut subjects =
            [machine.subject("a", 2 * MS), machine.subject("b", 2 * MS), machine.subject("c", 3 * MS)];
        let found = compare(&mut subjects, &protocol(40, 4)).unwrap();
        let [equal, slower] = [0, 1].map(|at| found.ratios[at].ratio);
        assert!((equal.estimate - 1.0).abs() < 0.01, "{equal:?}");
        assert!((slower.estimate - 1.5).abs() < 0.02, "{slower:?}");
        assert!(slower.low <= slower.estimate && slower.estimate <= slower.high);
        assert_eq!((found.ratios[1].name.as_str(), found.ratios[1].against.as_str()), ("c", "a"));
        let exits: Vec<_> = found.subjects[0].exits.iter().map(|exit| (exit.exit, exit.runs)).collect();
        assert_eq!((found.subjects[0].runs, exits), (320, vec![(0, 160), (1, 160)]));
    }

    #[test]
    fn the_first_error_ends_the_comparison() {
        let run = |input| if input < 3 { Ok(Sample { exit: 0, latency: MS }) } else { Err(input) };
        let mut subjects = [Subject { name: "a".into(), run: Box::new(run) }];
        assert_eq!(compare(&mut subjects, &protocol(5, 2)), Err(3));
    }
}
