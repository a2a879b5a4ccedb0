//! Joules against waveforms whose energy is known, through a sensor with its filter, its steps, its offset and its gain.
//!
//! The reference (`waveform.rs`) is closed forms; it shares nothing with the integrator.

use std::rc::Rc;
use std::time::Duration;

use offramp_meter::Meter as _;
use offramp_meter::protocol::{ErrorBudget, ExitFit, Load, Plan, measure};
use offramp_meter::state::BoardState;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::simulated::{Sensor, SimulatedClock, SimulatedLoad, SimulatedMeter, World};
use crate::waveform::Waveform;

struct Found {
    truth: f64,
    error: f64,
    budget: f64,
    /// The budget without what is the same in every window: zero and gain.
    of_difference: f64,
}

/// A chip's conversions take up to a tenth longer than its data sheet's typical time, and are in step with no load.
fn with_own_clock(sensor: Sensor, seed: u64) -> Sensor {
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x5eed);
    Sensor { conversion_s: sensor.conversion_s * random.random_range(1.0..1.1), ..sensor }
}

/// One window of the rule's length over `waveform`, which began five time constants before.
fn window(sensor: Sensor, waveform: impl FnOnce(f64) -> Waveform, seed: u64) -> Found {
    let world = World::new(3.0);
    let mut meter = SimulatedMeter::new(&world, sensor, seed);
    let plan = Plan::by_rule(meter.description());
    // A window begins anywhere within a conversion and within the sampler's period.
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let settle = plan.settle.as_secs_f64() + 1.0 + random.random_range(0.0..0.05);
    let length = plan.window.as_secs_f64();
    world.borrow_mut().pass(settle, waveform(settle + length));
    meter.start().unwrap();
    world.borrow_mut().pass_on(length);
    let reading = meter.stop().unwrap();
    let world = world.borrow();
    let truth = world.energy(world.now()) - world.energy(world.now() - length);
    let budget = ErrorBudget::of(&reading, meter.description(), Duration::from_millis(1));
    Found {
        truth,
        error: reading.energy.unwrap().0 - truth,
        budget: budget.total().0,
        of_difference: budget.of_difference().0,
    }
}

/// A sensor, a name for it, and the power at which half a step is a quarter of a percent.
fn sensors() -> Vec<(String, Sensor, f64)> {
    let boards = [("5 mOhm, 5 V", Sensor::NANO), ("2 mOhm, 20 V", Sensor::AGX)];
    let mut found = Vec::new();
    for (board, sensor) in boards {
        for samples in [1, 16, 64, 512] {
            for conversion_s in [1.4e-4, 1.1e-3] {
                let sensor = Sensor { samples, conversion_s, ..sensor };
                let name = format!("{board}, {samples:3} samples of {:4.2} ms", conversion_s * 1e3);
                let enough = (40e-6 / (sensor.shunt_milliohm * 1e-3) * sensor.volts / 2.0)
                    / (0.0025 - 0.004 / sensor.volts);
                found.push((name, sensor, enough));
            }
        }
    }
    found
}

