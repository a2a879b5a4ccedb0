//! Whatever a line does to bytes, only whole frames come out.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]
#![expect(clippy::print_stdout, reason = "what was counted is shown")]

use offramp_wire::{
    Abilities, Batch, Decoder, EncodeError, Frame, Hello, MAX_FRAME, MAX_PAYLOAD, Message, MessageError,
    Rejected, SCHEMA_HASH, encode_payload,
};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Owned {
    kind: u8,
    sequence: u16,
    payload: Vec<u8>,
}

impl From<Frame<'_>> for Owned {
    fn from(frame: Frame<'_>) -> Self {
        Self { kind: frame.kind, sequence: frame.sequence, payload: frame.payload.to_vec() }
    }
}

fn written(kind: u8, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = [0; MAX_FRAME];
    let length = encode_payload(kind, sequence, payload, &mut out).unwrap();
    out[..length].to_vec()
}

fn decoded(decoder: &mut Decoder, mut bytes: &[u8]) -> Vec<Owned> {
    std::iter::from_fn(|| decoder.next(&mut bytes).map(Owned::from)).collect()
}

fn runs(variable: &str, usual: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

proptest! {
    #[test]
    fn frames_survive_in_pieces_of_any_size(
        frames in prop::collection::vec((any::<u8>(), any::<u16>(), prop::collection::vec(prop_oneof![any::<u8>(), Just(0)], 0..=MAX_PAYLOAD)), 1..8),
        cuts in prop::collection::vec(1usize..700, 1..20),
    ) {
        let mut stream = Vec::new();
        for (kind, sequence, payload) in &frames {
            stream.extend(written(*kind, *sequence, payload));
        }
        let mut decoder = Decoder::new();
        let mut found = Vec::new();
        let mut rest = &stream[..];
        for cut in cuts.iter().cycle() {
            let (head, tail) = rest.split_at(rest.len().min(*cut));
            found.extend(decoded(&mut decoder, head));
            rest = tail;
            if rest.is_empty() { break; }
        }
        let expected: Vec<Owned> = frames.into_iter().map(|(kind, sequence, payload)| Owned { kind, sequence, payload }).collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(decoder.rejected(), Rejected::default());
    }

    #[test]
    fn any_payload_is_a_message_or_an_error_and_messages_are_written_back_as_they_were(
        kind in prop_oneof![0u8..=6, 0x81u8..=0x88, Just(0xff)],
        mut payload in prop::collection::vec(prop_oneof![any::<u8>(), 0u8..4], 0..64),
        right_schema in any::<bool>(),
    ) {
        if right_schema && payload.len() >= 8 {
            payload[..8].copy_from_slice(&SCHEMA_HASH.to_le_bytes());
        }
        let frame = Frame { kind, sequence: 3, payload: &payload };
        if let Ok(message) = Message::read(&frame) {
            let mut out = [0; MAX_FRAME];
            let length = offramp_wire::encode(&message, 3, &mut out).unwrap();
            prop_assert_eq!(&out[..length], &written(kind, 3, &payload)[..]);
        }
    }
}

/// Takes frames apart as the specification reads, with other libraries' stuffing and checksum.
fn reference(stream: &[u8]) -> (Vec<Owned>, Rejected) {
    let (mut frames, mut rejected) = (Vec::new(), Rejected::default());
    let pieces: Vec<&[u8]> = stream.split(|byte| *byte == 0).collect();
    // What follows the last zero is not finished.
    for piece in &pieces[..pieces.len() - 1] {
        if piece.is_empty() {
            continue;
        }
        if piece.len() >= MAX_FRAME {
            rejected.overlong += 1;
            continue;
        }
        let ended = [piece, &[0][..]].concat();
        let mut plain = vec![0; ended.len()];
        let Ok(report) = cobs::decode(&ended, &mut plain) else {
            rejected.stuffing += 1;
            continue;
        };
        plain.truncate(report.frame_size());
        if plain.len() < 10 {
            rejected.short += 1;
            continue;
        }
        let (body, checksum) = plain.split_at(plain.len() - 4);
        if crc32fast::hash(body).to_le_bytes() != checksum {
            rejected.checksum += 1;
        } else {
            let sequence = u16::from_le_bytes([body[4], body[5]]);
            frames.push(Owned { kind: body[1], sequence, payload: body[6..].to_vec() });
        }
    }
    (frames, rejected)
}

/// A million frames: `OFFRAMP_WIRE_FRAMES=1000000`.
#[test]
fn no_corrupt_frame_is_accepted_and_every_whole_one_is() {
    let frames = runs("OFFRAMP_WIRE_FRAMES", 20_000);
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let (mut decoder, mut whole, mut corrupt, mut expected) =
        (Decoder::new(), 0u64, 0u64, Rejected::default());
    let mut left = frames;
    while left > 0 {
        let block = left.min(1000);
        left -= block;
        let mut sent = Vec::new();
        let mut stream = Vec::new();
        for _ in 0..block {
            let length = if random.random_bool(0.05) { MAX_PAYLOAD } else { random.random_range(0..160) };
            let payload: Vec<u8> =
                (0..length).map(|_| if random.random_bool(0.2) { 0 } else { random.random() }).collect();
            let frame = Owned { kind: random.random(), sequence: random.random(), payload };
            let bytes = written(frame.kind, frame.sequence, &frame.payload);
            sent.push((stream.len(), bytes.len(), frame));
            stream.extend(bytes);
        }
        let clean = stream.clone();
        // The gap to the next flipped bit at one in a thousand; the block's end stays whole so that blocks are counted alone.
        let mut bit = 0usize;
        loop {
            let gap = (random.random::<f64>().max(f64::MIN_POSITIVE).ln() / (1.0f64 - 0.001).ln()) as usize;
            bit += gap;
            if bit / 8 >= stream.len() - 1 {
                break;
            }
            stream[bit / 8] ^= 1 << (bit % 8);
            bit += 1;
        }
        let mut must: Vec<Owned> = Vec::new();
        for (at, length, frame) in sent {
            let untouched =
                stream[at..at + length] == clean[at..at + length] && (at == 0 || stream[at - 1] == 0);
            if untouched { must.push(frame) } else { corrupt += 1 }
        }
        let (reference_frames, rejected) = reference(&stream);
        let mut found = Vec::new();
        for piece in stream.chunks(random.random_range(1..400)) {
            found.extend(decoded(&mut decoder, piece));
        }
        assert_eq!(found, must, "what came out is not what went in whole");
        assert_eq!(reference_frames, must);
        whole += found.len() as u64;
        expected.overlong += rejected.overlong;
        expected.stuffing += rejected.stuffing;
        expected.short += rejected.short;
        expected.checksum += rejected.checksum;
        assert_eq!(decoder.rejected(), expected);
    }
    assert_eq!(whole + corrupt, frames as u64);
    assert!(corrupt > whole / 10 && expected.stuffing > 0 && expected.checksum > 0 && expected.short > 0);
    println!("{frames} frames: {whole} whole, {corrupt} corrupt, rejected {expected:?}");
}

#[test]
fn garbage_truncated_and_overlong_frames_are_counted_and_the_next_frame_comes() {
    let good = written(2, 1, &[1, 2, 3, 4]);
    let mut other_version = good.clone();
    other_version[..].copy_from_slice(&{
        // Version 2 with its own checksum: whole, and not for us.
        let mut body = vec![2, 2, 4, 0, 1, 0, 1, 2, 3, 4];
        body.extend(crc32fast::hash(&body).to_le_bytes());
        let mut out = vec![0; 32];
        let length = cobs::encode(&body, &mut out);
        out.truncate(length);
        out.push(0);
        out
    });
    let truncated = [&good[..good.len() - 4], &[0]].concat();
    let overlong = [&vec![7; 10_000][..], &[0]].concat();
    let short = [3, 1, 1, 0];
    let longest = [&vec![1; MAX_FRAME - 1][..], &[0]].concat();
    let stream = [
        &truncated[..],
        &good,
        &overlong,
        &good,
        &short,
        &good,
        &longest,
        &good,
        &other_version,
        &good,
        &[0, 0],
        &good,
    ]
    .concat();
    let mut decoder = Decoder::new();
    assert_eq!(decoded(&mut decoder, &stream).len(), 6);
    let rejected = decoder.rejected();
    assert_eq!((rejected.overlong, rejected.short, rejected.version), (1, 1, 1));
    assert_eq!((rejected.last_version, rejected.length), (Some(2), 0));
    assert_eq!(rejected.total(), 5);
}

#[test]
fn an_unfinished_frame_is_forgotten_on_restart() {
    let good = written(2, 1, &[1, 2, 3, 4]);
    let mut decoder = Decoder::new();
    assert!(decoded(&mut decoder, &good[..5]).is_empty());
    decoder.restart();
    assert_eq!(decoded(&mut decoder, &good).len(), 1);
    assert_eq!(decoder.rejected().total(), 0);
}

#[test]
fn a_length_that_lies_is_refused() {
    let mut body = vec![1, 2, 5, 0, 1, 0, 1, 2, 3, 4];
    body.extend(crc32fast::hash(&body).to_le_bytes());
    let mut out = vec![0; 32];
    let length = cobs::encode(&body, &mut out);
    out.truncate(length + 1);
    let mut decoder = Decoder::new();
    assert!(decoded(&mut decoder, &out).is_empty());
    assert_eq!(decoder.rejected().length, 1);
}

#[test]
fn what_does_not_fit_is_an_error() {
    assert_eq!(encode_payload(1, 0, &[0; MAX_PAYLOAD + 1], &mut [0; 2000]), Err(EncodeError::Payload));
    assert_eq!(encode_payload(1, 0, &[], &mut [0; 11]), Err(EncodeError::Room(11)));
    assert_eq!(encode_payload(1, 0, &[], &mut [0; 12]), Ok(12));
    assert_eq!(
        encode_payload(1, 0, &[255; MAX_PAYLOAD], &mut [0; MAX_FRAME]).map(|n| n <= MAX_FRAME),
        Ok(true)
    );
}

#[test]
fn another_schema_an_unknown_type_and_a_payload_out_of_range_are_told_apart() {
    let read = |kind, payload: &[u8]| Message::read(&Frame { kind, sequence: 0, payload }).unwrap_err();
    assert_eq!(read(0x81, &[9; 30]), MessageError::Schema { found: 0x0909_0909_0909_0909 });
    assert_eq!(read(0x77, &[]), MessageError::Unknown(0x77));
    assert_eq!(read(0x02, &[1, 2, 3]), MessageError::Malformed { kind: 2, length: 3 });
    assert_eq!(read(0x02, &[1, 2, 3, 4, 5]), MessageError::Malformed { kind: 2, length: 5 });
    // A confidence above one, and a batch of one sample that spans time.
    let answer = [&[0; 8][..], &1_000_001u32.to_le_bytes(), &[0; 8]].concat();
    assert_eq!(read(0x86, &answer), MessageError::Malformed { kind: 0x86, length: 20 });
    let batch = [&[0; 8][..], &1u32.to_le_bytes(), &[1, 1], &[0; 8]].concat();
    assert_eq!(read(0x87, &batch), MessageError::Malformed { kind: 0x87, length: 22 });
    assert_eq!(read(0x77, &[]).to_string(), "frame of type 0x77, which this build does not know");
}

#[test]
fn the_longest_hello_fits_a_frame() {
    let name = "x".repeat(32);
    let channel = offramp_wire::Channel {
        quantity: offramp_wire::Quantity::Power,
        scale_nano: u32::MAX,
        label: "y".repeat(16).as_str().try_into().unwrap(),
    };
    let hello = Hello {
        abilities: Abilities::default(),
        tick_hz: 1,
        rate_millihz: 1,
        boot: 1,
        image_bytes: 0,
        name: name.as_str().try_into().unwrap(),
        serial: name.as_str().try_into().unwrap(),
        channels: (0..4).map(|_| channel.clone()).collect(),
    };
    assert!(offramp_wire::encode(&Message::Hello(hello), 0, &mut [0; MAX_FRAME]).is_ok());
    let mut widest = Batch::new(0, 0, &[1; 4]).unwrap();
    (0..30).for_each(|since| widest.push(since, &[i32::MIN; 4]).unwrap());
    assert!(offramp_wire::encode(&Message::Samples(widest), 0, &mut [0; MAX_FRAME]).is_ok());
}
