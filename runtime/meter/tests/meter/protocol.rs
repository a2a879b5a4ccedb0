//! Whole measurements in a world where time is computed.

use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

use offramp_meter::protocol::{
    Comparison, Event, ExitFit, FitError, Load, Mix, Plan, ProtocolError, Rejection, Session, SystemClock,
    Verdict, Work, measure,
};
use offramp_meter::source::{self, Host, Kind};
use offramp_meter::state::BoardState;
use offramp_meter::{Flag, Joules, Meter as _, NoMeter, Sampler, Sampling};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::boards::{self, Board};
use crate::simulated::{Sensor, Shared, SimulatedClock, SimulatedLoad, SimulatedMeter, World};

fn session(
    world: &Shared,
    meter: &mut SimulatedMeter,
    plan: impl FnOnce(Plan) -> Plan,
    board: &mut dyn FnMut() -> BoardState,
    loads: &mut [&mut dyn Load],
) -> Session {
    let plan = plan(Plan::by_rule(meter.description()));
    measure(&plan, meter, &SimulatedClock(Rc::clone(world)), board, loads, &mut |_| ()).unwrap()
}

fn quiet() -> BoardState {
    BoardState::default()
}

/// A and B of these joules per image at a millisecond each.
fn pair(a: f64, b: f64, noise: f64, drift: f64) -> (Session, Comparison) {
    let world = World::new(4.0);
    world.borrow_mut().drift = drift;
    let mut meter = SimulatedMeter::new(&world, Sensor::NANO, 7);
    let mut loads = [("benign", a), ("adversarial", b)].map(|(name, joules)| {
        let load = SimulatedLoad::steady(name, &world, joules, 1e-3);
        SimulatedLoad { noise, random: ChaCha8Rng::seed_from_u64(name.len() as u64), ..load }
    });
    let [first, second] = &mut loads;
    let session = session(&world, &mut meter, |plan| plan, &mut quiet, &mut [first, second]);
    let comparison = session.compare(0, 1);
    (session, comparison)
}

#[test]
fn net_energy_is_gross_less_what_idling_takes() {
    let (session, _) = pair(0.008, 0.010, 0.0, 0.0);
    for (summary, joules) in session.summaries().iter().zip([0.008, 0.010]) {
        let net = summary.net.unwrap().mean;
        assert!((net / joules - 1.0).abs() < 0.01, "{net} {joules}");
        let (gross, idle) = (summary.gross.unwrap().mean, summary.idle.unwrap().mean);
        assert!((gross - idle - net).abs() < 1e-12 && (idle - 0.004).abs() < 5e-5, "{gross} {idle}");
        assert_eq!((summary.windows, summary.rejected), (10, 0));
        assert_eq!(summary.exits, [summary.images]);
    }
}

#[test]
fn idling_that_drifts_is_taken_off_along_the_line_between_before_and_after() {
    let (session, _) = pair(0.008, 0.010, 0.0, 0.002);
    let windows = &session.windows;
    let rise = windows[19].idle.as_ref().unwrap().0 - windows[0].idle.as_ref().unwrap().0;
    assert!((3.0..5.0).contains(&rise), "{rise} J over 200 s");
    for (summary, joules) in session.summaries().iter().zip([0.008, 0.010]) {
        assert!((summary.net.unwrap().mean / joules - 1.0).abs() < 0.01);
    }
}

#[test]
fn windows_take_turns_and_last_as_long_as_the_rule_asks() {
    let (session, _) = pair(0.008, 0.010, 0.0, 0.0);
    let order: Vec<_> = session.windows.iter().map(|window| window.load).collect();
    assert_eq!(order[..8], [0, 1, 1, 0, 0, 1, 1, 0]);
    assert!(session.windows.iter().all(|window| window.reading.window >= Duration::from_secs(10)));
    assert!(session.windows.iter().all(|window| window.reading.flags.is_empty()));
}

#[test]
fn a_difference_is_told_only_when_meter_and_interval_allow() {
    let (_, clear) = pair(0.008, 0.009, 0.05, 0.0);
    assert_eq!(clear.verdict, Verdict::Different);
    let difference = clear.difference.unwrap();
    assert!((difference.mean - 0.001).abs() < 1e-4, "{difference:?}");
    assert!(clear.ratio.unwrap() > 1.1 && clear.net);
    let (_, small) = pair(0.008, 0.00802, 0.0, 0.0);
    assert_eq!(small.verdict, Verdict::BelowResolution, "{small:?}");
    let (_, noisy) = pair(0.008, 0.0082, 2.0, 0.0);
    let within = noisy.difference.unwrap().covers(0.0).unwrap();
    assert!(within && noisy.verdict != Verdict::Different, "{noisy:?}");
}

