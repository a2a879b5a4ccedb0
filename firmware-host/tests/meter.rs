//! The whole way of energy: a board with a known power, its line, the recorder, joules.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]
#![expect(clippy::print_stdout, reason = "what was measured is shown")]

mod board;

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use board::start;
use offramp_firmware_host::sim::{Board, Faults, Simulator, Waveform};
use offramp_firmware_host::{
    EdgeSource, Edges, Measurement, PortConnect, PortSelector, Recorder, RecorderError, SerialMeter,
    Settings, Status,
};
use offramp_meter::{Flag, Meter};

fn recorder(path: &Path, settings: Settings) -> Recorder {
    let connect = PortConnect::new(PortSelector::Path(path.to_owned()), 921_600);
    Recorder::open(Box::new(connect), settings).unwrap()
}

/// Waits until something holds; fails after 20 s.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(20), "waited in vain until {what}");
        sleep(Duration::from_millis(5));
    }
}

fn is_recording(recorder: &Recorder) -> bool {
    recorder.status() == Status::Recording
}

/// A window of `length`, and what the board took in it by its own account.
fn window(board: &Simulator, recorder: &Recorder, length: Duration) -> (Measurement, f64) {
    let from = Instant::now();
    let window = recorder.begin();
    sleep(length);
    let to = Instant::now();
    let measured = recorder.end(window).unwrap();
    (measured, board.energy_between(from, to))
}

#[test]
fn known_waveforms_have_their_energy() {
    let waveforms = [
        ("constant", Waveform::Constant(5.0)),
        ("ramp", Waveform::Ramp { low_w: 1.0, high_w: 9.0, period_s: 0.3 }),
        ("square", Waveform::Square { low_w: 2.0, high_w: 8.0, period_s: 0.001, duty: 0.5 }),
        ("bursts", Waveform::bursts(2.0, 10.0, 3.0, 7)),
    ];
    for (name, waveform) in waveforms {
        let (board, _folder) = start(Board { waveform, rate_millihz: 2_000_000, ..Board::default() });
        let recorder = recorder(board.path(), Settings::default());
        let (measured, truth) = window(&board, &recorder, Duration::from_millis(800));
        let off = measured.energy_j - truth;
        println!("{name}: {} J, truth {truth} J, off {off} J: {measured:?}", measured.energy_j);
        // The ends, at no more than twice the mean power, one sample at either end, and half a count.
        let budget = 2.0 * measured.edge_error_j + measured.step_j / 2.0 + 10.0 * 2.0 * 0.0005;
        assert!(off.abs() <= budget, "{name} is off by {off} J, budget {budget} J");
        assert!(off.abs() <= 0.01 * truth, "{name} is off by {off} of {truth} J");
        assert_eq!((measured.gaps, measured.epochs), (0, 1));
        assert!(measured.samples > 1500 && measured.missing_s < 0.002, "{measured:?}");
    }
}

#[test]
fn volts_and_amperes_give_the_same_energy() {
    let board = Board { volts: Some(19.5), scale_nano: 100_000, ..Board::default() };
    let (board, _folder) = start(board);
    let recorder = recorder(board.path(), Settings::default());
    let (measured, truth) = window(&board, &recorder, Duration::from_millis(300));
    assert!((measured.energy_j - truth).abs() < 0.02 * truth, "{measured:?}, truth {truth}");
}

#[test]
fn a_clock_that_is_late_and_skewed_is_aligned_within_200_microseconds() {
    let faults = Faults { jitter: Duration::from_millis(2), skew_ppm: 100.0, ..Faults::default() };
    // A power that rises with time: where a window lies shows in its energy.
    let waveform = Waveform::Ramp { low_w: 0.0, high_w: 100.0, period_s: 100.0 };
    let (board, _folder) = start(Board { faults, waveform, ..Board::default() });
    let recorder = recorder(board.path(), Settings { edges: Edges::Clock, ..Settings::default() });
    // Comparisons go on ten times a second: enough of them, then a marker between two windows.
    sleep(Duration::from_secs(4));
    let from = Instant::now();
    let window = recorder.begin();
    sleep(Duration::from_secs(1));
    let to = Instant::now();
    let measured = recorder.end(window).unwrap();
    let truth = board.energy_between(from, to);
    let alignment = measured.alignment.unwrap();
    println!("{measured:?}, truth {truth} J");
    // Both ends late by e change the energy by e times the power's change over the window, 1 W; an end by its power.
    let mean = truth / measured.window_s;
    let off_s = (measured.energy_j - truth).abs() / mean;
    assert!(off_s < 400e-6, "both ends together are off by {off_s} s");
    assert!(off_s <= measured.edge_error_s + 1e-4, "off by {off_s} s, stated {} s", measured.edge_error_s);
    assert!((alignment.skew_ppm - 100.0).abs() < 150.0, "{alignment:?}");
}

