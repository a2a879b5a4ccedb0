//! A thread that samples files.

use std::time::{Duration, Instant};

use offramp_meter::probe::{Lost, Probe, Sample};
use offramp_meter::source::{self, Found, Host, Kind};
use offramp_meter::{
    Description, Flag, Joules, Meter as _, MeterError, NotMeasured, Quantity, Rail, Sampler, Sampling,
};

use crate::boards::{self, Board};

fn sampler(board: &Board, kind: Kind, period: Duration) -> Sampler {
    let found = source::find(&Host::at(board.sys()), kind).unwrap();
    let sampling =
        Sampling { period: Some(period), calibration: Duration::from_millis(50), ..Sampling::default() };
    Sampler::new(found, sampling).unwrap()
}

const FAST: Duration = Duration::from_millis(1);

/// A quarter of a second is bridged at this period: as long as a busy machine may keep a thread waiting.
const CALM: Duration = Duration::from_millis(10);

/// Takes samples until `time` has passed.
fn watch(meter: &mut Sampler, time: Duration) {
    let started = Instant::now();
    while started.elapsed() < time {
        meter.glance().unwrap();
    }
}

#[test]
fn power_that_does_not_change_is_power_times_the_window() {
    let board = Board::new(boards::ORIN_NANO);
    let mut meter = sampler(&board, Kind::Ina, CALM);
    for _ in 0..3 {
        meter.start().unwrap();
        watch(&mut meter, Duration::from_millis(30));
        let reading = meter.stop().unwrap();
        let exact = 4.999_68 * reading.window.as_secs_f64();
        let found = reading.energy.unwrap().0;
        assert!((found - exact).abs() < 1e-12 * exact, "{found} J, {exact} J");
        assert!(reading.samples > 5 && reading.window >= Duration::from_millis(30));
        assert_eq!(reading.rails.len(), 3);
        assert!(reading.resolution.is_some_and(|step| step > Joules(0.0)));
    }
}

#[test]
fn a_window_is_closed_once_and_only_after_it_was_opened() {
    let board = Board::new(boards::ORIN_NANO);
    let mut meter = sampler(&board, Kind::Ina, FAST);
    assert!(matches!(meter.stop(), Err(MeterError::NotStarted)));
    meter.start().unwrap();
    assert!(matches!(meter.calibrate(), Err(MeterError::WindowOpen)));
    meter.start().unwrap();
    meter.stop().unwrap();
    assert!(matches!(meter.stop(), Err(MeterError::NotStarted)));
}

#[test]
fn a_counter_is_read_at_both_ends() {
    let board = Board::new(boards::X86_SERVER);
    let mut meter = sampler(&board, Kind::Rapl, Duration::from_secs(1));
    assert!(meter.glance().unwrap()[0].power.is_err());
    meter.start().unwrap();
    watch(&mut meter, Duration::from_millis(20));
    // Package 0 goes round, by 328850 uJ to the end of its range and 1 J more; package 1 rises by 0.5 J.
    board.write("class/powercap/intel-rapl:0/energy_uj", "1000000");
    board.write("class/powercap/intel-rapl:1/energy_uj", "1500000");
    watch(&mut meter, Duration::from_millis(20));
    let reading = meter.stop().unwrap();
    let energy = reading.energy.unwrap().0;
    assert!((energy - 1.828_85).abs() < 1e-9, "{energy}");
    assert!(reading.flags.contains(&Flag::Wrapped { rail: "package-0".to_owned(), times: 1 }));
    assert!(meter.glance().unwrap()[0].power.is_ok());
}

#[test]
fn files_that_turn_to_text_or_vanish_are_lost_samples_and_no_panic() {
    let board = Board::new(boards::ORIN_NANO);
    // Its first page cannot be read: an input/output error.
    let broken = board.path("class/hwmon/hwmon1/curr3_input");
    std::fs::remove_file(&broken).unwrap();
    std::os::unix::fs::symlink("/proc/self/mem", &broken).unwrap();
    let mut meter = sampler(&board, Kind::Ina, CALM);
    meter.start().unwrap();
    let why = |meter: &mut Sampler, rail: usize| {
        meter.glance().unwrap()[rail].power.clone().err().map_or_else(String::new, |reason| reason.why)
    };
    assert_eq!(why(&mut meter, 0), "");
    assert_eq!(why(&mut meter, 2), "reading failed");
    let current = "class/hwmon/hwmon1/curr1_input";
    for (text, reason) in
        [("N/A", "what was read is no number"), ("-9999999", "what was read cannot be"), ("1008", "")]
    {
        board.write(current, text);
        assert_eq!(why(&mut meter, 0), reason, "{text}");
    }
    let reading = meter.stop().unwrap();
    assert!(reading.rails[0].lost >= 2, "text and an absurd value");
    assert!(reading.flags.iter().any(|flag| matches!(flag, Flag::Gaps { .. })));
    assert!(reading.flags.iter().any(|flag| matches!(flag, Flag::Implausible { .. })));

    meter.start().unwrap();
    std::fs::write(board.path(current), "").unwrap();
    std::fs::remove_file(board.path(current)).unwrap();
    assert_eq!(why(&mut meter, 0), "the file or its device is gone");
    watch(&mut meter, Duration::from_millis(400));
    let reading = meter.stop().unwrap();
    assert!(reading.energy.unwrap_err().why.ends_with("(the file or its device is gone)"));
    assert!(reading.rails[1].energy.is_ok(), "the rail beside it is still read");
    board.write(current, "1008");
    assert_eq!(why(&mut meter, 0), "");
}