#[test]
fn what_idling_may_be_wrong_by_is_in_every_net_interval_though_no_window_shows_it() {
    let (mut session, before) = pair(0.008, 0.009, 0.0, 0.0);
    assert_eq!(before.verdict, Verdict::Different);
    let widths = |session: &Session| {
        let [a, b] = [0, 1].map(|load| session.summaries()[load].net_interval.unwrap().0);
        (a, b, session.compare(0, 1).interval.unwrap().0)
    };
    let small = widths(&session);
    // The idle power wandered by 2 W between: at 1 ms an image, by up to 1 mJ for each.
    let power = session.idle[1].power.as_mut().unwrap();
    power.0 += 2.0;
    assert!((session.idle_error().0 - 1.0).abs() < 0.1, "{}", session.idle_error());
    let large = widths(&session);
    assert!((0.9e-3..1.3e-3).contains(&large.0) && small.0 < 0.3e-3, "{small:?}, {large:?}");
    assert!((large.2 - small.2).abs() < 1e-5, "images that take as long lose as much: {small:?}, {large:?}");
    // Where one takes 3 ms and the other 1, two thirds of its windows' images are gone, and 2 mJ are unknown.
    for window in session.windows.iter_mut().filter(|window| window.load == 1) {
        window.work.images /= 3;
    }
    assert!((1.8e-3..2.4e-3).contains(&widths(&session).2), "{:?}", widths(&session));
}

#[test]
fn a_session_of_which_one_idle_window_counts_says_so() {
    let world = World::new(4.0);
    let mut meter = SimulatedMeter::new(&world, Sensor::NANO, 1);
    let mut load = SimulatedLoad::steady("load", &world, 0.008, 1e-3);
    let mut reads = 0;
    let mut board = || {
        reads += 1;
        let mut state = BoardState::default();
        // Throttled in the first idle window.
        state.throttling.insert("oc1_event_cnt".to_owned(), u64::from(reads > 1));
        state
    };
    let session = session(&world, &mut meter, |plan| plan.with_windows(2), &mut board, &mut [&mut load]);
    assert!(session.idle[0].counted().is_none() && session.idle[1].counted().is_some());
    for window in &session.windows {
        assert!(window.net.is_ok() && window.reading.flags.contains(&Flag::OneIdle), "{:?}", window.reading);
    }
}

#[test]
fn a_window_shorter_than_the_rule_is_flagged() {
    let world = World::new(4.0);
    let mut meter = SimulatedMeter::new(&world, Sensor { samples: 512, ..Sensor::NANO }, 1);
    let mut load = SimulatedLoad::steady("load", &world, 0.008, 1e-3);
    let short = |plan: Plan| plan.with_window(Duration::from_secs(5)).with_windows(1);
    let session = session(&world, &mut meter, short, &mut quiet, &mut [&mut load]);
    assert!(matches!(session.windows[0].reading.flags[..], [Flag::ShortWindow { .. }]));
    assert!(session.idle[0].flags.iter().any(|flag| matches!(flag, Flag::ShortWindow { .. })));
    let comparison = session.compare(0, 0);
    assert!(comparison.difference.unwrap().half_width.is_none());
}

#[test]
fn windows_are_rejected_by_rule_and_counted() {
    let world = World::new(4.0);
    let mut meter = SimulatedMeter::new(&world, Sensor::NANO, 1);
    let mut load = SimulatedLoad::steady("load", &world, 0.008, 1e-3);
    let mut reads = 0;
    let mut board = || {
        reads += 1;
        let mut state = BoardState::default();
        // Reads: two around idle, one before the windows, one after each.
        state.throttling.insert("oc1_event_cnt".to_owned(), u64::from(reads > 4));
        state.throttling.insert("oc3_event_cnt".to_owned(), reads);
        state
    };
    let session = session(&world, &mut meter, |plan| plan.with_windows(4), &mut board, &mut [&mut load]);
    let rejected: Vec<_> =
        session.windows.iter().map(|window| window.rejected.clone().map(|why| why.to_string())).collect();
    assert_eq!(rejected, [None, Some("oc1_event_cnt went up by 1".to_owned()), None, None]);
    assert!(session.windows.iter().all(|window| window.reading.flags.iter().any(|flag| {
        matches!(flag, Flag::Throttled { counter, events: 1 } if counter == "oc3_event_cnt")
    })));
    let summary = &session.summaries()[0];
    assert_eq!((summary.windows, summary.rejected), (3, 1));
}

