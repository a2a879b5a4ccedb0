//! Holds the firmware in `firmware/` with its synthetic sensor against what is known of it: `scripts/firmware` runs this.
//!
//! `cargo run -p offramp-firmware-host --example firmware -- PORT [SECONDS [MONITOR]]`, where MONITOR is the socket of QEMU's monitor

#![expect(clippy::print_stdout, reason = "what was measured is shown")]

use std::error::Error;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use offramp_firmware_host::{
    Event, Link, LinkError, Port, PortConnect, PortSelector, PowerRail, Recorder, Series, Session, Settings,
};
use offramp_wire::{Fault, Message, SCHEMA_HASH};

const BAUD: u32 = 460_800;
const PERIOD_TICKS: f64 = 1_048_576.0;
/// From the lowest power to the highest.
const SWING_W: f64 = 8.0;
/// A tenth of a milliwatt.
const STEP_W: f64 = 1e-4;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().ok_or("usage: firmware PORT [SECONDS [MONITOR]]")?;
    let seconds = arguments.next().map_or(Ok(10), |seconds| seconds.parse())?;
    let (port, length) = (Path::new(&port), Duration::from_secs(seconds));
    let stream = Port::open(port, BAUD, Duration::from_millis(20))?;
    let link = Link::new(stream, Duration::from_millis(500));
    let mut session = Session::open(link, Instant::now(), Duration::from_secs(10))?;
    let hello = session.hello();
    println!(
        "hello: {}, serial {}, boot {:#010x}, {} ticks per second, schema {SCHEMA_HASH:016x}",
        hello.name, hello.serial, hello.boot, hello.tick_hz
    );
    let synthetic = hello.channels.iter().all(|channel| channel.label == "SYNTHETIC");
    round_trips(&mut session, 300)?;
    if !synthetic {
        return without_a_sensor(&mut session);
    }
    refusals(&mut session)?;
    for rate_millihz in [1_000_000, 8_000_000] {
        stream_samples(&mut session, rate_millihz, length)?;
    }
    drop(session);
    record(port, length)?;
    if let Some(monitor) = arguments.next() {
        reset(port, Path::new(&monitor))?;
    }
    println!("all holds");
    Ok(())
}

/// Watts times ticks since a moment at which the period begins, in closed form.
fn watt_ticks(ticks: f64) -> f64 {
    let part =
        |share: f64| (2.0 * share + 2.0 * share * share + 4.0 * (share - 0.75).max(0.0)) * PERIOD_TICKS;
    let periods = ticks / PERIOD_TICKS;
    periods.floor() * part(1.0) + part(periods.fract())
}

fn held(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("does not hold: {what}")) }
}

