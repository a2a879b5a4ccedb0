//! MLPerf Tiny over a pseudo-terminal: the transcript, line by line, and the host's modes.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]
#![expect(clippy::print_stdout, reason = "what was measured is shown")]

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use offramp_firmware_host::sim::{Board, Pty, Simulator};
use offramp_firmware_host::tiny::{
    Device, Host, HostSettings, Mode, Plan, TinyError, accuracy, energy, performance,
};
use offramp_firmware_host::{
    Edges, Inference, Link, Network, Port, PortConnect, PortSelector, Recorder, RecorderError, Settings,
};

/// Labels an image by its first byte; exits early where the second byte is small. An inference takes a millisecond.
struct Toy;

impl Network for Toy {
    fn name(&self) -> &str {
        "ic01"
    }

    fn image_bytes(&self) -> usize {
        12
    }

    fn infer(&mut self, image: &[u8]) -> Result<Inference, Box<dyn std::error::Error + Send + Sync>> {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(1) {
            std::hint::spin_loop();
        }
        let label = usize::from(image[0] % 3);
        let scores = (0..3).map(|class| if class == label { 0.875 } else { 0.0625 }).collect();
        let exit = u8::from(image[1] > 100);
        Ok(Inference {
            scores,
            label: label as u16,
            exit,
            confidence: 0.875,
            latency: begin.elapsed(),
            energy_j: None,
        })
    }
}

/// A device on a pseudo-terminal until this is dropped.
struct Served {
    path: std::path::PathBuf,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    fn new(mode: Mode) -> Self {
        Self::start(mode, false)
    }

    fn start(mode: Mode, announced: bool) -> Self {
        let mut pty = Pty::open().unwrap();
        let path = pty.path().to_owned();
        let ended = Arc::new(AtomicBool::new(false));
        let for_thread = Arc::clone(&ended);
        let thread = thread::spawn(move || {
            let mut device = Device::new(Toy, "OFFRAMP", mode);
            if announced {
                device.announce(&mut pty).unwrap();
            }
            device.serve(&mut pty, &for_thread).unwrap();
        });
        Self { path, ended, thread: Some(thread) }
    }

