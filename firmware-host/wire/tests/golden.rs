//! The bytes of docs/wire.md, made by a generator that shares no line with the crate.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use offramp_wire::{
    Abilities, Answer, Batch, Channel, Decoder, Fault, Hello, MAX_FRAME, MarkSource, Message, Quantity,
    SCHEMA, SCHEMA_HASH, encode,
};

const FRAMES: &str = include_str!("golden/frames.txt");
const PAGE: &str = include_str!("../../../docs/wire.md");

fn messages() -> Vec<(&'static str, Message)> {
    let channel = |quantity, scale_nano, label: &str| Channel {
        quantity,
        scale_nano,
        label: label.try_into().unwrap(),
    };
    let hello = Hello {
        abilities: Abilities { meter: true, network: true, line: true },
        tick_hz: 1_000_000,
        rate_millihz: 1_000_000,
        boot: 7,
        image_bytes: 3072,
        name: "meter".try_into().unwrap(),
        serial: "A-17".try_into().unwrap(),
        channels: heapless::Vec::from_array([
            channel(Quantity::Voltage, 1_250_000, "VDD_IN"),
            channel(Quantity::Current, 500_000, "I_IN"),
        ]),
    };
    let mut samples = Batch::new(0xffff_ff00, 4096, &[1_250_000, 500_000]).unwrap();
    for (since, sample) in [(0, [4000, 1000]), (125, [4001, -2]), (250, [3999, i32::MAX])] {
        samples.push(since, &sample).unwrap();
    }
    let mut full = Batch::new(1, 2, &[1]).unwrap();
    (0..120).for_each(|since| full.push(since, &[-1]).unwrap());
    let data = (0..=255).chain([0; 244]).collect();
    let answer = Answer {
        image: 9,
        label: 3,
        exit: 2,
        confidence_ppm: 987_654,
        latency_us: 1500,
        energy_uj: Some(420),
    };
    let without = Answer { label: 999, exit: 0, confidence_ppm: 1_000_000, energy_uj: None, ..answer };
    let text = "sensor 0x40 does not answer".try_into().unwrap();
    vec![
        ("greet", Message::Greet),
        ("ping", Message::Ping { token: 0xdead_beef }),
        ("start", Message::Start { rate_millihz: 8_000_000, batch: 60 }),
        ("mark", Message::Mark { token: 5 }),
        ("stop", Message::Stop),
        ("chunk", Message::Chunk { image: 9, total: 3072, offset: 500, data }),
        ("hello", Message::Hello(hello)),
        ("pong", Message::Pong { token: 0xdead_beef, received: 0, sent: 100 }),
        ("started", Message::Started { time: 123_456, rate_millihz: 1_000_000 }),
        ("marker", Message::Marker { time: 123_457, source: MarkSource::Rise, token: 5 }),
        ("stopped", Message::Stopped { time: u32::MAX, samples: 80_000, lost: 3 }),
        ("answer", Message::Answer(answer)),
        ("answer-without-energy", Message::Answer(without)),
        ("samples", Message::Samples(samples)),
        ("samples-full", Message::Samples(full)),
        ("taken", Message::Taken { image: 9, next: 1000 }),
        ("error", Message::Error { code: Fault::Sensor, detail: 0xffff_fffb, text }),
    ]
}

fn golden() -> Vec<(&'static str, u8, u16, Vec<u8>)> {
    let lines = FRAMES.lines().filter(|line| !line.starts_with('#'));
    let hex = |text: &str| {
        text.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    };
    lines
        .map(|line| {
            let [name, kind, sequence, frame] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
            (
                name,
                u8::from_str_radix(kind, 16).unwrap(),
                u16::from_str_radix(sequence, 16).unwrap(),
                hex(frame),
            )
        })
        .collect()
}

#[test]
fn every_message_is_written_and_read_as_the_reference_does() {
    let (messages, golden) = (messages(), golden());
    assert_eq!(messages.len(), golden.len());
    for ((name, message), (golden_name, kind, sequence, bytes)) in messages.into_iter().zip(golden) {
        assert_eq!((name, message.kind()), (golden_name, kind));
        let mut out = [0; MAX_FRAME];
        let length = encode(&message, sequence, &mut out).unwrap();
        assert_eq!(out[..length], bytes, "{name} is written differently");
        let mut decoder = Decoder::new();
        let mut rest = &bytes[..];
        let frame = decoder.next(&mut rest).unwrap_or_else(|| panic!("{name} is not a frame"));
        assert_eq!(frame.sequence, sequence);
        assert_eq!(Message::read(&frame).unwrap(), message, "{name} is read differently");
    }
}

#[test]
fn the_page_has_this_schema_and_its_hash() {
    assert!(PAGE.contains(SCHEMA), "docs/wire.md must quote schema.txt");
    assert!(PAGE.contains(&format!("0x{SCHEMA_HASH:016x}")), "docs/wire.md must give 0x{SCHEMA_HASH:016x}");
    let ping = golden().into_iter().find(|(name, ..)| *name == "ping").unwrap().3;
    let spaced: Vec<String> = ping.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(PAGE.contains(&spaced.join(" ")), "docs/wire.md must give the ping as {}", spaced.join(" "));
}