fn waveforms(power: f64, seconds: f64, seed: u64) -> [(&'static str, Waveform); 4] {
    [
        ("constant", Waveform::Constant(power)),
        // A board that warms up: four parts in a hundred over a window.
        ("ramp", Waveform::Ramp(power, power * 0.04 / seconds)),
        ("square 1 kHz", Waveform::Square { low: power * 0.7, high: power * 1.7, period: 1e-3, duty: 0.3 }),
        ("bursts", Waveform::bursts(power * 0.8, power * 0.7, seconds, seed)),
    ]
}

/// A sensor without zero and gain error, so that its budget without both must do. Half a percent is had where the filter is longer than
/// the time between samples; a sensor that does not average is seen at a thousand moments only, and its budget says so.
#[test]
fn energy_is_within_half_a_percent_where_half_a_step_is_below_a_quarter() {
    for (name, sensor, enough) in sensors() {
        let mut line = String::new();
        for kind in 0..4 {
            let mut worst = (0.0_f64, 0.0_f64);
            for seed in 0..5 {
                let mut random = ChaCha8Rng::seed_from_u64(seed);
                let power = enough * random.random_range(1.01..2.0);
                assert!(sensor.step_w(power) / 2.0 <= 0.0025 * power, "{name}: {power} W");
                let make = |seconds: f64| waveforms(power, seconds, seed)[kind].1.clone();
                let found = window(with_own_clock(sensor, seed), make, seed);
                let (error, relative) = (found.error.abs(), found.error.abs() / found.truth);
                assert!(
                    error <= found.of_difference,
                    "{name}, waveform {kind}: {error:.4} J off, budget {:.4} J of {:.1} J",
                    found.of_difference,
                    found.truth
                );
                assert!(
                    relative <= 0.005 || sensor.samples == 1,
                    "{name}, waveform {kind}: {:.3} %",
                    relative * 100.0
                );
                worst = (worst.0.max(relative), worst.1.max(found.of_difference / found.truth));
            }
            let what = waveforms(1.0, 1.0, 0)[kind].0;
            line += &format!("  {what} {:.3} ({:.2})", worst.0 * 100.0, worst.1 * 100.0);
        }
        println!("{name}, worst error (and budget) in %:{line}");
    }
}

/// Of a load whose period and the sensor's cycle are in a ratio of small numbers, the sensor sees a few phases, for
/// ever. Nothing in a reading shows that; what helps is a load that is not in step.
#[test]
fn a_load_in_step_with_the_sensors_conversions_is_seen_at_few_phases_only() {
    let square = |_| Waveform::Square { low: 28.0, high: 68.0, period: 1e-3, duty: 0.3 };
    let relative = |sensor| {
        let found = window(sensor, square, 3);
        found.error.abs() / found.truth
    };
    let sensor = Sensor { samples: 64, ..Sensor::NANO };
    let (in_step, free) = (relative(sensor), relative(Sensor { conversion_s: 1.137e-3, ..sensor }));
    println!("a cycle of 6.600 periods: {:.2} % off; of 6.822: {:.2} %", in_step * 100.0, free * 100.0);
    assert!(in_step > 0.005 && free < 0.005, "{in_step} {free}");
}

#[test]
fn energy_is_within_the_budget_at_any_load_offset_and_gain() {
    let (mut runs, mut closest) = (0, 0.0_f64);
    for (name, sensor, enough) in sensors() {
        for seed in 0..8_u64 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let sensor = Sensor {
                // The data sheet's limits, in every combination.
                offset_uv: if seed % 2 == 0 { 80.0 } else { -80.0 },
                gain: if seed % 4 < 2 { 1.0025 } else { 0.9975 },
                ..with_own_clock(sensor, seed)
            };
            // From loads of a few steps to those of the test above, and a ramp that doubles within the window.
            let power = enough * random.random_range(0.05..1.5);
            for kind in 0..5 {
                let make = |seconds: f64| match kind {
                    4 => Waveform::Ramp(power, power / seconds),
                    kind => waveforms(power, seconds, seed)[kind].1.clone(),
                };
                let found = window(sensor, make, seed);
                assert!(
                    found.error.abs() <= found.budget,
                    "{name}, waveform {kind}, {power:.2} W: {:.4} J off, budget {:.4} J of {:.1} J",
                    found.error,
                    found.budget,
                    found.truth
                );
                runs += 1;
                closest = closest.max(found.error.abs() / found.budget);
            }
        }
    }
    println!("{runs} windows, all within their budget; the closest used {:.0} % of it", closest * 100.0);
}

/// Power of a window differs from its neighbours'; what is covered is the mean energy of an image over all windows there could be.
#[test]
fn the_stated_interval_covers_the_truth_in_93_of_100_runs() {
    let (mut stated, mut student) = (0, 0);
    let mut widths = Vec::new();
    for seed in 0..100 {
        let mut random = ChaCha8Rng::seed_from_u64(1000 + seed);
        let (idle, joules) = (random.random_range(3.0..5.0), random.random_range(0.006..0.012));
        let world = World::new(idle);
        let mut meter = SimulatedMeter::new(&world, Sensor { samples: 64, ..Sensor::NANO }, seed);
        let load = SimulatedLoad::steady("load", &world, joules, 1e-3);
        let mut load = SimulatedLoad { noise: 0.15, random, ..load };
        let plan = Plan::by_rule(meter.description());
        let clock = SimulatedClock(Rc::clone(&world));
        let mut board = BoardState::default;
        let session = measure(&plan, &mut meter, &clock, &mut board, &mut [&mut load], &mut |_| ()).unwrap();
        let summary = &session.summaries()[0];
        let (net, interval) = (summary.net.unwrap(), summary.net_interval.unwrap().0);
        stated += usize::from((net.mean - joules).abs() <= interval);
        student += usize::from(net.covers(joules).unwrap());
        widths.push(interval / joules * 100.0);
    }
    widths.sort_by(f64::total_cmp);
    println!(
        "the stated interval covers the truth in {stated} of 100 runs (Student's alone in {student}); its half is {:.2} % in the median",
        widths[50]
    );
    assert!(stated >= 93, "{stated} of 100");
    assert!(widths[50] < 3.0, "an interval that covers everything says nothing: {} %", widths[50]);
}