    fn port(&self) -> Port {
        Port::open(&self.path, 115_200, Duration::from_millis(20)).unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// The device's lines with clocks made 0, for what a host sends at once.
fn transcript(sent: &str) -> String {
    let mut device = Device::new(Toy, "OFFRAMP", Mode::Performance);
    let mut said = String::new();
    device
        .feed(sent.as_bytes(), &mut |text| {
            let number = text.strip_prefix("m-lap-us-").map(str::trim_end);
            assert!(number.is_none_or(|number| number.parse::<u64>().is_ok()), "{text}");
            said += if number.is_some() { "m-lap-us-0\r\n" } else { text };
            Ok(())
        })
        .unwrap();
    said
}

#[test]
fn the_transcript_is_the_protocols_line_by_line() {
    for (sent, expected) in [
        ("name%", "m-name-dut-[OFFRAMP]\r\nm-ready\r\n"),
        ("profile%", "m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\nm-model-[ic01]\r\nm-ready\r\n"),
        ("timestamp%", "m-lap-us-0\r\nm-ready\r\n"),
        ("db%", "e-[Command 'db' requires a subcommand]\r\nm-ready\r\n"),
        ("db load%", "e-[Command 'db load' requires the # of bytes]\r\nm-ready\r\n"),
        ("db load 0%", "e-[Command 'db load' must be >0 bytes]\r\nm-ready\r\n"),
        ("db load x%", "e-[Command 'db load' must be >0 bytes]\r\nm-ready\r\n"),
        ("db load 12%", "m-[Expecting 12 bytes]\r\nm-ready\r\n"),
        ("db load 99999%", "Supplied buffer size 99999 exceeds maximum of 27648\nm-ready\r\n"),
        (
            "db load 2%db 0a1%",
            "m-[Expecting 2 bytes]\r\nm-ready\r\ne-[Insufficent number of hex digits]\r\nm-ready\r\n",
        ),
        ("db load 2%db 0g%", "m-[Expecting 2 bytes]\r\nm-ready\r\ne-[Invalid hex digit '0g']\r\nm-ready\r\n"),
        (
            "db load 9%db 0001020304%db 05060708ff%db print%",
            "m-[Expecting 9 bytes]\r\nm-ready\r\nm-ready\r\nm-load-done\r\nm-ready\r\n\
             m-buffer-00-01-02-03-04-05-06-07\r\nm-buffer-08\r\n\r\nm-ready\r\n",
        ),
        ("infer 0%", "e-[Inference iterations must be >0]\r\nm-ready\r\n"),
        ("infer 1 -1%", "e-[Inference warmup must be >=0]\r\nm-ready\r\n"),
        ("infer 1 0%", "e-[Input db has 0 bytes, expected 12]\r\nm-ready\r\n"),
        ("results%", "e-[No results yet]\r\nm-ready\r\n"),
        ("nam%", "e-[Unknown command: nam]\r\nm-ready\r\n"),
        ("%", "e-[Unknown command: ]\r\nm-ready\r\n"),
        (
            "db load 12%db 01ff00000000000000000000%infer 3 2%results%",
            "m-[Expecting 12 bytes]\r\nm-ready\r\nm-load-done\r\nm-ready\r\n\
             m-warmup-start-2\r\nm-warmup-done\r\nm-infer-start-3\r\nm-lap-us-0\r\nm-lap-us-0\r\nm-infer-done\r\n\
             m-results-[0.062,0.875,0.062]\r\nm-exit-[1]\r\nm-exit-counts-[0,3]\r\nm-confidence-[0.875]\r\nm-ready\r\n\
             m-results-[0.062,0.875,0.062]\r\nm-exit-[1]\r\nm-exit-counts-[0,3]\r\nm-confidence-[0.875]\r\nm-ready\r\n",
        ),
        (
            "db load 12%db 000000000000000000000000%infer%",
            "m-[Expecting 12 bytes]\r\nm-ready\r\nm-load-done\r\nm-ready\r\n\
             m-warmup-start-10\r\nm-warmup-done\r\nm-infer-start-1\r\nm-lap-us-0\r\nm-lap-us-0\r\nm-infer-done\r\n\
             m-results-[0.875,0.062,0.062]\r\nm-exit-[0]\r\nm-exit-counts-[1]\r\nm-confidence-[0.875]\r\nm-ready\r\n",
        ),
    ] {
        assert_eq!(transcript(sent), expected, "after {sent}");
    }
    let help = transcript("help%");
    assert!(
        help.starts_with(
            "ULPMark for tinyML Firmware V0.0.1\r\n\r\nhelp         : Print this information\r\n"
        )
    );
    assert!(
        help.contains("\r\n  load N     : Allocate N bytes") && help.ends_with("fp32 vector\r\nm-ready\r\n")
    );
    // What is beyond 80 characters is cut off.
    let long = format!("{}%", "x".repeat(200));
    assert_eq!(transcript(&long), format!("e-[Unknown command: {}]\r\nm-ready\r\n", "x".repeat(80)));
}

#[test]
fn a_device_says_how_it_tells_times_when_it_boots() {
    let mut said = String::new();
    let mut out = |text: &str| {
        said += text;
        Ok(())
    };
    let pulses = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counted = Arc::clone(&pulses);
    let pulse = Box::new(move || {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let mut device = Device::new(Toy, "OFFRAMP", Mode::Energy(pulse));
    device.boot(&mut out).unwrap();
    device.feed(b"db load 12%db 000000000000000000000000%infer 2 0%", &mut |_| Ok(())).unwrap();
    assert_eq!(said, "m-timestamp-mode-energy\r\nm-init-done\r\nm-ready\r\n");
    assert_eq!(pulses.load(Ordering::Relaxed), 3);
}

#[test]
fn the_host_drives_the_device_through_performance_and_accuracy() {
    // What it said when it booted is still on the line, and no answer.
    let served = Served::start(Mode::Performance, true);
    let mut host = Host::open(served.port(), HostSettings::default()).unwrap();
    assert_eq!((host.identity().name.as_str(), host.identity().model.as_str()), ("OFFRAMP", "ic01"));
    let images: Vec<Vec<u8>> = (0..3)
        .map(|label| vec![label, if label == 2 { 200 } else { 0 }, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        .collect();
    let plan = Plan { least: Duration::from_millis(100), warmups: 1, ..Plan::default() };
    let report = performance(&mut host, &images, plan).unwrap();
    println!("{report:?}");
    assert_eq!((report.throughputs.len(), report.short), (5, false));
    assert!((100.0..=1000.0).contains(&report.median), "{report:?}");
    let mut sorted = report.throughputs.clone();
    sorted.sort_by(f64::total_cmp);
    assert_eq!(report.median, sorted[2]);
    let counts = report.exit_counts.unwrap();
    assert_eq!(counts.iter().sum::<u64>(), report.runs.iter().map(|runs| u64::from(*runs)).sum::<u64>());
    assert!(counts[0] > 0 && counts[1] > 0);
    let labelled: Vec<_> = images.into_iter().zip([0, 1, 1]).collect();
    let report = accuracy(&mut host, &labelled).unwrap();
    assert_eq!((report.images, report.correct, report.exit_counts), (3, 2, Some(vec![2, 1])));
    let error = performance(&mut host, &[], plan).unwrap_err();
    assert_eq!(error.to_string(), "images must be at least 1, got 0");
    let error = host.load(&vec![0; 30_000]).unwrap_err();
    assert!(matches!(error, TinyError::Incomplete { .. }), "{error}");
}

#[test]
fn eight_commands_in_one_write_are_all_answered() {
    let served = Served::new(Mode::Performance);
    let mut port = served.port();
    use std::io::{Read, Write};
    port.write_all("name%".repeat(8).as_bytes()).unwrap();
    let (mut said, begin) = (String::new(), Instant::now());
    while said.matches("m-ready\r\n").count() < 8 && begin.elapsed() < Duration::from_secs(5) {
        let mut bytes = [0; 256];
        if let Ok(count) = port.read(&mut bytes) {
            said += &String::from_utf8_lossy(&bytes[..count]);
        }
    }
    assert_eq!(said.matches("m-name-dut-[OFFRAMP]\r\n").count(), 8, "{said}");
}

#[test]
fn the_energy_mode_takes_windows_between_pulses() {
    // The board measures; the device's pulses go over its wire.
    let board = Arc::new(Simulator::start(Board::default(), None).unwrap());
    let wire = Arc::clone(&board);
    let pulse = Box::new(move || {
        wire.edge(false);
        wire.edge(true);
    });
    let served = Served::new(Mode::Energy(pulse));
    let connect = PortConnect::new(PortSelector::Path(board.path().to_owned()), 921_600);
    let settings = Settings { edges: Edges::Line, ..Settings::default() };
    let recorder = Recorder::open(Box::new(connect), settings).unwrap();
    let mut host =
        Host::open(served.port(), HostSettings { bytes_per_command: 26, ..HostSettings::default() }).unwrap();
    let plan = Plan { least: Duration::from_millis(150), windows: 3, warmups: 1, runs: None };
    let mut meter = &recorder;
    let report = energy(&mut host, &[vec![0; 12]], plan, &mut meter).unwrap();
    println!("{report:?}");
    assert_eq!(report.per_inference_uj.len(), 3);
    for (each, (runs, window)) in
        report.per_inference_uj.iter().zip(report.runs.iter().zip(&report.windows_s))
    {
        // 5 W over the window.
        assert!((each - 5e6 * window / f64::from(*runs)).abs() < 0.05 * each, "{report:?}");
    }
    assert!(report.median_uj >= 5000.0 && !report.doubtful);
    let error = performance(&mut host, &[vec![0; 12]], plan).unwrap_err();
    assert!(matches!(error, TinyError::Incomplete { expected: "m-lap-us-N, twice", .. }), "{error}");
    let window = recorder.begin();
    assert!(matches!(recorder.end(window), Err(RecorderError::NoEdges { found: 0 })));
}

#[test]
fn a_device_behind_an_interface_board_is_driven_as_one_that_is_not() {
    // A board that passes commands on, as MLCommons' does.
    let served = Served::new(Mode::Performance);
    let mut dut = served.port();
    let mut pty = Pty::open().unwrap();
    let path = pty.path().to_owned();
    let ended = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&ended);
    let board = thread::spawn(move || {
        use std::io::{Read, Write};
        let mut command = String::new();
        let mut lines = offramp_firmware_host::tiny::Lines::default();
        let mut bytes = [0; 64];
        while !stop.load(Ordering::Acquire) {
            if let Ok(count) = pty.read(&mut bytes) {
                for character in String::from_utf8_lossy(&bytes[..count]).chars() {
                    if character == '%' {
                        let passed = command.strip_prefix("dut ").unwrap().to_owned();
                        write!(pty, "m-dut-passthrough({passed})\r\nm-ready\r\n").unwrap();
                        write!(dut, "{passed}%").unwrap();
                        command.clear();
                    } else {
                        command.push(character);
                    }
                }
            }
            if let Ok(count) = dut.read(&mut bytes) {
                for line in lines.feed(&bytes[..count]) {
                    write!(pty, "[dut]: {line}\r\n").unwrap();
                }
            }
        }
    });
    let settings = HostSettings { through_interface: true, bytes_per_command: 26, ..HostSettings::default() };
    let port = Port::open(&path, 115_200, Duration::from_millis(20)).unwrap();
    let mut host = Host::open(port, settings).unwrap();
    host.load(&[1; 12]).unwrap();
    let inference = host.infer(2, 1, Duration::ZERO).unwrap();
    assert_eq!((inference.label(), inference.exit), (Some(1), Some(0)));
    ended.store(true, Ordering::Release);
    board.join().unwrap();
}

/// A device that says `answer` to every `infer`.
fn saying(answer: &'static str) -> (Host<Port>, Arc<AtomicBool>, JoinHandle<()>) {
    let ended = Arc::new(AtomicBool::new(false));
    let mut pty = Pty::open().unwrap();
    let port = Port::open(pty.path(), 115_200, Duration::from_millis(20)).unwrap();
    let over = Arc::clone(&ended);
    let device = thread::spawn(move || {
        let (mut said, mut bytes) = (Vec::new(), [0; 256]);
        while !over.load(Ordering::Acquire) {
            let count = pty.read(&mut bytes).unwrap_or(0);
            said.extend_from_slice(&bytes[..count]);
            while let Some(end) = said.iter().position(|byte| *byte == b'%') {
                let command = String::from_utf8_lossy(&said.drain(..=end).collect::<Vec<_>>()).into_owned();
                let answer = match command.split([' ', '%']).next() {
                    Some("name") => "m-name-dut-[x]\r\n",
                    Some("profile") => "m-profile-[x]\r\nm-model-[ic01]\r\n",
                    Some("infer") => answer,
                    Some("db") => "m-load-done\r\n",
                    _ => "",
                };
                let _gone = pty.write_all(format!("{answer}m-ready\r\n").as_bytes());
            }
        }
    });
    (Host::open(port, HostSettings::default()).unwrap(), ended, device)
}

#[test]
fn times_and_outputs_that_cannot_be_are_no_result() {
    for laps in [["5000", "1000"], ["0", "18446744073709551615"], ["0", "10000000"]] {
        let answer = format!("m-lap-us-{}\r\nm-lap-us-{}\r\nm-results-[0.5,0.5]\r\n", laps[0], laps[1]);
        let (mut host, ended, device) = saying(answer.leak());
        let error = host.infer(1, 1, Duration::ZERO).unwrap_err();
        assert!(matches!(error, TinyError::Clock { .. }), "{laps:?}: {error}");
        ended.store(true, Ordering::Release);
        device.join().unwrap();
    }
    let (mut host, ended, device) = saying("m-lap-us-10\r\nm-lap-us-20\r\nm-results-[0.5]\r\n");
    let error = accuracy(&mut host, &[(vec![0; 4], 3)]).unwrap_err();
    assert!(matches!(error, TinyError::Outputs { found: 1, label: 3 }), "{error}");
    ended.store(true, Ordering::Release);
    device.join().unwrap();
}

#[test]
fn a_device_that_speaks_something_else_is_told_as_such() {
    let board = Simulator::start(Board::default(), None).unwrap();
    let port = Port::open(board.path(), 115_200, Duration::from_millis(20)).unwrap();
    let error = Host::open(port, HostSettings::default()).unwrap_err();
    assert!(matches!(&error, TinyError::Silent { command, .. } if command == "name"), "{error}");
    let served = Served::new(Mode::Performance);
    let link = Link::new(served.port(), Duration::from_millis(200));
    let error =
        offramp_firmware_host::Session::open(link, Instant::now(), Duration::from_millis(600)).unwrap_err();
    assert!(error.to_string().starts_with("no hello from the device within"), "{error}");
}
