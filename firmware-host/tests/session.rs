//! Handshakes and images over a pseudo-terminal.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod board;

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use board::{port, session, start};
use offramp_firmware_host::sim::{Board, Faults, Simulator};
use offramp_firmware_host::{Event, Inference, Link, LinkError, Network, Session};
use offramp_wire::{Fault, MAX_FRAME, Message, encode_payload};

/// Labels an image by its first byte and stops at the exit that its second says.
struct Toy;

impl Network for Toy {
    fn name(&self) -> &str {
        "toy"
    }

    fn image_bytes(&self) -> usize {
        3072
    }

    fn infer(&mut self, image: &[u8]) -> Result<Inference, Box<dyn std::error::Error + Send + Sync>> {
        if image[0] == 255 {
            return Err("no such picture".into());
        }
        Ok(Inference {
            scores: vec![0.25, 0.75],
            label: u16::from(image[0]),
            exit: image[1],
            confidence: 0.75,
            latency: Duration::from_micros(1500),
            energy_j: (image[2] > 0).then_some(42e-6),
        })
    }
}

fn picture(label: u8, exit: u8, energy: u8) -> Vec<u8> {
    let mut image: Vec<u8> = (0..3072).map(|at| (at % 251) as u8).collect();
    image[..3].copy_from_slice(&[label, exit, energy]);
    image
}

#[test]
fn images_go_out_and_answers_come_back() {
    let board = Simulator::start(Board::default(), Some(Box::new(Toy))).unwrap();
    let mut session = session(board.path());
    assert_eq!(session.hello().image_bytes, 3072);
    let answer = session.classify(&picture(7, 2, 1), Duration::from_secs(5)).unwrap();
    assert_eq!((answer.label, answer.exit, answer.confidence_ppm), (7, 2, 750_000));
    assert_eq!((answer.latency_us, answer.energy_uj), (1500, Some(42)));
    let answer = session.classify(&picture(1, 0, 0), Duration::from_secs(5)).unwrap();
    assert_eq!((answer.label, answer.energy_uj), (1, None));
    let error = session.classify(&picture(255, 0, 0), Duration::from_secs(5)).unwrap_err();
    assert!(matches!(&error, LinkError::Refused { text, .. } if text == "no such picture"), "{error}");
    assert!(matches!(session.classify(&[1, 2], Duration::from_secs(1)), Err(LinkError::Unable { .. })));
}