/// Joules above idle and seconds of an image, by exit.
const EXITS: [(f64, f64); 4] = [(0.0021, 0.0004), (0.0055, 0.0010), (0.0098, 0.0018), (0.0149, 0.0028)];

#[test]
fn a_regression_recovers_the_joules_of_every_exit_and_predicts_other_mixes() {
    for (name, samples) in [("16 samples", 16), ("64 samples", 64)] {
        let world = World::new(3.1);
        let mut meter = SimulatedMeter::new(&world, Sensor { samples, ..Sensor::NANO }, 5);
        let mut random = ChaCha8Rng::seed_from_u64(11);
        let shares = move |_| {
            let parts: Vec<f64> = (0..4).map(|_| random.random_range(0.01_f64..1.0).powi(3)).collect();
            let sum: f64 = parts.iter().sum();
            parts.iter().map(|part| part / sum).collect()
        };
        let mut load = SimulatedLoad {
            exits: EXITS.to_vec(),
            shares: Box::new(shares),
            noise: 0.02,
            ..SimulatedLoad::steady("mixed", &world, 0.0, 0.0)
        };
        let plan = Plan::by_rule(meter.description()).with_windows(60);
        let clock = SimulatedClock(Rc::clone(&world));
        let mut board = BoardState::default;
        let session = measure(&plan, &mut meter, &clock, &mut board, &mut [&mut load], &mut |_| ()).unwrap();
        let mixes = session.mixes(..);
        let fit = ExitFit::of(&mixes[..40]).unwrap();
        for (exit, (truth, _)) in fit.exits.iter().zip(EXITS) {
            let (energy, half) = (exit.energy.unwrap().0, exit.half_width.unwrap().0);
            let relative = energy / truth - 1.0;
            println!(
                "{name}: {:.4} mJ +- {:.4}, truth {:.4}, {:+.2} %",
                energy * 1e3,
                half * 1e3,
                truth * 1e3,
                relative * 100.0
            );
            assert!(relative.abs() <= 0.02, "{relative}");
        }
        let held_out = fit.check(&mixes[40..]);
        let worst = held_out.iter().map(|window| window.relative.unwrap().abs()).fold(0.0, f64::max);
        let within = held_out.iter().filter(|window| window.within == Some(true)).count();
        println!(
            "{name}: {} held-out mixes, worst {:.2} %, {within} within their interval",
            held_out.len(),
            worst * 100.0
        );
        assert_eq!(held_out.len(), 20);
        assert!(worst <= 0.02 && within >= 16, "{worst} {within}");
    }
}

#[test]
fn forced_exits_cost_what_the_regression_says() {
    let world = World::new(3.1);
    let mut meter = SimulatedMeter::new(&world, Sensor::NANO, 6);
    let mut loads: Vec<_> = EXITS
        .iter()
        .enumerate()
        .map(|(exit, (joules, seconds))| {
            SimulatedLoad::steady(&format!("exit {exit}"), &world, *joules, *seconds)
        })
        .collect();
    let mut turns: Vec<_> = loads.iter_mut().map(|load| load as &mut dyn Load).collect();
    let plan = Plan::by_rule(meter.description());
    let clock = SimulatedClock(Rc::clone(&world));
    let mut board = BoardState::default;
    let session = measure(&plan, &mut meter, &clock, &mut board, &mut turns, &mut |_| ()).unwrap();
    for (summary, (truth, _)) in session.summaries().iter().zip(EXITS) {
        let net = summary.net.unwrap().mean;
        let interval = summary.net_interval.unwrap().0;
        println!("{}: {:.4} mJ +- {:.4}, truth {:.4}", summary.load, net * 1e3, interval * 1e3, truth * 1e3);
        assert!((net / truth - 1.0).abs() <= 0.02 && (net - truth).abs() <= interval);
    }
}