#[test]
fn a_window_that_lost_more_than_a_thousandth_is_rejected() {
    let world = World::new(4.0);
    let mut meter = SimulatedMeter::new(&world, Sensor::NANO, 1);
    meter.fails_every = Some(50);
    let mut load = SimulatedLoad::steady("load", &world, 0.008, 1e-3);
    let session = session(&world, &mut meter, |plan| plan.with_windows(2), &mut quiet, &mut [&mut load]);
    assert!(session.windows.iter().all(|w| matches!(w.rejected, Some(Rejection::LostSamples { .. }))));
    assert!(session.windows.iter().all(|window| window.net.is_err()), "idle was rejected too");
    let summary = &session.summaries()[0];
    assert_eq!((summary.windows, summary.gross, summary.rejected), (0, None, 2));
    assert_eq!(session.compare(0, 0).verdict, Verdict::TooFewWindows);
}

#[test]
fn what_is_unknown_is_null_in_json() {
    let world = World::new(4.0);
    let mut meter = SimulatedMeter::new(&world, Sensor::NANO, 1);
    meter.fails_every = Some(1);
    let mut load = SimulatedLoad::steady("load", &world, 0.008, 1e-3);
    let session = session(&world, &mut meter, |plan| plan.with_windows(1), &mut quiet, &mut [&mut load]);
    let json = serde_json::to_value(&session).unwrap();
    assert!(json["windows"][0]["reading"]["energy_j"].is_null() && json["windows"][0]["net_j"].is_null());
    assert_eq!(json["windows"][0]["rejected"]["rule"], "no-energy");
    insta::assert_snapshot!(
        json["windows"][0]["reading"]["not_measured"]["why"].as_str().unwrap(),
        @"VDD_IN: no sample in the window (the source says to try again)"
    );
}