#[test]
fn images_arrive_whole_over_a_line_that_damages_bytes() {
    let faults = Faults { drop: 2e-4, flip: 2e-4, duplicate: 2e-4, ..Faults::default() };
    let board = Simulator::start(Board { faults, ..Board::default() }, Some(Box::new(Toy))).unwrap();
    let mut session = session(board.path());
    let mut answered = 0;
    for label in 0..12 {
        match session.classify(&picture(label, 1, 1), Duration::from_secs(1)) {
            Ok(answer) => {
                assert_eq!(answer.label, u16::from(label));
                answered += 1;
            }
            // The answer itself was damaged.
            Err(LinkError::Silent { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(answered >= 8, "{answered} of 12 were answered");
}

#[test]
fn a_board_without_a_network_says_so() {
    let (board, _folder) = start(Board::default());
    let mut session = session(board.path());
    let error = session.classify(&[0; 10], Duration::from_secs(1)).unwrap_err();
    assert_eq!(error.to_string(), "the device simulated board has no network");
}

#[test]
fn a_rate_that_the_device_cannot_do_is_refused_with_what_it_can() {
    let (board, _folder) = start(Board::default());
    let mut session = session(board.path());
    let error = session.start(90_000_000, 0).unwrap_err();
    assert!(matches!(error, LinkError::Refused { code: Fault::Range, detail: 20_000_000, .. }), "{error}");
}

#[test]
fn stopping_tells_how_many_samples_there_were() {
    let (board, _folder) = start(Board::default());
    let mut session = session(board.path());
    assert_eq!(session.start(2_000_000, 7).unwrap(), 2_000_000);
    let begin = Instant::now();
    let (mut samples, mut stopped) = (0, None);
    while stopped.is_none() && begin.elapsed() < Duration::from_secs(5) {
        if samples > 300 {
            session.stop().unwrap();
        }
        match session.next(Instant::now() + Duration::from_millis(100)).unwrap() {
            Some(Event::Samples(batch)) => samples += batch.len(),
            Some(Event::Stopped { samples, lost }) => stopped = Some((samples as usize, lost)),
            _ => {}
        }
    }
    assert_eq!(stopped, Some((samples, 0)));
}

/// The other end of a line in memory, which says the same whatever it hears.
#[derive(Debug)]
struct Parrot {
    says: Vec<u8>,
    at: usize,
}

impl Read for Parrot {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(self.says.len() - self.at);
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        buffer[..count].copy_from_slice(&self.says[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

impl Write for Parrot {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn greeted(says: &[u8]) -> LinkError {
    let link = Link::new(Parrot { says: says.to_vec(), at: 0 }, Duration::from_millis(100));
    Session::open(link, Instant::now(), Duration::from_millis(300)).unwrap_err()
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = [0; MAX_FRAME];
    let length = encode_payload(kind, 0, payload, &mut out).unwrap();
    out[..length].to_vec()
}

#[test]
fn another_version_another_schema_silence_and_garbage_are_told_apart() {
    // A whole frame of version 2: what is behind the zero of the header does not matter.
    let other = [0x04, 0x02, 0x02, 0x04, 0x02, 0x01, 0x05, 0x01, 0x02, 0x03, 0x04];
    let crc = {
        let body = [2, 2, 4, 0, 1, 0, 1, 2, 3, 4];
        crc_of(&body)
    };
    let mut stuffed = other[..].to_vec();
    stuffed[6] = 9;
    stuffed.extend(crc);
    stuffed.push(0);
    let error = greeted(&stuffed);
    assert_eq!(error.to_string(), "the device speaks wire version 2, this build speaks 1");
    let error = greeted(&frame(0x81, &[9; 40]));
    assert!(matches!(error, LinkError::Schema { found: 0x0909_0909_0909_0909 }), "{error}");
    let error = greeted(b"");
    assert!(matches!(error, LinkError::Silent { rejected: 0, .. }), "{error}");
    let error = greeted(b"Hello, I am a shell\n$ \0 what \0");
    assert!(matches!(error, LinkError::Silent { rejected: 2, .. }), "{error}");
}

/// CRC-32 as zlib has it, bit by bit.
fn crc_of(bytes: &[u8]) -> [u8; 4] {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    (!crc).to_le_bytes()
}

#[test]
fn a_replayed_frame_is_not_acted_on() {
    let taken = |next: u32| {
        let mut payload = 1u32.to_le_bytes().to_vec();
        payload.extend(next.to_le_bytes());
        frame(0x88, &payload)
    };
    let says = [taken(1), taken(1), taken(2)].concat();
    let mut link = Link::new(Parrot { says, at: 0 }, Duration::from_millis(100));
    let mut heard = Vec::new();
    while let Some(received) = link.receive(Instant::now() + Duration::from_millis(20)).unwrap() {
        heard.push(received.message);
    }
    assert_eq!(heard, [Message::Taken { image: 1, next: 1 }]);
    assert_eq!((link.counts().replayed, link.counts().frames), (2, 1));
}

#[test]
fn a_device_that_does_not_read_stalls_the_host_for_no_longer_than_told() {
    let faults = Faults { reads_per_s: Some(1), ..Faults::default() };
    let (board, _folder) = start(Board { faults, ..Board::default() });
    let mut link = Link::new(port(board.path()), Duration::from_millis(300));
    let chunk = Message::Chunk { image: 1, total: 500, offset: 0, data: [7; 500].into_iter().collect() };
    let begin = Instant::now();
    let error = loop {
        assert!(begin.elapsed() < Duration::from_secs(10), "a stalled line was never told");
        if let Err(error) = link.send(&chunk) {
            break error;
        }
    };
    assert!(matches!(error, LinkError::Stalled { .. }), "{error}");
}

#[test]
fn a_device_that_is_unplugged_is_gone_at_once() {
    let (board, _folder) = start(Board::default());
    let mut session = session(board.path());
    session.start(0, 0).unwrap();
    board.unplug();
    let begin = Instant::now();
    let error = loop {
        if let Err(error) = session.next(Instant::now() + Duration::from_millis(50)) {
            break error;
        }
        assert!(begin.elapsed() < Duration::from_secs(5), "nobody noticed");
    };
    assert!(matches!(error, LinkError::Gone(_)), "{error}");
}
