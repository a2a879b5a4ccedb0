//! What rows of samples become.

use std::time::Duration;

use offramp_meter::probe::{Lost, Sample};
use offramp_meter::{Description, Flag, Joules, NotMeasured, Quantity, Rail, Reading, Recorder, Watts};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

const PERIOD: Duration = Duration::from_millis(10);

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn of(rails: Vec<Rail>, total: &[&str]) -> Recorder {
    let mut description = Description::empty("test", NotMeasured::energy("no rule"));
    description.rails = rails;
    if !total.is_empty() {
        description.choose_total(total).unwrap();
    }
    Recorder::new(&description, PERIOD)
}

fn power() -> Rail {
    Rail { time_constant: Some(Duration::ZERO), ..Rail::new("in", "", Quantity::Power) }
}

fn counter(range: Option<f64>) -> Rail {
    Rail {
        counter_range: range.map(Joules),
        plausible: [Watts(0.0), Watts(1000.0)],
        ..Rail::new("in", "", Quantity::Counter)
    }
}

fn value(value: i64) -> Result<Sample, Lost> {
    Ok(Sample { value, step: Some(1000) })
}

/// One rail's samples, and the window from `from` to `to`.
fn read(rail: Rail, samples: &[(u64, Result<Sample, Lost>)], (from, to): (u64, u64)) -> Reading {
    let mut recorder = of(vec![rail], &["in"]);
    let (before, after): (Vec<_>, Vec<_>) = samples.iter().partition(|(at, _)| *at < from);
    for (at, entry) in before {
        recorder.row(ms(at), &[entry]);
    }
    recorder.open(ms(from));
    let (within, beyond): (Vec<_>, Vec<_>) = after.iter().partition(|(at, _)| *at <= to);
    for (at, entry) in within {
        recorder.row(ms(at), &[entry]);
    }
    recorder.close(ms(to));
    for (at, entry) in beyond {
        recorder.row(ms(at), &[entry]);
    }
    recorder.reading().unwrap()
}

#[test]
fn constant_power_gives_exactly_power_times_time() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..200 {
        let microwatts: i64 = random.random_range(0..2_000_000_000);
        let mut recorder = of(vec![power()], &["in"]);
        let mut at = Duration::ZERO;
        recorder.row(at, &[value(microwatts)]);
        let opened = Duration::from_nanos(random.random_range(1..10_000_000));
        recorder.open(opened);
        for _ in 0..500 {
            at += Duration::from_nanos(random.random_range(10_000_000..14_000_000));
            recorder.row(at, &[value(microwatts)]);
        }
        let closed = at + Duration::from_nanos(random.random_range(0..9_000_000));
        recorder.close(closed);
        recorder.row(at + PERIOD, &[value(microwatts)]);
        let exact = i128::from(microwatts) * (closed - opened).as_nanos() as i128;
        assert_eq!(recorder.reading().unwrap().energy, Ok(Joules(exact as f64 / 1e15)));
    }
}

#[test]
fn a_reversed_waveform_has_the_same_energy() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    for _ in 0..100 {
        let mut samples = Vec::new();
        let mut at = 0;
        while at < 5_000 {
            samples.push((at, value(random.random_range(0..50_000_000))));
            at += random.random_range(1..20);
        }
        let last = samples.last().unwrap().0;
        let (from, to) = (random.random_range(20..100), last - random.random_range(20..100));
        let forwards = read(power(), &samples, (from, to));
        let mirrored: Vec<_> = samples.iter().rev().map(|(at, entry)| (last - at, *entry)).collect();
        let backwards = read(power(), &mirrored, (last - to, last - from));
        assert_eq!(forwards.energy, backwards.energy);
        assert_eq!(forwards.samples, backwards.samples);
    }
}

#[test]
fn the_ends_of_a_window_are_interpolated() {
    // A ramp of 1 W per second from 0: between 15 ms and 35 ms it is 25 mW in the mean.
    let ramp: Vec<_> = (0..6).map(|step| (step * 10, value(step as i64 * 10_000))).collect();
    let reading = read(power(), &ramp, (15, 35));
    assert_eq!(reading.energy, Ok(Joules(0.025 * 0.020)));
    let rail = &reading.rails[0];
    let [first, last] = rail.ends.unwrap();
    assert!((first.0 - 0.015).abs() < 1e-12 && (last.0 - 0.035).abs() < 1e-12);
    assert_eq!((rail.samples, reading.samples), (2, 2));
}