#[test]
fn a_wire_is_preferred_and_what_was_used_is_told() {
    let (board, _folder) = start(Board::default());
    let best = recorder(board.path(), Settings::default());
    let from = best.begin();
    sleep(Duration::from_millis(50));
    board.edge(true);
    sleep(Duration::from_millis(100));
    board.edge(false);
    sleep(Duration::from_millis(100));
    let measured = best.end(from).unwrap();
    assert_eq!(measured.edges, EdgeSource::Line);
    assert!((0.099..0.2).contains(&measured.window_s) && measured.edge_error_s < 1e-5, "{measured:?}");
    assert!((measured.energy_j / measured.window_s - 5.0).abs() < 0.1);
    // Two pulses: from the beginning of the first to the beginning of the last.
    let from = best.begin();
    for pause in [100, 10] {
        board.edge(false);
        sleep(Duration::from_millis(5));
        board.edge(true);
        sleep(Duration::from_millis(pause));
    }
    let pulses = best.end(from).unwrap();
    assert!((0.104..0.16).contains(&pulses.window_s), "{pulses:?}");
    drop(best);
    for (edges, used) in [(Edges::Serial, EdgeSource::Serial), (Edges::Clock, EdgeSource::Clock)] {
        let recorder = recorder(board.path(), Settings { edges, ..Settings::default() });
        let (measured, truth) = window(&board, &recorder, Duration::from_millis(200));
        assert_eq!(measured.edges, used);
        assert!(
            measured.edge_error_s > 0.0 && (measured.energy_j - truth).abs() < 0.05 * truth,
            "{measured:?}"
        );
    }
    let line = recorder(board.path(), Settings { edges: Edges::Line, ..Settings::default() });
    let error = line.end(line.begin()).unwrap_err();
    assert!(matches!(error, RecorderError::NoEdges { found: 0 }), "{error}");
}

#[test]
fn what_was_measured_before_the_plug_was_pulled_is_kept_and_the_gap_is_not_integrated() {
    let (board, _folder) = start(Board::default());
    let recorder = recorder(board.path(), Settings::default());
    let window = recorder.begin();
    sleep(Duration::from_millis(300));
    board.unplug();
    until("the device is missed", || !is_recording(&recorder));
    sleep(Duration::from_millis(300));
    board.plug();
    until("the device is back", || is_recording(&recorder));
    sleep(Duration::from_millis(300));
    let measured = recorder.end(window).unwrap();
    println!("{measured:?}");
    assert_eq!((measured.epochs, measured.gaps), (2, 1));
    assert!(measured.missing_s > 0.3, "{measured:?}");
    let covered = measured.window_s - measured.missing_s;
    assert!((measured.energy_j - 5.0 * covered).abs() < 0.05 * measured.energy_j, "{measured:?}");
}

#[test]
fn a_window_that_ends_while_the_device_is_away_keeps_what_it_has() {
    let (board, _folder) = start(Board::default());
    let mut meter = SerialMeter::new(recorder(board.path(), Settings::default()));
    meter.start().unwrap();
    sleep(Duration::from_millis(300));
    board.unplug();
    until("the device is missed", || !is_recording(meter.recorder()));
    sleep(Duration::from_millis(200));
    let reading = meter.stop().unwrap();
    assert!(reading.flags.iter().any(|flag| matches!(flag, Flag::Gaps { .. })), "{reading:?}");
    // What is known of a part is no energy of the whole; it is told, and kept.
    let why = reading.energy.unwrap_err().why;
    assert!(why.starts_with("nothing is known of 0.") && why.contains("the rest took"), "{why}");
    assert!((0.8..3.0).contains(&meter.last().unwrap().energy_j), "{:?}", meter.last());
    assert!(
        meter.glance().unwrap()[0].power.is_err(),
        "the power of a device that has left is not that of now"
    );
    // A window without samples ends no session: it has no energy.
    meter.start().unwrap();
    let why = meter.stop().unwrap().energy.unwrap_err().why;
    assert!(why.starts_with("no sample lies in the window"), "{why}");
}

