//! A meter driven byte by byte, in device time that the test makes.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use heapless::Vec as Fixed;
use offramp_firmware::{Begun, Identity, Meter, Sample, Sensor, SensorError, Synthetic};
use offramp_wire::{
    Batch, Channel, Decoder, Fault, MAX_FRAME, MarkSource, Message, Sequence, encode, encode_payload,
};

const TICK_HZ: u32 = 12_500_000;

struct Bench<S> {
    meter: Meter<S>,
    decoder: Decoder,
    arrivals: Sequence,
    sequence: u16,
}

impl<S: Sensor> Bench<S> {
    /// A meter that was switched on, and has said hello.
    fn with(sensor: S) -> Self {
        let text = |text: &str| text.try_into().unwrap();
        let identity = Identity { name: text("meter"), serial: text("7"), boot: 99, tick_hz: TICK_HZ };
        let meter = Meter::new(identity, sensor);
        let mut bench = Self { meter, decoder: Decoder::new(), arrivals: Sequence::default(), sequence: 0 };
        let said = bench.hear(0);
        assert!(matches!(&said[..], [Message::Hello(hello)] if hello.boot == 99), "{said:?}");
        bench
    }

    fn say(&mut self, message: &Message, at: u32) {
        let mut frame = [0; MAX_FRAME];
        let length = encode(message, self.sequence, &mut frame).unwrap();
        self.sequence = self.sequence.wrapping_add(1);
        frame[..length].iter().for_each(|byte| self.meter.receive(*byte, at));
    }

    /// All that the meter has to say while the line is free.
    fn hear(&mut self, now: u32) -> Vec<Message> {
        let bytes: Vec<u8> = std::iter::from_fn(|| self.meter.next_byte(now)).collect();
        let mut rest = &bytes[..];
        let mut said = Vec::new();
        while let Some(frame) = self.decoder.next(&mut rest) {
            self.arrivals.observe(frame.sequence);
            said.push(Message::read(&frame).unwrap());
        }
        assert_eq!((self.decoder.rejected().total(), self.arrivals.missing()), (0, 0));
        said
    }

    fn ask(&mut self, message: &Message, now: u32) -> Vec<Message> {
        self.say(message, now);
        self.hear(now)
    }
}

fn bench() -> Bench<Synthetic> {
    Bench::with(Synthetic::new(TICK_HZ, 8_000_000))
}

fn start(rate_millihz: u32, batch: u8) -> Message {
    Message::Start { rate_millihz, batch }
}

fn samples(said: &[Message]) -> Vec<&Batch> {
    said.iter()
        .filter_map(|message| match message {
            Message::Samples(batch) => Some(batch),
            _ => None,
        })
        .collect()
}

fn fault(said: &[Message]) -> Option<(Fault, u32)> {
    match said {
        [Message::Error { code, detail, .. }] => Some((*code, *detail)),
        _ => None,
    }
}

#[test]
fn a_ping_is_stamped_when_it_came_and_when_it_is_answered_and_goes_before_what_waits() {
    let mut bench = bench();
    bench.say(&start(1_000_000, 10), 0);
    bench.say(&Message::Mark { token: 8 }, 40);
    bench.say(&Message::Ping { token: 7 }, 50);
    let said = bench.hear(90);
    assert_eq!(said[0], Message::Pong { token: 7, received: 50, sent: 90 });
    assert!(matches!(said[1], Message::Started { time: 6250, rate_millihz: 1_000_000 }));
    assert_eq!(said[2], Message::Marker { time: 40, source: MarkSource::Serial, token: 8 });
}

#[test]
fn samples_come_in_batches_and_every_one_is_accounted_for() {
    let mut bench = bench();
    bench.ask(&start(1_000_000, 10), 0);
    let mut said = Vec::new();
    // 95 samples, across the wrap of nothing yet.
    for now in (0..=95 * 12_500).step_by(500) {
        bench.meter.sample(now);
        said.extend(bench.hear(now));
    }
    let batches = samples(&said);
    assert_eq!(batches.len(), 9);
    for (number, batch) in (0_u32..).zip(&batches) {
        assert_eq!((batch.index, batch.len(), batch.span), (number * 10, 10, 9 * 12_500));
        assert_eq!(batch.time, 6250 + number * 125_000);
    }
    let ended = bench.ask(&Message::Stop, 1_200_000);
    assert_eq!(samples(&ended)[0].len(), 5);
    assert_eq!(ended[1], Message::Stopped { time: 6250 + 94 * 12_500, samples: 95, lost: 0 });
    assert_eq!(fault(&bench.ask(&Message::Stop, 1_200_001)), Some((Fault::State, 0)));
}

#[test]
fn a_line_that_is_too_slow_loses_whole_batches_and_says_so() {
    let mut bench = bench();
    bench.ask(&start(1_000_000, 10), 0);
    for now in (0..=200 * 12_500).step_by(12_500) {
        bench.meter.sample(now);
    }
    // Eight batches have room, twelve have not.
    let said = bench.hear(2_500_000);
    assert_eq!(samples(&said).len(), 8);
    let last = said.last().unwrap();
    assert!(matches!(last, Message::Error { code: Fault::Overrun, detail: 120, .. }), "{last:?}");
    let mut now = 2_500_000;
    while now <= 210 * 12_500 {
        bench.meter.sample(now);
        now += 500;
    }
    let said = bench.hear(now);
    assert_eq!(samples(&said)[0].index, 200, "the numbers tell what is missing");
    let ended = bench.ask(&Message::Stop, now);
    assert_eq!(ended, [Message::Stopped { time: 6250 + 209 * 12_500, samples: 210, lost: 120 }]);
}