/// Sleeps, and counts an image a millisecond.
struct Sleeper(&'static str);

impl Load for Sleeper {
    fn name(&self) -> &str {
        self.0
    }

    fn run(&mut self, time: Duration) -> Result<Work, Box<dyn Error + Send + Sync>> {
        std::thread::sleep(time);
        let images = (time.as_millis() as u64).max(1);
        Ok(Work { images, exits: vec![images] })
    }
}

#[test]
fn a_sampler_on_the_machines_clock_makes_a_session() {
    let board = Board::new(boards::ORIN_NANO);
    let host = Host::at(board.sys());
    let found = source::find(&host, Kind::Ina).unwrap();
    let mut meter = Sampler::new(found, Sampling::default()).unwrap();
    let short = Duration::from_millis(40);
    let plan = Plan { warm_up: short, settle: short, calibrate: false, ..Plan::by_rule(meter.description()) };
    let plan = plan.with_window(short).with_windows(2);
    let mut state = || BoardState::read(&host);
    let (mut first, mut second) = (Sleeper("a"), Sleeper("b"));
    let mut loads: [&mut dyn Load; 2] = [&mut first, &mut second];
    let session =
        measure(&plan, &mut meter, &SystemClock::default(), &mut state, &mut loads, &mut |_| ()).unwrap();
    assert_eq!(session.board.throttling["oc3_event_cnt"], 14);
    for window in &session.windows {
        let seconds = window.reading.window.as_secs_f64();
        let power = window.reading.energy.as_ref().unwrap().0 / seconds;
        assert!((power - 4.999_68).abs() < 1e-9, "{power} W");
        assert!(window.reading.flags.iter().any(|flag| matches!(flag, Flag::ShortWindow { .. })));
    }
    // A machine that is busy may lose samples, and windows with them; what is left does not differ.
    let verdict = session.compare(0, 1).verdict;
    let lossless = session.windows.iter().all(|window| window.rejected.is_none());
    assert!(verdict == Verdict::BelowResolution || (!lossless && verdict == Verdict::TooFewWindows));
}

struct Broken;

impl Load for Broken {
    fn name(&self) -> &str {
        "broken"
    }

    fn run(&mut self, _: Duration) -> Result<Work, Box<dyn Error + Send + Sync>> {
        Err("no pictures".into())
    }
}

#[test]
fn a_load_that_fails_and_a_meter_that_is_none_are_named() {
    let world = World::new(4.0);
    let mut meter = SimulatedMeter::new(&world, Sensor::NANO, 1);
    let plan = Plan::by_rule(meter.description());
    let clock = SimulatedClock(Rc::clone(&world));
    let error = measure(&plan, &mut meter, &clock, &mut quiet, &mut [&mut Broken], &mut |_| ()).unwrap_err();
    insta::assert_snapshot!(error, @r#"the load "broken" failed"#);
    let mut none = NoMeter::default();
    let error =
        measure(&plan, &mut none, &SystemClock::default(), &mut quiet, &mut [&mut Broken], &mut |_| ())
            .unwrap_err();
    insta::assert_snapshot!(error.source().unwrap(), @"energy_j was not measured: no meter was asked for");
    let error = measure(&plan, &mut none, &clock, &mut quiet, &mut [], &mut |_| ()).unwrap_err();
    assert!(matches!(error, ProtocolError::NoLoad));
}

#[test]
fn whoever_shows_a_measurement_is_told_what_happens() {
    let world = World::new(4.0);
    let mut meter = SimulatedMeter::new(&world, Sensor::NANO, 1);
    let plan = Plan::by_rule(meter.description()).with_windows(2);
    let mut load = SimulatedLoad::steady("load", &world, 0.008, 1e-3);
    let mut seen = Vec::new();
    let clock = SimulatedClock(Rc::clone(&world));
    let mut show = |event: Event<'_>| seen.push(format!("{event:?}"));
    measure(&plan, &mut meter, &clock, &mut quiet, &mut [&mut load], &mut show).unwrap();
    insta::assert_snapshot!(seen.join("\n"), @r#"
    Calibrating
    WarmingUp("load")
    Idling
    Measuring { load: "load", done: 0, of: 2 }
    Measuring { load: "load", done: 1, of: 2 }
    Idling
    "#);
    let planned = plan.duration(1).as_secs_f64();
    assert!((world.borrow().now() / planned - 1.0).abs() < 0.05, "{planned}");
}

#[test]
fn mixes_that_cannot_be_taken_apart_are_refused() {
    let mix = |energy: f64, counts: &[u64]| Mix { energy: Joules(energy), counts: counts.to_vec() };
    let error = |mixes: &[Mix]| ExitFit::of(mixes).unwrap_err();
    insta::assert_snapshot!(error(&[mix(1.0, &[1, 2]), mix(2.0, &[3, 1])]), @"2 windows cannot tell 2 exits apart: at least 3 are needed");
    insta::assert_snapshot!(error(&[mix(1.0, &[1, 2]), mix(2.0, &[3])]), @"window 1 counts 1 exits, the first one 2");
    let alike: Vec<_> = (1..6).map(|times| mix(times as f64, &[times, 2 * times])).collect();
    insta::assert_snapshot!(error(&alike), @"the shares of the exits are too alike in all windows to tell them apart");
    assert_eq!(error(&[]), FitError::Nothing);
    assert_eq!(error(&[mix(f64::NAN, &[1]), mix(1.0, &[1])]), FitError::NoNumber);
}

#[test]
fn an_exit_that_no_image_took_has_no_energy() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mixes: Vec<_> = (0..12)
        .map(|_| {
            let counts = vec![random.random_range(1..100), 0, random.random_range(1..100)];
            let energy = counts[0] as f64 * 0.002 + counts[2] as f64 * 0.009;
            Mix { energy: Joules(energy), counts }
        })
        .collect();
    let fit = ExitFit::of(&mixes).unwrap();
    assert_eq!((fit.exits[1].energy, fit.exits[1].half_width), (None, None));
    assert!((fit.exits[2].energy.unwrap().0 - 0.009).abs() < 1e-12);
    let unseen = Mix { energy: Joules(1.0), counts: vec![1, 1, 1] };
    assert!(fit.check(&[unseen]).is_empty());
}