#[test]
fn falling_power_counts_as_rising_power_does() {
    let up = read(power(), &[(0, value(0)), (10, value(4_000_000))], (0, 10));
    let down = read(power(), &[(0, value(4_000_000)), (10, value(0))], (0, 10));
    assert_eq!((up.energy.clone(), down.energy), (Ok(Joules(0.02)), up.energy));
}

#[test]
fn counter_wrap_adds_one_range() {
    let samples = [(0, value(262_143_000_000)), (1000, value(671_150)), (2000, value(1_671_150))];
    let reading = read(counter(Some(262_143.328_85)), &samples, (0, 2000));
    assert_eq!(reading.energy, Ok(Joules(2.0)));
    assert!(reading.flags.contains(&Flag::Wrapped { rail: "in".to_owned(), times: 1 }));
}

#[test]
fn a_counter_that_may_have_gone_round_twice_gives_no_energy() {
    // 50 J of range at up to 1000 W: 100 ms are too long a look away.
    let samples = [(0, value(1_000_000)), (100, value(2_000_000)), (110, value(2_100_000))];
    let why = read(counter(Some(50.0)), &samples, (0, 110)).energy.unwrap_err().why;
    insta::assert_snapshot!(why, @"in: its counter was not read for so long that it may have gone round twice");
}

#[test]
fn a_counter_that_begins_anew_gives_no_energy() {
    for rail in [counter(None), counter(Some(262_143.0))] {
        let samples = [(0, value(5_000_000)), (100, value(6_000_000)), (200, value(10)), (300, value(20))];
        let reading = read(rail, &samples, (0, 300));
        insta::allow_duplicates! {
            insta::assert_snapshot!(reading.energy.unwrap_err().why, @"in: its counter began anew");
        }
        assert!(reading.flags.contains(&Flag::CounterReset { rail: "in".to_owned() }));
        assert!(!reading.flags.iter().any(|flag| matches!(flag, Flag::Wrapped { .. })));
    }
}

#[test]
fn a_counter_without_a_value_at_an_end_gives_no_energy() {
    let gone = Err(Lost::Vanished);
    let late = read(counter(None), &[(5, value(10)), (10, value(20))], (0, 10));
    assert!(late.energy.is_err());
    let early = read(counter(None), &[(0, value(10)), (5, value(20)), (10, gone)], (0, 10));
    insta::assert_snapshot!(
        early.energy.unwrap_err().why,
        @"in: its counter could not be read at an end of the window (the file or its device is gone)"
    );
}

#[test]
fn lost_samples_are_bridged_and_counted() {
    let mut samples: Vec<_> = (0..=1000).map(|step| (step * 10, value(3_000_000))).collect();
    for lost in &mut samples[200..220] {
        lost.1 = Err(Lost::Busy);
    }
    let reading = read(power(), &samples, (0, 10_000));
    assert_eq!(reading.energy, Ok(Joules(30.0)));
    assert_eq!(reading.lost, 20);
    assert_eq!(reading.flags, [Flag::Gaps { rail: "in".to_owned(), lost: 20, due: 1001 }]);
}

#[test]
fn what_was_not_seen_for_long_is_not_made_up() {
    let mut samples: Vec<_> = (0..=1000).map(|step| (step * 10, value(3_000_000))).collect();
    for lost in &mut samples[200..300] {
        lost.1 = Err(Lost::NotANumber);
    }
    let why = |reading: Reading| reading.energy.unwrap_err().why;
    insta::assert_snapshot!(why(read(power(), &samples, (0, 10_000))), @"in: nothing is known of 1.010 s of 10.000 s (what was read is no number)");
    insta::assert_snapshot!(why(read(power(), &samples[..200], (0, 10_000))), @"in: nothing is known of 8.010 s of 10.000 s");
    insta::assert_snapshot!(why(read(power(), &[(5, Err(Lost::Vanished))], (0, 10))), @"in: no sample in the window (the file or its device is gone)");
}

#[test]
fn absurd_values_are_counted_and_not_used() {
    let mut samples: Vec<_> = (0..=1000).map(|step| (step * 10, value(3_000_000))).collect();
    samples[500].1 = value(i64::MAX);
    samples[501].1 = value(-50_000_000_000);
    let reading = read(power(), &samples, (0, 10_000));
    assert_eq!(reading.energy, Ok(Joules(30.0)));
    assert!(reading.flags.contains(&Flag::Implausible { rail: "in".to_owned(), values: 2 }));
}

