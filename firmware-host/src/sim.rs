//! A board that is not there: a pseudo-terminal behind which a meter, or a board with a network, answers.
//!
//! Its power is known exactly, its line and its clock are as bad as asked for, and it can be unplugged, plugged in again
//! and reset. What it does is keyed by one seed; when it does it is real time.

mod device;
mod faults;
mod pty;
mod waveform;

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use offramp_wire::{Decoder, Fault, MAX_FRAME, Message, encode};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use self::device::Device;
pub use self::faults::Faults;
pub use self::pty::Pty;
pub use self::waveform::Waveform;
use crate::network::Network;
use crate::posix::{self, Ready, Terminal};

/// What waits to be sent at most; what would go beyond is lost, as in a small device.
const BACKLOG: usize = 1 << 16;
/// How long the board rests when there is nothing to do, and how late it notices what it is told.
const REST: Duration = Duration::from_millis(2);

/// What board is simulated.
#[derive(Clone, Debug)]
pub struct Board {
    /// Its power.
    pub waveform: Waveform,
    /// Samples per 1000 s that it takes unless told otherwise.
    pub rate_millihz: u32,
    /// The most that it can.
    pub most_millihz: u32,
    /// Samples per frame unless told otherwise.
    pub batch: u8,
    /// Billionths of a watt, or of an ampere where `volts` are given, per count.
    pub scale_nano: u32,
    /// Measures this voltage and a current instead of power.
    pub volts: Option<f64>,
    /// Speed of the line; as fast as it goes where there is none.
    pub baud: Option<u32>,
    /// Its serial number.
    pub serial: String,
    /// What its counter of ticks begins at.
    pub first_tick: u32,
    /// What is wrong.
    pub faults: Faults,
    /// Keys everything random.
    pub seed: u64,
    /// A name that stays when the board is plugged in again: a link is made there.
    pub link: Option<PathBuf>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            waveform: Waveform::Constant(5.0),
            rate_millihz: 1_000_000,
            most_millihz: 20_000_000,
            batch: 20,
            scale_nano: 1_000_000,
            volts: None,
            baud: None,
            serial: "SIM-1".to_owned(),
            first_tick: 0,
            faults: Faults::default(),
            seed: 1,
            link: None,
        }
    }
}

/// A running board; it ends when this is dropped.
#[derive(Debug)]
pub struct Simulator {
    orders: Sender<Order>,
    thread: Option<JoinHandle<io::Result<()>>>,
    path: PathBuf,
    link: Option<PathBuf>,
    origin: Instant,
    waveform: Waveform,
}

enum Order {
    Unplug,
    Plug,
    Reset,
    Edge(bool, Instant),
    Faults(Faults),
    Clock(u32),
}

impl Simulator {
    /// Starts a board.
    ///
    /// # Errors
    /// Where the system gives no pseudo-terminal, or the link cannot be made.
    pub fn start(board: Board, network: Option<Box<dyn Network>>) -> io::Result<Self> {
        let terminal = Terminal::open()?;
        let path = terminal.path.clone();
        if let Some(link) = &board.link {
            point(link, &path)?;
        }
        let (orders, taken) = channel();
        let origin = Instant::now();
        let (waveform, link) = (board.waveform.clone(), board.link.clone());
        let mut line = Line::new(board, network, origin, terminal);
        let thread =
            thread::Builder::new().name("simulated board".to_owned()).spawn(move || line.run(&taken))?;
        Ok(Self { orders, thread: Some(thread), path, link, origin, waveform })
    }