#[test]
fn a_reset_in_mid_stream_begins_another_epoch() {
    let (board, _folder) = start(Board { first_tick: u32::MAX - 300_000, ..Board::default() });
    let recorder = recorder(board.path(), Settings::default());
    let window = recorder.begin();
    sleep(Duration::from_millis(400));
    board.reset();
    let boot = recorder.hello().unwrap().boot;
    until("the device said hello again", || recorder.hello().is_some_and(|hello| hello.boot != boot));
    sleep(Duration::from_millis(300));
    let measured = recorder.end(window).unwrap();
    println!("{measured:?}");
    assert_eq!((measured.epochs, measured.gaps), (2, 1));
    let covered = measured.window_s - measured.missing_s;
    assert!(
        covered > 0.6 && (measured.energy_j - 5.0 * covered).abs() < 0.05 * measured.energy_j,
        "{measured:?}"
    );
}

#[test]
fn a_clock_that_jumps_begins_another_epoch() {
    let (board, _folder) = start(Board::default());
    let recorder = recorder(board.path(), Settings::default());
    let window = recorder.begin();
    sleep(Duration::from_millis(300));
    board.jump_clock(500_000_000);
    sleep(Duration::from_millis(900));
    until("samples come again", || is_recording(&recorder));
    sleep(Duration::from_millis(300));
    let measured = recorder.end(window).unwrap();
    println!("{measured:?}");
    assert!(measured.epochs == 2 && measured.gaps >= 1, "{measured:?}");
    let covered = measured.window_s - measured.missing_s;
    assert!((measured.energy_j - 5.0 * covered).abs() < 0.05 * measured.energy_j, "{measured:?}");
}

#[test]
fn damaged_bytes_cost_samples_and_never_joules_that_were_not_there() {
    let kinds = [
        ("drop", Faults { drop: 2e-4, ..Faults::default() }),
        ("flip", Faults { flip: 2e-4, ..Faults::default() }),
        ("duplicate", Faults { duplicate: 2e-4, ..Faults::default() }),
    ];
    for (name, faults) in kinds {
        let (board, _folder) = start(Board { rate_millihz: 4_000_000, ..Board::default() });
        let recorder = recorder(board.path(), Settings::default());
        let window = recorder.begin();
        board.set_faults(faults);
        sleep(Duration::from_secs(1));
        board.set_faults(Faults::default());
        sleep(Duration::from_millis(200));
        let measured = recorder.end(window).unwrap();
        let counts = recorder.counts();
        let (taken, lost) = recorder.samples();
        println!("{name}: {counts:?}, {taken} taken, {lost} lost, {measured:?}");
        assert!(
            counts.rejected.total() > 0 && lost > 0 && measured.gaps > 0,
            "{name}: {counts:?}, {lost} lost"
        );
        assert!(measured.missing_s > 0.0);
        let covered = measured.window_s - measured.missing_s;
        assert!((measured.energy_j - 5.0 * covered).abs() < 0.01 * measured.energy_j, "{name}: {measured:?}");
    }
}

