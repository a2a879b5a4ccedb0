//! Whatever comes over a line, decoders take it without panic, and go on.
//!
//! More runs: `OFFRAMP_FUZZ_RUNS=1000000`.

#![expect(clippy::print_stdout, reason = "what was run is shown")]

use std::time::Duration;

use offramp_firmware_host::csv::Parser;
use offramp_firmware_host::tiny::{Device, Lines, MAX_LINE, Mode, Reply};
use offramp_firmware_host::{Inference, Network};
use offramp_wire::{Batch, Decoder, MAX_FRAME, Message, encode};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn runs() -> u64 {
    std::env::var("OFFRAMP_FUZZ_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000)
}

/// Changes, cuts, repeats and mixes bytes.
fn mutate(bytes: &mut Vec<u8>, random: &mut ChaCha8Rng, words: &[&[u8]]) {
    for _ in 0..random.random_range(0..6) {
        let at = random.random_range(0..=bytes.len());
        match random.random_range(0..6) {
            0 if at < bytes.len() => bytes[at] = random.random(),
            1 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
            2 => bytes.truncate(at),
            3 => bytes.insert(at, random.random()),
            4 => {
                let word = words[random.random_range(0..words.len())];
                bytes.splice(at..at, word.iter().copied());
            }
            _ => {
                let piece = bytes[at..bytes.len().min(at + random.random_range(0..40))].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
}

#[test]
fn frames_and_messages_are_decoded_without_panic_and_written_back_as_they_were() {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let mut decoder = Decoder::new();
    let mut batch = Batch::new(u32::MAX, 7, &[1, 2]).unwrap_or_default();
    for since in 0..9 {
        let _ = batch.push(since, &[since as i32, -1]);
    }
    let text = "text".try_into().unwrap_or_default();
    let seeds = [
        Message::Greet,
        Message::Ping { token: 3 },
        Message::Samples(batch),
        Message::Error { code: offramp_wire::Fault::Sensor, detail: 0, text },
        Message::Chunk { image: 1, total: 9, offset: 0, data: [0, 0, 1, 255].into_iter().collect() },
    ];
    let (mut whole, mut messages) = (0u64, 0u64);
    let runs = runs();
    for _ in 0..runs {
        let mut out = [0; MAX_FRAME];
        let seed = &seeds[random.random_range(0..seeds.len())];
        let length = encode(seed, random.random(), &mut out).unwrap_or(0);
        let mut bytes = out[..length].to_vec();
        if random.random_bool(0.5) {
            mutate(&mut bytes, &mut random, &[b"\0", b"\xff", b"\x01\x01\x01", &[7; 600]]);
        } else if random.random_bool(0.5) {
            // Whole frames with any payload: beyond the checksum.
            let payload: Vec<u8> =
                (0..random.random_range(0..80)).map(|_| random.random::<u8>() & 0x83).collect();
            let kind = [1, 2, 3, 4, 5, 6, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0xff, 0x40]
                [random.random_range(0..16)];
            let mut payload = payload;
            if matches!(kind, 1 | 0x81) && payload.len() >= 8 {
                payload[..8].copy_from_slice(&offramp_wire::SCHEMA_HASH.to_le_bytes());
            }
            let length = offramp_wire::encode_payload(kind, 1, &payload, &mut out).unwrap_or(0);
            bytes = out[..length].to_vec();
        }
        let cut = random.random_range(0..=bytes.len());
        for mut piece in [&bytes[..cut], &bytes[cut..]] {
            while let Some(frame) = decoder.next(&mut piece) {
                whole += 1;
                let Ok(message) = Message::read(&frame) else { continue };
                messages += 1;
                let mut again = [0; MAX_FRAME];
                let length = encode(&message, frame.sequence, &mut again).unwrap_or(0);
                let (mut check, mut rest) = (Decoder::new(), &again[..length]);
                assert_eq!(
                    check.next(&mut rest).map(|frame| frame.payload.to_vec()),
                    Some(frame.payload.to_vec())
                );
            }
        }
    }
    let rejected = decoder.rejected();
    println!("{runs} runs: {whole} whole frames, {messages} messages, {rejected:?}");
    assert!(whole > runs / 4 && messages > runs / 8 && rejected.total() > 0);
}

/// Answers at once.
struct Nothing;

impl Network for Nothing {
    fn name(&self) -> &str {
        "ic01"
    }

    fn image_bytes(&self) -> usize {
        2
    }

    fn infer(&mut self, image: &[u8]) -> Result<Inference, Box<dyn std::error::Error + Send + Sync>> {
        if image[0] == 1 {
            return Err("a text\r\nwith lines]".into());
        }
        let latency = Duration::ZERO;
        Ok(Inference {
            scores: vec![f32::NAN, 1.0],
            label: 1,
            exit: image[1],
            confidence: 1.0,
            latency,
            energy_j: None,
        })
    }
}

#[test]
fn tiny_commands_are_answered_once_each_whatever_they_are() {
    let mut random = ChaCha8Rng::seed_from_u64(12);
    let mut device = Device::new(Nothing, "X", Mode::Performance);
    let seeds: [&[u8]; 8] = [
        b"name%",
        b"db load 2%",
        b"db 00ff%",
        b"db print%",
        b"infer 2 1%",
        b"results%",
        b"profile%",
        b"timestamp%",
    ];
    let words: [&[u8]; 8] =
        [b"%", b" ", b"db ", b"load ", b"infer ", b"-1", b"\xff\xfe", b"99999999999999999999"];
    let runs = runs();
    for _ in 0..runs {
        let mut bytes: Vec<u8> =
            (0..random.random_range(1..4)).flat_map(|_| seeds[random.random_range(0..8)].to_vec()).collect();
        mutate(&mut bytes, &mut random, &words);
        bytes.push(b'%');
        // A number of runs that would take for ever is no fault of the parser.
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if text.split('%').any(|command| command.contains("infer") && command.len() > 9) {
            continue;
        }
        let ends = bytes.iter().filter(|byte| **byte == b'%').count();
        let mut ready = 0;
        let cut = random.random_range(0..=bytes.len());
        for piece in [&bytes[..cut], &bytes[cut..]] {
            let answered = device.feed(piece, &mut |said| {
                ready += usize::from(said == "m-ready\r\n");
                assert!(said.ends_with('\n'), "{said:?}");
                Ok(())
            });
            assert!(answered.is_ok());
        }
        assert_eq!(ready, ends, "{text:?}");
    }
    println!("{runs} runs");
}

#[test]
fn lines_and_rows_are_read_without_panic_and_without_growing() {
    let mut random = ChaCha8Rng::seed_from_u64(13);
    let mut lines = Lines::default();
    let mut parser = Parser::default();
    let seeds: [&[u8]; 7] = [
        b"m-results-[0.1,0.9]\r\n",
        b"m-lap-us-18446744073709551615\r\n",
        b"m-exit-counts-[1,2,3]\r\n",
        b"e-[x]\r\nm-ready\r\n",
        b"time_us,V,mA\r\n",
        b"1000,5.0,200\r\n",
        b"m-name-dut-[x]\r\n",
    ];
    let words: [&[u8]; 8] = [b"\n", b"[", b"]", b",,", b"1e999", b"nan", b"\xf0\x9f", b"-"];
    let runs = runs();
    let mut understood = 0u64;
    for _ in 0..runs {
        let mut bytes = seeds[random.random_range(0..7)].to_vec();
        mutate(&mut bytes, &mut random, &words);
        for line in lines.feed(&bytes) {
            assert!(line.len() <= MAX_LINE * 3);
            match Reply::read(&line) {
                Reply::Results(results) => assert!(results.iter().all(|result| result.is_finite())),
                Reply::Other => continue,
                _ => {}
            }
            understood += 1;
        }
        for row in parser.feed(&bytes) {
            assert!(row.watts.is_finite() && row.time_s.is_none_or(f64::is_finite));
        }
    }
    println!("{runs} runs: {understood} replies understood, {:?}", parser.rejected());
    assert!(understood > runs / 10);
}