    /// What a host opens: the link where there is one, else the terminal.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.link.as_deref().unwrap_or(&self.path)
    }

    /// Joules that the board really took between two moments.
    #[must_use]
    pub fn energy_between(&self, from: Instant, to: Instant) -> f64 {
        let since = |moment: Instant| moment.saturating_duration_since(self.origin).as_secs_f64();
        self.waveform.energy_between(since(from), since(to))
    }

    /// Pulls the plug.
    pub fn unplug(&self) {
        self.order(Order::Unplug);
    }

    /// Plugs the board in again: it boots, under another name.
    pub fn plug(&self) {
        self.order(Order::Plug);
    }

    /// Resets the board; the line stays.
    pub fn reset(&self) {
        self.order(Order::Reset);
    }

    /// Changes the level of the board's wire, now.
    pub fn edge(&self, high: bool) {
        self.order(Order::Edge(high, Instant::now()));
    }

    /// Changes what is wrong. A new skew makes the clock jump.
    pub fn set_faults(&self, faults: Faults) {
        self.order(Order::Faults(faults));
    }

    /// Sets the counter of ticks forward, without a reset.
    pub fn jump_clock(&self, ticks: u32) {
        self.order(Order::Clock(ticks));
    }

    fn order(&self, order: Order) {
        // A board that has ended takes no orders.
        let _ = self.orders.send(order);
    }

    /// Waits until the board ends, which it does when something is wrong with its terminal.
    ///
    /// # Errors
    /// What was wrong.
    pub fn wait(mut self) -> io::Result<()> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            _ => Ok(()),
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let (closed, _) = channel();
        self.orders = closed;
        if let Some(thread) = self.thread.take() {
            // Its result is what `wait` gives; here nobody asks.
            let _ = thread.join();
        }
        if let Some(link) = self.link.as_ref().filter(|link| link.is_symlink()) {
            // Somebody else may have been quicker.
            let _gone = fs::remove_file(link);
        }
    }
}

