//! A meter that prints lines, over a pseudo-terminal.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use offramp_firmware_host::csv::CsvMeter;
use offramp_firmware_host::sim::Pty;
use offramp_firmware_host::{PortConnect, PortSelector};
use offramp_meter::{Flag, Meter};

/// Prints 5 V and 400 mA every 5 ms with its own time; every hundredth line is garbage.
fn printer(path: &Arc<std::sync::Mutex<PathBuf>>, ended: &Arc<AtomicBool>, pause: bool) -> JoinHandle<()> {
    let (path, ended) = (Arc::clone(path), Arc::clone(ended));
    let mut pty = Pty::open().unwrap();
    *path.lock().unwrap() = pty.path().to_owned();
    thread::spawn(move || {
        let begin = Instant::now();
        let mut line = 0;
        while !ended.load(Ordering::Acquire) {
            if line % 20 == 0 {
                let _ = pty.write_all(b"time_us,bus_V,I_mA\r\n");
            }
            let _ = write!(pty, "{},5.000,400.0\r\n", begin.elapsed().as_micros());
            if line % 100 == 99 {
                let _ = pty.write_all(b"12,,x\r\n");
            }
            line += 1;
            sleep(Duration::from_millis(if pause && line == 80 { 300 } else { 5 }));
        }
    })
}

fn measured(pause: bool) -> (offramp_meter::Reading, CsvMeter) {
    let (path, ended) = (Arc::default(), Arc::new(AtomicBool::new(false)));
    let printer = printer(&path, &ended, pause);
    let port = PortConnect::new(PortSelector::Path(path.lock().unwrap().clone()), 115_200);
    let mut meter = CsvMeter::open(Box::new(port), None).unwrap();
    assert!(meter.stop().is_err());
    sleep(Duration::from_millis(150));
    meter.start().unwrap();
    sleep(Duration::from_millis(900));
    let reading = meter.stop().unwrap();
    assert!(meter.calibrate().is_ok());
    assert_eq!(meter.mean_w(), Ok(2.0));
    ended.store(true, Ordering::Release);
    printer.join().unwrap();
    (reading, meter)
}

#[test]
fn lines_give_joules() {
    let (reading, meter) = measured(false);
    let joules = 2.0 * reading.window.as_secs_f64();
    assert!((reading.energy.as_ref().unwrap().0 - joules).abs() < 0.1 * joules, "{reading:?}");
    assert!(reading.samples > 50 && reading.time_constant >= Some(Duration::from_millis(4)), "{reading:?}");
    assert!(meter.rejected().fields + meter.rejected().number > 0);
}

#[test]
fn a_pause_is_a_gap_and_nothing_is_integrated_over_it() {
    let (reading, _meter) = measured(true);
    assert!(reading.flags.iter().any(|flag| matches!(flag, Flag::Gaps { .. })), "{reading:?}");
    // What is missing is not made up, and the rest is not passed off as the whole.
    let why = reading.energy.as_ref().unwrap_err().to_string();
    assert!(why.contains("nothing is known of 0.") && why.contains("the rest took"), "{why}");
}
