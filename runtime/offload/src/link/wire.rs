//! One direction of a link: one packet after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::clock;
use super::control::Shared;
use super::event::Event;
use super::jitter::jitter;
use super::profile::{Direction, Shape, milliseconds};

/// What a direction is given to carry.
pub(super) struct Packet {
    /// When it could leave.
    pub(super) at: Instant,
    pub(super) load: Load,
    /// The connection's far end.
    pub(super) to: mpsc::UnboundedSender<Arriving>,
}

pub(super) enum Load {
    Bytes(Bytes),
    /// Events that happen when everything before them has arrived.
    Events(Vec<Event>),
    /// Nothing follows.
    End,
}

impl Load {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Events(_) | Self::End => 0,
        }
    }
}

/// What has left, and when it arrives.
pub(super) struct Arriving {
    pub(super) at: Instant,
    pub(super) load: Load,
}

/// When packets leave and arrive, one at a time; does not look at the time.
#[derive(Debug)]
pub(super) struct Schedule {
    seed: u64,
    direction: Direction,
    /// When the last packet has left.
    free: Instant,
    /// Bytes sent.
    sent: u64,
}

impl Schedule {
    pub(super) fn new(seed: u64, direction: Direction, now: Instant) -> Self {
        Self { seed, direction, free: now, sent: 0 }
    }

    /// When the last of `bytes` that could leave `at` has left, and when it arrives.
    pub(super) fn send(&mut self, at: Instant, bytes: usize, shape: &Shape) -> (Instant, Instant) {
        self.free = self.free.max(at) + shape.sending(bytes);
        self.sent += bytes as u64;
        let late = match bytes {
            0 => Duration::ZERO,
            _ => jitter(self.seed, self.direction, self.sent - 1, shape),
        };
        (self.free, self.free + milliseconds(shape.delay_ms) + late)
    }
}

/// Carries the packets of all connections.
pub(super) async fn run(
    shared: Arc<Shared>,
    direction: Direction,
    mut packets: mpsc::UnboundedReceiver<Packet>,
) {
    let mut schedule = Schedule::new(shared.seed, direction, Instant::now());
    while let Some(Packet { at, load, to }) = packets.recv().await {
        let (shape, stalled_until) = shared.weather(direction);
        let at = stalled_until.map_or(at, |until| at.max(until));
        let bytes = load.len();
        let (left, arrives) = schedule.send(at, bytes, &shape);
        clock::sleep_until(left).await;
        shared.dequeue(direction, bytes);
        // A connection that is gone gets nothing.
        let _ = to.send(Arriving { at: arrives, load });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn packets_leave_one_after_the_other_and_arrive_after_the_delay() {
        let start = Instant::now();
        let shape = Shape::new(1_000_000, 20 * MS);
        let mut schedule = Schedule::new(0, Direction::Up, start);
        // 1250 bytes keep 1 Mbit/s for 10 ms.
        assert_eq!(schedule.send(start, 1250, &shape), (start + 10 * MS, start + 30 * MS));
        assert_eq!(schedule.send(start + 4 * MS, 1250, &shape), (start + 20 * MS, start + 40 * MS));
        assert_eq!(schedule.send(start + 50 * MS, 1250, &shape), (start + 60 * MS, start + 80 * MS));
    }

    #[test]
    fn a_message_takes_the_same_in_whatever_pieces_it_is_sent() {
        let start = Instant::now();
        let shape = Shape { jitter_ms: 4.0, ..Shape::new(10_000_000, 5 * MS) };
        let arrival = |pieces: &[usize]| {
            let mut schedule = Schedule::new(9, Direction::Down, start);
            pieces.iter().map(|bytes| schedule.send(start, *bytes, &shape).1).last().unwrap()
        };
        let whole = arrival(&[14_600]);
        for pieces in [&[7_300, 7_300][..], &[1; 14_600], &[14_599, 1]] {
            let other = arrival(pieces);
            // Every piece's sending is rounded to nanoseconds.
            assert!(other.max(whole) - other.min(whole) < Duration::from_micros(15), "{pieces:?}");
        }
    }
}