/// Makes `link` lead to `path`, at once. Nothing but a link is replaced.
fn point(link: &Path, path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(link).is_ok_and(|there| !there.is_symlink()) {
        let why = format!("{} is there and is no link", link.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    }
    let name = link.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let beside = link.with_file_name(format!(".{name}.{}", std::process::id()));
    std::os::unix::fs::symlink(path, &beside)?;
    fs::rename(&beside, link).inspect_err(|_| {
        // The error to tell is that of the rename.
        let _left = fs::remove_file(&beside);
    })
}

/// The board and its line.
struct Line {
    board: Board,
    device: Device,
    terminal: Option<Terminal>,
    origin: Instant,
    random: ChaCha8Rng,
    decoder: Decoder,
    sequence: u16,
    /// Bytes on their way to the device, and when they arrive.
    arriving: VecDeque<(Instant, Vec<u8>)>,
    /// Bytes on their way to the host, and when they leave.
    leaving: VecDeque<(Instant, Vec<u8>)>,
    /// Until when the line is busy with what was written.
    busy: Instant,
    may_read: Instant,
    told_overruns: u32,
}

impl Line {
    fn new(board: Board, network: Option<Box<dyn Network>>, origin: Instant, terminal: Terminal) -> Self {
        let boot = board.seed as u32;
        Self {
            device: Device::new(board.clone(), network, boot),
            random: ChaCha8Rng::seed_from_u64(board.seed),
            board,
            terminal: Some(terminal),
            origin,
            decoder: Decoder::new(),
            sequence: 0,
            arriving: VecDeque::new(),
            leaving: VecDeque::new(),
            busy: Instant::now(),
            may_read: Instant::now(),
            told_overruns: 0,
        }
    }

    fn run(&mut self, orders: &Receiver<Order>) -> io::Result<()> {
        loop {
            match orders.try_recv() {
                Ok(order) => self.obey(order)?,
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return Ok(()),
            }
            self.read()?;
            self.arrive();
            self.sample();
            self.leave()?;
            self.rest()?;
        }
    }

    fn obey(&mut self, order: Order) -> io::Result<()> {
        match order {
            Order::Unplug => {
                self.terminal = None;
                self.arriving.clear();
                self.leaving.clear();
                self.decoder.restart();
            }
            Order::Plug => {
                let terminal = Terminal::open()?;
                if let Some(link) = &self.board.link {
                    point(link, &terminal.path)?;
                }
                self.terminal = Some(terminal);
                self.boot();
            }
            Order::Reset => {
                // What was half sent stays half sent.
                if let Some((_, last)) = self.leaving.back_mut() {
                    last.truncate(last.len() / 2);
                }
                self.boot();
            }
            Order::Edge(high, at) => {
                let marker = self.device.edge(high, at);
                self.say(&marker);
            }
            Order::Faults(faults) => {
                self.board.faults = faults;
                self.device.set_board(self.board.clone());
            }
            Order::Clock(ticks) => {
                self.board.first_tick = self.board.first_tick.wrapping_add(ticks);
                self.device.set_board(self.board.clone());
            }
        }
        Ok(())
    }

    fn boot(&mut self) {
        self.sequence = 0;
        self.decoder.restart();
        self.told_overruns = 0;
        let hello = self.device.reset();
        self.say(&hello);
    }

    fn read(&mut self) -> io::Result<()> {
        let now = Instant::now();
        if now < self.may_read {
            return Ok(());
        }
        let Some(terminal) = &self.terminal else { return Ok(()) };
        let mut buffer = [0; 1024];
        let most = self.board.faults.reads_per_s.map_or(buffer.len(), |_| 16);
        match (&terminal.master).read(&mut buffer[..most]) {
            Ok(count) => {
                if let Some(rate) = self.board.faults.reads_per_s {
                    self.may_read = now + Duration::from_secs_f64(count as f64 / f64::from(rate.max(1)));
                }
                let faults = self.board.faults;
                let bytes = faults.damage(&buffer[..count], &mut self.random);
                let delay = faults.delay(&mut self.random);
                let last = self.arriving.back().map_or(now, |(at, _)| *at);
                self.arriving.push_back(((now + delay).max(last), bytes));
                Ok(())
            }
            // The host has closed its end: the line stays for the next one.
            Err(error) if crate::stream::is_early(&error) || crate::stream::is_gone(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn arrive(&mut self) {
        while self.arriving.front().is_some_and(|(at, _)| *at <= Instant::now()) {
            let Some((_, bytes)) = self.arriving.pop_front() else { return };
            let mut rest = &bytes[..];
            let mut said = Vec::new();
            while let Some(frame) = self.decoder.next(&mut rest) {
                said.extend(self.device.take(&frame, Instant::now()));
            }
            for message in said {
                if matches!(message, Message::Hello(_)) {
                    // What was on its way to another host.
                    self.leaving.clear();
                }
                self.say(&message);
            }
        }
    }

    fn sample(&mut self) {
        let full = self.leaving.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() > BACKLOG;
        let (origin, waveform) = (self.origin, &self.board.waveform);
        let truth = |at: Instant| {
            let since = at.saturating_duration_since(origin).as_secs_f64();
            waveform.energy_to(since)
        };
        for batch in self.device.sample(Instant::now(), full, truth) {
            self.say(&batch);
        }
        let overruns = self.device.overruns();
        if overruns > self.told_overruns && !full {
            self.told_overruns = overruns;
            self.say(&device::error(Fault::Overrun, overruns, "samples could not be sent"));
        }
    }

    fn say(&mut self, message: &Message) {
        let mut frame = [0; MAX_FRAME];
        let Ok(length) = encode(message, self.sequence, &mut frame) else { return };
        self.sequence = self.sequence.wrapping_add(1);
        let faults = self.board.faults;
        let bytes = faults.damage(&frame[..length], &mut self.random);
        let now = Instant::now();
        let delay = faults.delay(&mut self.random);
        let last = self.leaving.back().map_or(now, |(at, _)| *at);
        self.leaving.push_back(((now + delay).max(last), bytes));
    }

    fn leave(&mut self) -> io::Result<()> {
        while let Some((at, bytes)) = self.leaving.front_mut() {
            let now = Instant::now();
            if *at > now || self.busy > now {
                return Ok(());
            }
            let Some(terminal) = &self.terminal else {
                self.leaving.clear();
                return Ok(());
            };
            match (&terminal.master).write(bytes) {
                Ok(count) => {
                    if let Some(baud) = self.board.baud {
                        // Ten bits a byte; from when the line was free, so that rest costs no speed.
                        let begin = self.busy.max(now.checked_sub(REST * 4).unwrap_or(now));
                        self.busy =
                            begin + Duration::from_secs_f64(count as f64 * 10.0 / f64::from(baud.max(1)));
                    }
                    bytes.drain(..count);
                    if bytes.is_empty() {
                        self.leaving.pop_front();
                    }
                }
                Err(error) if crate::stream::is_early(&error) => return Ok(()),
                Err(error) if crate::stream::is_gone(&error) => {
                    self.leaving.clear();
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sleeps until something is due or comes.
    fn rest(&self) -> io::Result<()> {
        let now = Instant::now();
        let dues = [
            self.device.due_batch(),
            self.arriving.front().map(|(at, _)| *at),
            self.leaving.front().map(|(at, _)| (*at).max(self.busy)),
        ];
        let until = dues.into_iter().flatten().min().unwrap_or(now + REST).min(now + REST);
        let left = until.saturating_duration_since(now).max(Duration::from_micros(20));
        match &self.terminal {
            // A slow device does not look.
            Some(terminal) if now >= self.may_read => {
                posix::wait(terminal.master.as_fd(), Ready::Read, left)?;
            }
            _ => thread::sleep(left),
        }
        Ok(())
    }
}
