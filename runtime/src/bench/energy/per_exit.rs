//! Energy per exit: by forcing exits, and by taking mixtures of exits apart.

use std::cell::RefCell;
use std::error::Error;
use std::time::Duration;

use offramp_meter::Joules;
use offramp_meter::protocol::{Coefficient, ExitFit, HeldOut, Load, Session, Work};
use offramp_meter::statistics::Estimate;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::super::Subject;
use super::work;

/// Mixtures that are kept out of the fit and predicted by it.
pub const HELD_OUT: usize = 2;

/// What an image costs, by the exit where it stops.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExitEnergies {
    /// Of every exit, the earliest first.
    pub exits: Vec<ExitEnergy>,
    /// Mixtures that the fit did not see.
    pub held_out: Vec<HeldOut>,
    /// Why nothing was fitted; `None` where it was.
    pub not_fitted: Option<String>,
}

/// What an image costs that stops at one exit. Net of idling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExitEnergy {
    /// The exit.
    pub exit: usize,
    /// From windows of which every image stopped here; `None` where none counts.
    #[serde(rename = "forced_j")]
    pub forced: Option<Estimate>,
    /// Half the width of its stated 95 % interval.
    #[serde(rename = "forced_interval_j")]
    pub forced_interval: Option<Joules>,
    /// From windows of mixtures.
    pub fitted: Option<Coefficient>,
}

/// One subject per exit, each of which stops nowhere else, and the loads that are made of them: every exit alone, then mixtures.
pub struct Exits<'a, E> {
    subjects: RefCell<Vec<Subject<'a, E>>>,
    seed: u64,
}

impl<'a, E: Error + Send + Sync + 'static> Exits<'a, E> {
    /// `subjects` by exit, the earliest first. `seed` keys the mixtures.
    pub fn new(subjects: Vec<Subject<'a, E>>, seed: u64) -> Self {
        Self { subjects: RefCell::new(subjects), seed }
    }

    fn count(&self) -> usize {
        self.subjects.borrow().len()
    }

    /// How many mixtures there are: one more than exits for the fit, and those that are held out.
    fn mixtures(&self) -> usize {
        self.count() + 1 + HELD_OUT
    }

    /// All loads: exits, then mixtures. One exit alone has no mixtures.
    pub fn loads(&self) -> Vec<Shares<'_, 'a, E>> {
        let exits = self.count();
        let shares = |load: usize| -> Vec<f64> {
            if load < exits {
                return (0..exits).map(|exit| f64::from(u8::from(exit == load))).collect();
            }
            // Half of a mixture is one exit, or all mixtures are much alike.
            let mut random = ChaCha8Rng::seed_from_u64(self.seed);
            random.set_stream(load as u64);
            let drawn: Vec<f64> = (0..exits).map(|_| random.random::<f64>()).collect();
            let sum: f64 = drawn.iter().sum::<f64>().max(f64::MIN_POSITIVE);
            let one = |exit: usize| f64::from(u8::from(exit == load % exits)) / 2.0;
            drawn.iter().enumerate().map(|(exit, share)| one(exit) + share / sum / 2.0).collect()
        };
        let loads = exits + if exits > 1 { self.mixtures() } else { 0 };
        let load = |load: usize| Shares {
            name: if load < exits { format!("exit {load}") } else { format!("mixture {}", load - exits) },
            shares: shares(load),
            owed: vec![0.0; exits],
            next: 0,
            of: self,
        };
        (0..loads).map(load).collect()
    }

    /// What `session` found, of which the loads from `first` on are those of [`Exits::loads`].
    pub fn energies(&self, session: &Session, first: usize) -> ExitEnergies {
        let (exits, mixtures) = (self.count(), first + self.count());
        let held = mixtures + self.mixtures() - HELD_OUT;
        let fit = ExitFit::of(&session.mixes(mixtures..held));
        let summaries = session.summaries();
        let idle_error = session.idle_error();
        let exit = |exit: usize| {
            let forced = summaries.get(first + exit);
            let fitted = fit.as_ref().ok().and_then(|fit| fit.exits.get(exit).copied());
            // An idle power that is wrong is wrong in every window: the fit's own interval cannot know.
            let of_idle = idle_error.0 * session.seconds_per_image(first + exit).unwrap_or(0.0);
            let widened = |half: Joules| Joules(f64::hypot(half.0, of_idle));
            ExitEnergy {
                exit,
                forced: forced.and_then(|summary| summary.net),
                forced_interval: forced.and_then(|summary| summary.net_interval),
                fitted: fitted
                    .map(|fitted| Coefficient { half_width: fitted.half_width.map(widened), ..fitted }),
            }
        };
        let alone = (exits == 1).then(|| "a network of one exit has no mixtures".to_owned());
        ExitEnergies {
            exits: (0..exits).map(exit).collect(),
            held_out: fit.as_ref().map_or_else(|_| Vec::new(), |fit| fit.check(&session.mixes(held..))),
            not_fitted: alone.or_else(|| fit.err().map(|error| error.to_string())),
        }
    }
}

/// Images of which each exit has its share.
pub struct Shares<'e, 'a, E> {
    name: String,
    shares: Vec<f64>,
    /// By how many images an exit is behind its share.
    owed: Vec<f64>,
    next: usize,
    of: &'e Exits<'a, E>,
}

impl<E> Shares<'_, '_, E> {
    /// The exit that is furthest behind.
    fn turn(&mut self) -> usize {
        self.owed.iter_mut().zip(&self.shares).for_each(|(owed, share)| *owed += share);
        let most = self.owed.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        let exit = most.map_or(0, |(exit, _)| exit);
        if let Some(owed) = self.owed.get_mut(exit) {
            *owed -= 1.0;
        }
        exit
    }
}

