//! What a link is like now, what has passed, and what changes it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::{Notify, watch};

use super::clock;
use super::error::ProfileError;
use super::event::{Change, Event, When};
use super::jitter::SEGMENT;
use super::profile::{Direction, Profile, Shape};
use super::record::Record;
use super::requests::Requests;

/// Changes a link while it runs; clones change the same link.
#[derive(Clone)]
pub struct Control(pub(super) Arc<Shared>);

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Control").field(&self.counters()).finish()
    }
}

impl Control {
    /// Changes the link now.
    ///
    /// # Errors
    /// `Range`, and nothing is changed.
    pub fn apply(&self, change: Change) -> Result<(), ProfileError> {
        let event = Event { when: When::At(self.0.seconds()), change };
        event.check("change")?;
        self.0.apply(event);
        Ok(())
    }

    /// What has passed so far.
    pub fn counters(&self) -> Counters {
        self.0.state().counters
    }
}

/// What has passed a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Connections accepted.
    pub connections: u64,
    /// Connections that the link reset.
    pub resets: u64,
    /// Changes, by script and by hand.
    pub changes: u64,
    /// HTTP/2 requests begun.
    pub requests: u64,
    /// Client to server.
    pub up: DirectionCounters,
    /// Server to client.
    pub down: DirectionCounters,
}

/// What has passed one direction of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DirectionCounters {
    /// Bytes handed on.
    pub bytes: u64,
    /// Bytes lost in a black hole.
    pub lost_bytes: u64,
}

impl Counters {
    pub(super) fn direction(&mut self, direction: Direction) -> &mut DirectionCounters {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }
}

/// What becomes of connections and bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Open,
    Blackhole,
    Refuse,
}

/// What every task of a link listens to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signal {
    pub(super) mode: Mode,
    /// How often connections were reset.
    pub(super) resets: u64,
}

/// What gets the records, in the order of what they tell.
pub(super) type Sink = Box<dyn FnMut(&Record) + Send>;

/// What the tasks of a link share.
pub(super) struct Shared {
    pub(super) seed: u64,
    state: Mutex<State>,
    signal: watch::Sender<Signal>,
    /// When the first connection was accepted.
    origin: watch::Sender<Option<Instant>>,
    sink: Mutex<Sink>,
    /// Tells that a direction's queue has become shorter.
    shorter: [Notify; 2],
}

pub(super) struct State {
    shapes: [Shape; 2],
    /// Bytes that wait to be sent.
    queued: [usize; 2],
    stalled_until: Option<Instant>,
    pub(super) counters: Counters,
    /// What is still to happen.
    timed: VecDeque<(f64, Event)>,
    after_bytes: VecDeque<(u64, Event)>,
    after_requests: VecDeque<(u64, Event)>,
    /// Bytes taken from clients.
    taken: u64,
}