#[test]
fn a_start_that_comes_again_changes_nothing_and_another_one_is_refused() {
    let mut bench = bench();
    let first = bench.ask(&start(1_000_000, 10), 0);
    assert_eq!(bench.ask(&start(1_000_000, 10), 700), first);
    assert_eq!(fault(&bench.ask(&start(2_000_000, 10), 800)), Some((Fault::State, 0)));
    bench.ask(&Message::Stop, 900);
    assert_eq!(fault(&bench.ask(&start(9_000_000, 0), 1000)), Some((Fault::Range, 8_000_000)));
}

#[test]
fn a_greeting_ends_what_another_host_began() {
    let mut bench = bench();
    bench.say(&start(1_000_000, 1), 0);
    bench.meter.sample(100_000);
    bench.sequence = 4000;
    let said = bench.ask(&Message::Greet, 100_000);
    assert!(matches!(&said[..], [Message::Hello(_)]), "{said:?}");
    bench.meter.sample(300_000);
    assert_eq!(bench.hear(300_000), []);
    // Numbers count from the greeting on.
    assert!(matches!(bench.ask(&Message::Ping { token: 1 }, 300_001)[..], [Message::Pong { token: 1, .. }]));
}

#[test]
fn what_makes_no_sense_is_told_and_what_came_before_is_not_acted_on() {
    let mut bench = bench();
    let mut frame = [0; MAX_FRAME];
    let mut raw = |bench: &mut Bench<Synthetic>, kind, payload: &[u8]| {
        let length = encode_payload(kind, bench.sequence, payload, &mut frame).unwrap();
        bench.sequence += 1;
        frame[..length].iter().for_each(|byte| bench.meter.receive(*byte, 0));
        bench.hear(0)
    };
    assert_eq!(fault(&raw(&mut bench, 0x42, &[])), Some((Fault::Unknown, 0x42)));
    assert_eq!(fault(&raw(&mut bench, 0x83, &[0; 8])), Some((Fault::Unknown, 0x83)));
    assert_eq!(fault(&raw(&mut bench, 0x02, &[1])), Some((Fault::Malformed, 2)));
    assert_eq!(fault(&raw(&mut bench, 0x06, &[0; 13])), Some((Fault::State, 0)));
    assert!(matches!(raw(&mut bench, 0x01, &[0; 8])[..], [Message::Hello(_)]), "another schema");
    bench.sequence -= 2;
    assert_eq!(raw(&mut bench, 0x02, &[0; 4]), [], "a replay");
}

/// Answers what it is told to.
struct Script(std::vec::IntoIter<Result<Option<u32>, SensorError>>);

impl Sensor for Script {
    fn channels(&self) -> Fixed<Channel, 4> {
        Synthetic::new(TICK_HZ, 1).channels()
    }

    fn rate_millihz(&self) -> u32 {
        1_000_000
    }

    fn begin(&mut self, rate_millihz: u32, now: u32) -> Result<Begun, SensorError> {
        Ok(Begun { first: now, rate_millihz })
    }

    fn poll(&mut self, now: u32) -> Result<Option<Sample>, SensorError> {
        let step = self.0.next().unwrap_or(Ok(None))?;
        Ok(step.map(|skipped| Sample { time: now, skipped, values: [1].into_iter().collect() }))
    }
}

#[test]
fn a_sensor_that_falls_silent_is_told_once_and_its_samples_are_counted_as_lost() {
    let silent = Err(SensorError::Clipped);
    let script = vec![Ok(Some(0)), Ok(Some(0)), silent, silent, Ok(Some(2)), silent];
    let mut bench = Bench::with(Script(script.into_iter()));
    bench.ask(&start(0, 0), 0);
    let mut said = Vec::new();
    for now in 1..=6 {
        bench.meter.sample(now * 12_500);
        said.extend(bench.hear(now * 12_500));
    }
    said.extend(bench.ask(&Message::Stop, 100_000));
    let told = |fault: Fault| {
        said.iter().filter(move |said| matches!(said, Message::Error { code, .. } if *code == fault))
    };
    assert_eq!((told(Fault::Sensor).count(), told(Fault::Overrun).count()), (2, 1));
    let batches = samples(&said);
    assert_eq!(batches.iter().map(|batch| (batch.index, batch.len())).collect::<Vec<_>>(), [(0, 2), (4, 1)]);
    assert!(matches!(said.last(), Some(Message::Stopped { samples: 5, lost: 2, .. })), "{said:?}");
}

#[test]
fn what_ended_the_boot_before_is_told_behind_the_hello() {
    let text = |text: &str| text.try_into().unwrap();
    let identity = Identity { name: text("meter"), serial: text("7"), boot: 99, tick_hz: TICK_HZ };
    let mut meter = Meter::new(identity, Synthetic::new(TICK_HZ, 1));
    meter.confess(41, "panicked");
    let bytes: Vec<u8> = std::iter::from_fn(|| meter.next_byte(0)).collect();
    let (mut decoder, mut rest) = (Decoder::new(), &bytes[..]);
    assert!(matches!(Message::read(&decoder.next(&mut rest).unwrap()), Ok(Message::Hello(_))));
    let said = Message::read(&decoder.next(&mut rest).unwrap()).unwrap();
    assert!(matches!(said, Message::Error { code: Fault::State, detail: 41, .. }), "{said:?}");
}