impl<E: Error + Send + Sync + 'static> Load for Shares<'_, '_, E> {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&mut self, time: Duration) -> Result<Work, Box<dyn Error + Send + Sync>> {
        let mut subjects = self.of.subjects.borrow_mut();
        work(time, subjects.len(), || {
            let (exit, input) = (self.turn(), self.next);
            self.next = self.next.wrapping_add(1);
            match subjects.get_mut(exit) {
                Some(subject) => (subject.run)(input).map(|sample| sample.exit),
                None => Ok(exit),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Sample;
    use offramp_meter::protocol::{Clock, Plan, measure};
    use offramp_meter::state::BoardState;
    use offramp_meter::{
        Description, Glance, Meter, MeterError, NotMeasured, Overhead, Quantity, Rail, RailReading, Reading,
        TotalRule,
    };
    use std::cell::Cell;
    use std::convert::Infallible;
    use std::rc::Rc;

    /// Joules that images have spent so far, and those when a window was opened.
    struct Counter {
        spent: Rc<Cell<f64>>,
        opened: Option<f64>,
        description: Description,
    }

    impl Meter for Counter {
        fn description(&self) -> &Description {
            &self.description
        }

        fn calibrate(&mut self) -> Result<Overhead, MeterError> {
            Err(MeterError::NotStarted)
        }

        fn start(&mut self) -> Result<(), MeterError> {
            self.opened = Some(self.spent.get());
            Ok(())
        }

        fn stop(&mut self) -> Result<Reading, MeterError> {
            let from = self.opened.take().ok_or(MeterError::NotStarted)?;
            let energy = Ok(Joules(self.spent.get() - from));
            let rail = RailReading {
                name: "all".to_owned(),
                energy: energy.clone(),
                counted: true,
                resolution: Some(Joules(1e-9)),
                samples: 2,
                lost: 0,
                ends: None,
                noise: None,
                ends_error: None,
            };
            Ok(Reading {
                energy,
                domain: Some("all".to_owned()),
                window: Duration::from_secs(1),
                resolution: Some(Joules(1e-9)),
                time_constant: None,
                rails: vec![rail],
                samples: 2,
                lost: 0,
                cost: None,
                flags: Vec::new(),
            })
        }

        fn glance(&mut self) -> Result<Vec<Glance>, MeterError> {
            Ok(Vec::new())
        }
    }

    struct NoTime;

    impl Clock for NoTime {
        fn now(&self) -> Duration {
            Duration::ZERO
        }

        fn sleep(&self, _: Duration) {}
    }

    #[test]
    fn forced_exits_and_mixtures_find_the_same_energies_and_the_fit_predicts_what_it_did_not_see() {
        const COSTS: [f64; 3] = [0.001, 0.0025, 0.004];
        let spent = Rc::new(Cell::new(0.0));
        let subject = |exit: usize| {
            let spent = Rc::clone(&spent);
            Subject::<Infallible> {
                name: format!("{exit}"),
                run: Box::new(move |_| {
                    spent.set(spent.get() + COSTS[exit]);
                    Ok(Sample { exit, latency: Duration::ZERO })
                }),
            }
        };
        let exits = Exits::new((0..3).map(subject).collect(), 7);
        let mut description = Description::empty("test", NotMeasured::energy(""));
        description.rails = vec![Rail::new("all", "", Quantity::Counter)];
        description.total = Ok(TotalRule::sum_of(&["all"], &description.rails, "a test").unwrap());
        let mut meter = Counter { spent: Rc::clone(&spent), opened: None, description };
        let mut loads = exits.loads();
        let mut loads: Vec<&mut dyn Load> = loads.iter_mut().map(|load| load as &mut dyn Load).collect();
        assert_eq!(loads.len(), 3 + 4 + HELD_OUT);
        let plan = Plan {
            warm_up: Duration::ZERO,
            settle: Duration::ZERO,
            idle: Duration::ZERO,
            window: Duration::from_millis(1),
            windows: 2,
            calibrate: false,
            needed_window: Duration::ZERO,
        };
        let mut board = BoardState::default;
        let session = measure(&plan, &mut meter, &NoTime, &mut board, &mut loads, &mut |_| {}).unwrap();
        drop(loads);
        let found = exits.energies(&session, 0);
        assert_eq!(found.not_fitted, None);
        for (exit, cost) in found.exits.iter().zip(COSTS) {
            let (forced, fitted) = (exit.forced.unwrap().mean, exit.fitted.unwrap().energy.unwrap().0);
            assert!((forced / cost - 1.0).abs() < 1e-6 && (fitted / cost - 1.0).abs() < 1e-6, "{exit:?}");
        }
        assert_eq!(found.held_out.len(), 2 * HELD_OUT);
        assert!(
            found.held_out.iter().all(|held| held.relative.unwrap().abs() < 1e-6),
            "{:?}",
            found.held_out
        );
    }

    #[test]
    fn a_mixture_keeps_its_shares() {
        let run = |exit| Box::new(move |_| Ok(Sample { exit, latency: Duration::ZERO }));
        let subjects = (0..4).map(|exit| Subject::<Infallible> { name: String::new(), run: run(exit) });
        let exits = Exits::new(subjects.collect(), 3);
        for mut load in exits.loads() {
            let mut counts = [0.0; 4];
            (0..10_000).for_each(|_| counts[load.turn()] += 1.0);
            let sum: f64 = load.shares.iter().sum();
            assert!((sum - 1.0).abs() < 1e-9, "{:?}", load.shares);
            for (count, share) in counts.iter().zip(&load.shares) {
                assert!((count / 1e4 - share).abs() < 1e-3, "{counts:?} for {:?}", load.shares);
            }
        }
    }
}