#[test]
fn a_meter_measures_what_it_costs() {
    let board = Board::new(boards::AGX_ORIN);
    let mut meter = sampler(&board, Kind::Ina, Duration::from_millis(10));
    let overhead = meter.calibrate().unwrap();
    println!("one sample of eight files: {overhead:?}");
    assert!(overhead.sample > Duration::ZERO);
    assert_eq!(overhead.per_second, None, "power that does not change shows no cost");
}

/// The least of a few tries: what other processes do to caches and clocks is not the sampler's cost.
#[test]
fn sampling_six_files_at_100_hz_takes_at_most_a_hundredth_of_a_core() {
    let board = Board::new(boards::ORIN_NANO);
    for (period, limit) in [(Duration::from_millis(10), 0.01), (FAST, 0.1)] {
        let mut least = f64::INFINITY;
        for _ in 0..5 {
            let mut meter = sampler(&board, Kind::Ina, period);
            meter.start().unwrap();
            std::thread::sleep(Duration::from_secs(1));
            let reading = meter.stop().unwrap();
            let Some(cost) = reading.cost else {
                println!("skipped: this system tells no CPU time of a thread");
                return;
            };
            println!(
                "{} samples of 6 files in {:.2} s every {period:?}: {:.3} % of a core, {} lost",
                reading.samples,
                reading.window.as_secs_f64(),
                cost.share * 100.0,
                reading.lost
            );
            assert!(reading.samples > 20, "{} samples", reading.samples);
            least = least.min(cost.share);
            if least <= limit {
                break;
            }
        }
        assert!(least <= limit, "{least:.4} of a core");
    }
}

#[test]
fn a_counter_that_jumps_over_all_numbers_is_no_panic() {
    let board = Board::new(boards::X86_SERVER);
    let mut meter = sampler(&board, Kind::Rapl, CALM);
    let counter = "class/powercap/intel-rapl:1/energy_uj";
    meter.start().unwrap();
    for text in ["9223372036854775807", "-9223372036854775808", "1", "99999999999999999999999", "0"] {
        board.write(counter, text);
        meter.glance().unwrap();
    }
    let reading = meter.stop().unwrap();
    assert!(reading.energy.is_err() && reading.rails[0].energy.is_ok());
}

/// A source that takes its time, or never answers.
struct Slow(Duration);

impl Probe for Slow {
    fn read(&mut self, row: &mut [Result<Sample, Lost>]) {
        std::thread::sleep(self.0);
        row.fill(Ok(Sample { value: 5_000_000, step: None }));
    }
}

fn slow(time: Duration, period: Option<Duration>) -> Result<Sampler, MeterError> {
    let mut description = Description::empty("slow", NotMeasured::energy(""));
    description.rails = vec![Rail::new("in", "", Quantity::Power)];
    description.choose_total(&["in"]).unwrap();
    description.period = Duration::from_millis(10);
    let found = Found { description, probe: Box::new(Slow(time)) };
    Sampler::new(found, Sampling { period, ..Sampling::default() })
}

#[test]
fn a_source_is_sampled_no_faster_than_it_answers_and_late_samples_are_counted() {
    let meter = slow(Duration::from_millis(12), None).unwrap();
    assert!(meter.description().period >= Duration::from_millis(24), "{:?}", meter.description().period);
    // Insisted on, a period that is too short loses samples, and they are told.
    let mut meter = slow(Duration::from_millis(25), Some(Duration::from_millis(10))).unwrap();
    meter.start().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let reading = meter.stop().unwrap();
    assert!(reading.samples + reading.lost > 40 && reading.lost > reading.samples, "{reading:?}");
    assert!(reading.flags.iter().any(|flag| matches!(flag, Flag::Late { .. })), "{:?}", reading.flags);
}

#[test]
fn a_source_that_hangs_is_told_and_left_alone() {
    let began = Instant::now();
    let error = slow(Duration::from_secs(3600), None).unwrap_err();
    assert!(matches!(error, MeterError::Stalled { .. }), "{error}");
    assert!(began.elapsed() < Duration::from_secs(30), "nobody waits for the thread that hangs");
}