/// A minute: `OFFRAMP_LINK_SECONDS=60`.
#[test]
fn no_sample_is_lost_at_8_khz_paced_and_unpaced() {
    let seconds =
        std::env::var("OFFRAMP_LINK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2.0);
    for baud in [None, Some(921_600)] {
        let board = Board { rate_millihz: 8_000_000, batch: 60, baud, ..Board::default() };
        let (board, _folder) = start(board);
        let recorder = recorder(board.path(), Settings::default());
        let (busy, window) = (recorder.busy(), recorder.begin());
        sleep(Duration::from_secs_f64(seconds));
        let measured = recorder.end(window).unwrap();
        let (taken, lost) = recorder.samples();
        let share = (recorder.busy() - busy).as_secs_f64() / measured.window_s;
        println!(
            "{baud:?} baud: {taken} samples, {lost} lost, {:.2} % of a core, {measured:?}",
            share * 100.0
        );
        assert_eq!((lost, recorder.overruns(), measured.gaps), (0, 0, 0));
        assert!(taken as f64 > 8000.0 * seconds * 0.99);
    }
}

#[test]
fn a_reader_that_was_killed_leaves_nothing_behind_that_the_next_trips_over() {
    let (board, _folder) = start(Board::default());
    // A host that starts sampling and is gone without a word.
    let mut first = board::session(board.path());
    first.start(0, 0).unwrap();
    sleep(Duration::from_millis(300));
    drop(first);
    sleep(Duration::from_millis(100));
    let recorder = recorder(board.path(), Settings::default());
    let (measured, truth) = window(&board, &recorder, Duration::from_millis(200));
    assert!((measured.energy_j - truth).abs() < 0.05 * truth && measured.gaps == 0, "{measured:?}");
}

#[test]
fn the_runtimes_trait_is_served() {
    let (board, _folder) = start(Board::default());
    let mut meter = SerialMeter::new(recorder(board.path(), Settings::default()));
    assert!(meter.stop().is_err());
    let overhead = meter.calibrate().unwrap();
    println!("{overhead:?}");
    assert!(overhead.per_second.is_none() && overhead.sample < Duration::from_millis(1));
    meter.start().unwrap();
    sleep(Duration::from_millis(200));
    let reading = meter.stop().unwrap();
    assert!(reading.domain.as_ref().unwrap().ends_with(": VDD_IN"), "{reading:?}");
    // Nothing but that the rule asks for longer ones.
    let only_short =
        matches!(reading.flags.as_slice(), [Flag::ShortWindow { needed_s, .. }] if *needed_s == 10.0);
    assert!(only_short, "{reading:?}");
    assert_eq!(reading.time_constant, Some(Duration::from_millis(1)));
    assert!((reading.resolution.unwrap().0 - 0.001 * reading.window.as_secs_f64()).abs() < 1e-6);
    assert!(meter.glance().unwrap()[0].power.is_ok());
    meter.start().unwrap();
    assert!(meter.calibrate().is_err(), "a window is open");
    // A wire that is loose ends no window: its images are those of the host's time.
    for high in [true, false] {
        board.edge(high);
        sleep(Duration::from_millis(20));
    }
    sleep(Duration::from_millis(200));
    let reading = meter.stop().unwrap();
    assert!(reading.window > Duration::from_millis(230), "{reading:?}");
    assert!((reading.energy.unwrap().0 / reading.window.as_secs_f64() - 5.0).abs() < 0.1);
    assert_eq!(meter.recorder().status(), Status::Recording);
}

#[test]
fn a_device_of_one_sample_a_second_is_measured_like_any_other() {
    let (board, _folder) = start(Board { rate_millihz: 1_000, ..Board::default() });
    let recorder = recorder(board.path(), Settings::default());
    sleep(Duration::from_millis(1500));
    let (measured, _) = window(&board, &recorder, Duration::from_secs(3));
    assert!(measured.is_whole() && measured.samples >= 3, "{measured:?}");
    assert!((measured.energy_j / measured.window_s - 5.0).abs() < 0.1, "{measured:?}");
}

#[test]
fn windows_that_follow_on_each_other_leave_nothing_between_them_whatever_their_ends_are_taken_from() {
    for edges in [Edges::Best, Edges::Host, Edges::Serial, Edges::Clock] {
        let (board, _folder) = start(Board::default());
        let recorder = recorder(board.path(), Settings { edges, ..Settings::default() });
        let begin = Instant::now();
        let mut window = recorder.begin();
        let (mut seconds, mut joules) = (0.0, 0.0);
        for _ in 0..5 {
            sleep(Duration::from_millis(50));
            board.edge(true);
            sleep(Duration::from_millis(50));
            board.edge(false);
            sleep(Duration::from_millis(50));
            let (found, next) = recorder.next(window);
            let found = found.unwrap();
            (seconds, joules, window) = (seconds + found.window_s, joules + found.energy_j, next);
        }
        let (all, truth) = (begin.elapsed().as_secs_f64(), board.energy_between(begin, Instant::now()));
        // The last end waits for its samples, which all has and the windows have not.
        assert!(seconds <= all && seconds > all - 0.1, "{edges:?}: {seconds} s of {all} s");
        assert!((joules / seconds - truth / all).abs() < 0.02 * truth / all, "{edges:?}");
    }
}