#[test]
fn one_rail_that_fails_leaves_the_others_and_takes_the_total() {
    let rails = || vec![power(), Rail { name: "other".to_owned(), ..power() }];
    for (total, known) in [(vec!["in"], true), (vec!["in", "other"], false)] {
        let mut recorder = of(rails(), &total);
        recorder.row(ms(0), &[value(1_000_000), Err(Lost::Vanished)]);
        recorder.open(ms(0));
        recorder.row(ms(10), &[value(1_000_000), Err(Lost::Vanished)]);
        recorder.close(ms(10));
        let reading = recorder.reading().unwrap();
        assert_eq!(reading.energy.is_ok(), known, "{:?}", reading.energy);
        assert_eq!(reading.rails[0].energy, Ok(Joules(0.01)));
        assert!(reading.rails[1].energy.is_err());
    }
}

#[test]
fn rails_without_a_rule_are_read_and_not_added() {
    let mut recorder = of(vec![power(), Rail { name: "other".to_owned(), ..power() }], &[]);
    recorder.row(ms(0), &[value(1_000_000); 2]);
    recorder.open(ms(0));
    recorder.row(ms(10), &[value(1_000_000); 2]);
    recorder.close(ms(10));
    let reading = recorder.reading().unwrap();
    assert_eq!(
        (reading.energy, reading.domain, reading.resolution),
        (Err(NotMeasured::energy("no rule")), None, None)
    );
    assert_eq!(reading.rails[1].energy, Ok(Joules(0.01)));
}

#[test]
fn a_window_shorter_than_the_sensor_needs_is_flagged() {
    let slow = Rail { time_constant: Some(ms(3379)), ..power() };
    let samples: Vec<_> = (0..=2000).map(|step| (step * 10, value(1_000_000))).collect();
    let reading = read(slow, &samples, (0, 20_000));
    let flag = &reading.flags[0];
    insta::assert_snapshot!(flag, @"the window of 20.0 s is shorter than the 67.6 s that this sensor needs; measure longer, or read it as a trend");
}

#[test]
fn time_that_runs_backwards_is_ignored() {
    let mut recorder = of(vec![power()], &["in"]);
    recorder.row(ms(10), &[value(1_000_000)]);
    recorder.open(ms(10));
    recorder.row(ms(20), &[value(1_000_000)]);
    recorder.row(ms(15), &[value(900_000_000)]);
    recorder.row(ms(30), &[value(1_000_000)]);
    recorder.close(ms(30));
    assert_eq!(recorder.reading().unwrap().energy, Ok(Joules(0.02)));
}

#[test]
fn a_counter_that_stands_still_for_a_second_counts_nothing_and_gives_no_energy() {
    let still = [(0, value(7)), (500, value(7)), (1300, value(7))];
    let why = read(counter(None), &still, (100, 1200)).energy.unwrap_err().why;
    assert_eq!(why, "in: its counter did not move in 1.100 s");
    // Too short to tell, and one step is a movement.
    assert_eq!(read(counter(None), &still, (100, 600)).energy, Ok(Joules(0.0)));
    let moved = [(0, value(7)), (1300, value(8))];
    assert!(read(counter(None), &moved, (100, 1200)).energy.is_ok());
    let slow = Rail { update: Some(Duration::from_secs(1)), ..counter(None) };
    assert!(read(slow, &still, (100, 1200)).energy.is_ok(), "one new value a second");
}

#[test]
fn samples_that_were_due_at_the_very_end_are_missing_too() {
    let mut recorder = of(vec![power()], &["in"]);
    recorder.missed(7);
    recorder.row(Duration::ZERO, &[value(1000)]);
    recorder.open(Duration::ZERO);
    (1..=976).for_each(|at| recorder.row(ms(at * 10), &[value(1000)]));
    recorder.close(ms(10_000));
    recorder.row(ms(10_001), &[value(1000)]);
    recorder.missed(23);
    let reading = recorder.reading().unwrap();
    assert_eq!(reading.lost, 23);
    assert!(matches!(reading.flags[..], [Flag::Late { missed: 23, due: 999 }]), "{:?}", reading.flags);
}

#[test]
fn a_value_that_is_seen_many_times_is_one_value() {
    // A new value every 100 ms, seen every 10: what neighbouring values differ by is that of the hundred, not of the thousand.
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let values: Vec<i64> = (0..110).map(|_| random.random_range(4_000_000..6_000_000)).collect();
    let samples: Vec<_> = (0..1020).map(|at| (at * 10, value(values[(at / 10) as usize]))).collect();
    let noise = |update| {
        let rail = Rail { update: Some(ms(update)), ..power() };
        read(rail, &samples, (5, 10_005)).rails[0].noise.unwrap().0
    };
    // Uniform over 2 W: 0.577 W, over the root of a hundred.
    assert!((0.045..0.07).contains(&noise(100)), "{}", noise(100));
    assert!(noise(10) < 0.02, "as if all were new: {}", noise(10));
}