impl Shared {
    pub(super) fn new(profile: &Profile, sink: Sink) -> Self {
        let (mut timed, mut after_bytes, mut after_requests) = (Vec::new(), Vec::new(), Vec::new());
        for &event in &profile.events {
            match event.when {
                When::At(at_s) => timed.push((at_s, event)),
                When::AfterBytes(bytes) => after_bytes.push((bytes, event)),
                When::AfterRequests(requests) => after_requests.push((requests, event)),
            }
        }
        timed.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        after_bytes.sort_by_key(|(bytes, _)| *bytes);
        after_requests.sort_by_key(|(requests, _)| *requests);
        let at_once = |at: &f64| *at <= 0.0;
        let started: Vec<Event> =
            timed.iter().take_while(|(at, _)| at_once(at)).map(|(_, event)| *event).collect();
        let shared = Self {
            seed: profile.seed,
            state: Mutex::new(State {
                shapes: [profile.up, profile.down],
                queued: [0; 2],
                stalled_until: None,
                counters: Counters::default(),
                timed: timed.into_iter().skip(started.len()).collect(),
                after_bytes: after_bytes.into(),
                after_requests: after_requests.into(),
                taken: 0,
            }),
            signal: watch::Sender::new(Signal { mode: Mode::Open, resets: 0 }),
            origin: watch::Sender::new(None),
            sink: Mutex::new(sink),
            shorter: [Notify::new(), Notify::new()],
        };
        let Profile { seed, up, down, .. } = *profile;
        shared.record(&Record::Profile { schema_version: Record::SCHEMA_VERSION, seed, up, down });
        let due = shared.state().due();
        started.into_iter().chain(due).for_each(|event| shared.apply(event));
        shared
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn watch(&self) -> watch::Receiver<Signal> {
        self.signal.subscribe()
    }

    pub(super) fn mode(&self) -> Mode {
        self.signal.borrow().mode
    }

    pub(super) fn record(&self, record: &Record) {
        (self.sink.lock().unwrap_or_else(PoisonError::into_inner))(record);
    }

    /// Seconds since the first connection.
    pub(super) fn seconds(&self) -> f64 {
        self.origin.borrow().map_or(0.0, |origin| origin.elapsed().as_secs_f64())
    }

    /// Counts a connection; the first one starts the clock.
    pub(super) fn accept(&self) -> u64 {
        self.origin
            .send_if_modified(|origin| origin.is_none().then(|| *origin = Some(Instant::now())).is_some());
        let connections = &mut self.state().counters.connections;
        *connections += 1;
        *connections - 1
    }

    /// Makes an event happen, and tells so before the next one can.
    pub(super) fn apply(&self, event: Event) {
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let mode = |mode| self.signal.send_modify(|signal| signal.mode = mode);
        self.state().counters.changes += 1;
        match event.change {
            Change::Shape { up, down } => {
                let mut state = self.state();
                for (shape, new) in state.shapes.iter_mut().zip([up, down]) {
                    *shape = new.unwrap_or(*shape);
                }
                self.shorter.iter().for_each(Notify::notify_waiters);
            }
            Change::Stall { for_s } => {
                let until = Instant::now() + Duration::try_from_secs_f64(for_s).unwrap_or_default();
                let stalled = &mut self.state().stalled_until;
                *stalled = Some(stalled.map_or(until, |earlier| earlier.max(until)));
            }
            Change::Blackhole => mode(Mode::Blackhole),
            Change::Refuse => mode(Mode::Refuse),
            Change::Ok => mode(Mode::Open),
            Change::Reset => self.signal.send_modify(|signal| signal.resets += 1),
        }
        sink(&Record::Changed { t_s: self.seconds(), event });
    }

    pub(super) fn shape(&self, direction: Direction) -> Shape {
        self.state().shapes[direction as usize]
    }

    /// The direction as it is now, and until when nothing is sent.
    pub(super) fn weather(&self, direction: Direction) -> (Shape, Option<Instant>) {
        let state = self.state();
        (state.shapes[direction as usize], state.stalled_until)
    }

    /// How many bytes are taken at once: some milliseconds' worth, so that connections take turns.
    pub(super) fn chunk(&self, direction: Direction) -> usize {
        const TURN: f64 = 2e-3;
        const MOST: usize = 16 * 1024;
        let rate = self.shape(direction).rate_bps;
        rate.map_or(MOST, |rate| ((rate as f64 * TURN / 8.0) as usize).clamp(SEGMENT, MOST))
    }

    /// Waits until the direction's queue has room.
    pub(super) async fn room(&self, direction: Direction) {
        loop {
            let shorter = self.shorter[direction as usize].notified();
            let mut shorter = std::pin::pin!(shorter);
            shorter.as_mut().enable();
            {
                let state = self.state();
                if state.queued[direction as usize] < state.shapes[direction as usize].queue_bytes {
                    return;
                }
            }
            shorter.await;
        }
    }

    pub(super) fn enqueue(&self, direction: Direction, bytes: usize) {
        self.state().queued[direction as usize] += bytes;
    }

    pub(super) fn dequeue(&self, direction: Direction, bytes: usize) {
        let queued = &mut self.state().queued[direction as usize];
        *queued = queued.saturating_sub(bytes);
        self.shorter[direction as usize].notify_waiters();
    }

    /// How many of these bytes of a client's pass before the next events, and those events. Never zero.
    pub(super) fn take(&self, requests: &mut Requests, bytes: &[u8]) -> (usize, Vec<Event>) {
        let mut state = self.state();
        let due = state.after_bytes.front().map_or(u64::MAX, |(bytes, _)| bytes.saturating_sub(state.taken));
        let most = bytes.len().min(usize::try_from(due).unwrap_or(usize::MAX).max(1));
        let (passed, began) = requests.next(&bytes[..most]);
        state.taken += passed as u64;
        state.counters.requests += u64::from(began);
        (passed, state.due())
    }
}

impl State {
    /// Takes the events that what has passed brings on.
    fn due(&mut self) -> Vec<Event> {
        let (taken, begun) = (self.taken, self.counters.requests);
        let mut due = Vec::new();
        take_while(&mut self.after_bytes, |bytes| bytes <= taken, &mut due);
        take_while(&mut self.after_requests, |requests| requests < begun, &mut due);
        due
    }
}

fn take_while(events: &mut VecDeque<(u64, Event)>, is_due: impl Fn(u64) -> bool, due: &mut Vec<Event>) {
    while let Some((_, event)) = events.front().filter(|(at, _)| is_due(*at)).copied() {
        events.pop_front();
        due.push(event);
    }
}

/// Makes the timed events of a script happen.
pub(super) async fn play(shared: Arc<Shared>) {
    let mut started = shared.origin.subscribe();
    let Ok(origin) = started.wait_for(Option::is_some).await.map(|origin| *origin) else { return };
    let Some(origin) = origin else { return };
    loop {
        let next = shared.state().timed.pop_front();
        let Some((at_s, event)) = next else { return };
        clock::sleep_until(origin + Duration::try_from_secs_f64(at_s).unwrap_or_default()).await;
        shared.apply(event);
    }
}