fn round_trips(session: &mut Session<Port>, count: usize) -> Result<(), Box<dyn Error>> {
    let mut times = Vec::new();
    for _ in 0..count {
        let begin = Instant::now();
        session.ping()?;
        while !matches!(
            session.next(begin + Duration::from_secs(1))?.ok_or("no answer to a ping within 1 s")?,
            Event::Pong
        ) {}
        times.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!("{count} pings: {:.0} us median, {:.0} us p95, {:.0} us at most", at(50), at(95), at(100));
    Ok(())
}

/// What a meter cannot do it says, and goes on.
fn refusals(session: &mut Session<Port>) -> Result<(), Box<dyn Error>> {
    let too_fast = session.start(1_000_000_000, 0);
    println!("a start at 1 MHz: {}", too_fast.err().ok_or("was not refused")?);
    session.link().send(&Message::Stop)?;
    let stop = session.next(Instant::now() + Duration::from_secs(1))?;
    held(matches!(stop, Some(Event::Complaint { .. })), "a stop without a start is a complaint")?;
    Ok(())
}

/// QEMU's bus has no INA226: the board must say so, and live.
fn without_a_sensor(session: &mut Session<Port>) -> Result<(), Box<dyn Error>> {
    let refused = session.start(0, 0).err().ok_or("a sensor that is not there was not missed")?;
    println!("a start without a sensor: {refused}");
    held(matches!(refused, LinkError::Refused { code: Fault::Sensor, .. }), "a missing sensor is told")?;
    round_trips(session, 10)?;
    println!("all holds");
    Ok(())
}

/// Samples for a while, and the energy between two marks.
fn stream_samples(
    session: &mut Session<Port>,
    rate_millihz: u32,
    length: Duration,
) -> Result<(), Box<dyn Error>> {
    let hello = session.hello().clone();
    let tick_hz = f64::from(hello.tick_hz);
    let rails = PowerRail::choose(&hello, &[])?;
    let rate_millihz = session.start(rate_millihz, 0)?;
    let step = tick_hz * 1000.0 / f64::from(rate_millihz);
    let mut series = Series::with_step(step);
    let mut marks = Vec::new();
    let (mut said, mut frames) = (None, 0);
    let (begin, mut pinged) = (Instant::now(), Instant::now());
    let (mut marked, mut stopped) = (0, false);
    while said.is_none() {
        let since = begin.elapsed();
        held(since < length + Duration::from_secs(5), "the device stops when it is told to")?;
        // A tenth of a second within the samples at either end.
        let due = [Duration::from_millis(100), length.saturating_sub(Duration::from_millis(100))];
        if due.get(marked).is_some_and(|due| since >= *due) {
            session.link().send(&Message::Mark { token: marked as u32 })?;
            marked += 1;
        }
        if !stopped && since >= length {
            session.stop()?;
            stopped = true;
        }
        if pinged.elapsed() >= Duration::from_micros(98_390) {
            session.ping()?;
            pinged = Instant::now();
        }
        match session.next(Instant::now() + Duration::from_millis(20))? {
            Some(Event::Samples(batch)) => {
                frames += 1;
                series.push(&batch, &rails, session.ticks());
            }
            Some(Event::Marker { ticks, .. }) => marks.push(ticks as f64),
            Some(Event::Stopped { samples, lost }) => said = Some((u64::from(samples), lost)),
            Some(Event::Complaint { code, detail }) => {
                return Err(format!("the device complains: {code:?}, {detail}").into());
            }
            _ => {}
        }
    }
    let (samples, lost) = said.unwrap_or_default();
    let counts = session.counts();
    println!(
        "{:.3} Hz for {} s: {} samples of {samples} in {frames} frames, {} lost on the way, {lost} at the device, {} frames damaged, {} missing",
        f64::from(rate_millihz) / 1e3,
        length.as_secs(),
        series.taken(),
        series.lost(),
        counts.rejected.total(),
        counts.missing,
    );
    held(series.taken() == samples && series.lost() == 0 && lost == 0, "no sample is lost")?;
    held(
        counts.rejected.total() + counts.missing + counts.replayed + counts.unread == 0,
        "no frame is lost",
    )?;
    let clock = session.clock().alignment().ok_or("too few pongs for a clock")?;
    println!(
        "clock: {} exchanges, residual {:.1} us rms, {:.1} us at most, skew {:.1} ppm (within {:.1}), quickest {:.0} us",
        clock.exchanges,
        clock.residual_s * 1e6,
        clock.worst_residual_s * 1e6,
        clock.skew_ppm,
        clock.skew_error_ppm,
        clock.quickest_s * 1e6
    );
    let [from, to] = marks[..] else {
        return Err(format!("{} marks were stamped, sent 2", marks.len()).into());
    };
    let sum = series.between(from, to);
    let truth = watt_ticks(to) - watt_ticks(from);
    // What a sample hides at either end, and half a count throughout.
    let budget = step * SWING_W + STEP_W / 2.0 * (to - from);
    println!(
        "energy between marks: {:.6} J, closed form {:.6} J, off by {:.4} % (budget {:.4} %)",
        sum.watt_ticks / tick_hz,
        truth / tick_hz,
        (sum.watt_ticks / truth - 1.0) * 100.0,
        budget / truth * 100.0
    );
    held(sum.gaps == 0 && (sum.watt_ticks - truth).abs() <= budget, "the energy is that of the closed form")?;
    Ok(())
}

/// The same by the recorder, in the host's time: over whole periods the mean is 5 W, whatever the phase.
fn record(port: &Path, length: Duration) -> Result<(), Box<dyn Error>> {
    let connect = PortConnect::new(PortSelector::Path(port.to_owned()), BAUD);
    let recorder = Recorder::open(Box::new(connect), Settings::default())?;
    let period_s = PERIOD_TICKS / f64::from(recorder.hello().ok_or("no hello")?.tick_hz);
    let whole_s = (length.as_secs_f64() / period_s).round() * period_s;
    let window = recorder.begin();
    std::thread::sleep(Duration::from_secs_f64(whole_s));
    let measured = recorder.end(window)?;
    let truth = 5.0 * measured.window_s;
    // Where the window is not quite whole (crystals within 100 ppm), the power is at most 5 W off its mean.
    let off_s = (measured.window_s - whole_s).abs() + 1e-4 * whole_s;
    let budget = 5.0 * off_s
        + SWING_W * (measured.edge_error_s + recorder.period().as_secs_f64())
        + measured.step_j / 2.0;
    println!(
        "recorder: {:.4} J in {:.4} s by {:?}, {} samples, {} gaps; 5 W are {truth:.4} J, off by {:.4} % (budget {:.4} %)",
        measured.energy_j,
        measured.window_s,
        measured.edges,
        measured.samples,
        measured.gaps,
        (measured.energy_j / truth - 1.0) * 100.0,
        budget / truth * 100.0
    );
    held(measured.gaps == 0 && measured.epochs == 1, "the window has no gap")?;
    held((measured.energy_j - truth).abs() <= budget, "the energy is that of the mean power")?;
    Ok(())
}

/// A board that is reset in the middle of a window: what was measured is kept, and nothing is made up for the gap.
fn reset(port: &Path, monitor: &Path) -> Result<(), Box<dyn Error>> {
    let connect = PortConnect::new(PortSelector::Path(port.to_owned()), BAUD);
    let recorder = Recorder::open(Box::new(connect), Settings::default())?;
    let boot = |recorder: &Recorder| recorder.hello().map(|hello| hello.boot);
    let before = boot(&recorder);
    let period_s = PERIOD_TICKS / f64::from(recorder.hello().ok_or("no hello")?.tick_hz);
    let window = recorder.begin();
    std::thread::sleep(Duration::from_secs(2));
    let mut monitor = UnixStream::connect(monitor)?;
    monitor.set_read_timeout(Some(Duration::from_secs(2)))?;
    // Its greeting: what is written before is not read.
    held(monitor.read(&mut [0; 512])? > 0, "QEMU's monitor answers")?;
    monitor.write_all(b"system_reset\n")?;
    let begin = Instant::now();
    while boot(&recorder) == before {
        held(begin.elapsed() < Duration::from_secs(10), "the recorder finds the board again")?;
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_secs(2));
    let measured = recorder.end(window)?;
    let covered_s = measured.window_s - measured.missing_s;
    let truth = 5.0 * covered_s;
    println!(
        "reset: {:.4} J of {covered_s:.4} s in {} epochs, {} gap, {:.4} s missing of {:.4} s; 5 W are {truth:.4} J",
        measured.energy_j, measured.epochs, measured.gaps, measured.missing_s, measured.window_s
    );
    held(measured.epochs == 2 && measured.gaps == 1, "the gap is marked")?;
    // Two pieces that are not whole periods: each at most 1.125 J per second of a period off the mean's line.
    let budget = 2.0 * 1.125 * period_s + SWING_W * measured.edge_error_s;
    held((measured.energy_j - truth).abs() <= budget, "nothing is integrated across the gap")?;
    Ok(())
}
