//! An emulated link between real sockets.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]
#![expect(clippy::print_stdout, reason = "what was measured stands beside what theory says")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use offramp_offload::link::{Change, Ending, Event, Link, Profile, Record, Shape, When};
use proptest::prelude::*;
use tokio::runtime::Runtime;

const MS: Duration = Duration::from_millis(1);
/// Long enough for whatever must come, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(10);

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn start(runtime: &Runtime, profile: &Profile, upstream: SocketAddr) -> Link {
    Link::start(profile, upstream, runtime.handle(), |_| ()).unwrap()
}

/// A server that gives its connections to the test.
fn server() -> (SocketAddr, Receiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (give, connections) = channel();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let Ok(connection) = connection else { continue };
            connection.set_read_timeout(Some(PATIENCE)).unwrap();
            connection.set_nodelay(true).unwrap();
            if give.send(connection).is_err() {
                return;
            }
        }
    });
    (address, connections)
}

fn connect(link: &Link) -> TcpStream {
    let client = TcpStream::connect(link.address()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.set_nodelay(true).unwrap();
    client
}

fn pair(link: &Link, connections: &Receiver<TcpStream>) -> (TcpStream, TcpStream) {
    let client = connect(link);
    (client, connections.recv_timeout(PATIENCE).unwrap())
}

fn receive(from: &mut TcpStream, bytes: usize) -> Vec<u8> {
    let mut received = vec![0; bytes];
    from.read_exact(&mut received).unwrap();
    received
}

/// Nothing comes for a while.
fn is_silent(from: &mut TcpStream) -> bool {
    from.set_read_timeout(Some(100 * MS)).unwrap();
    let silent = matches!(from.read(&mut [0]), Err(late) if matches!(late.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    from.set_read_timeout(Some(PATIENCE)).unwrap();
    silent
}

/// The next read says that the connection was reset.
fn is_reset(from: &mut TcpStream) -> bool {
    matches!(from.read(&mut [0; 64]), Err(reset) if reset.kind() == ErrorKind::ConnectionReset)
}

fn at(at_s: f64, change: Change) -> Event {
    Event { when: When::At(at_s), change }
}

/// How long `bytes` take to the server and one byte back.
fn exchange(client: &mut TcpStream, server: &mut TcpStream, bytes: usize) -> Duration {
    std::thread::scope(|scope| {
        let answering = scope.spawn(|| {
            receive(server, bytes);
            server.write_all(&[1]).unwrap();
        });
        let started = Instant::now();
        client.write_all(&vec![7; bytes]).unwrap();
        receive(client, 1);
        let took = started.elapsed();
        answering.join().unwrap();
        took
    })
}

#[test]
fn transfers_take_what_rate_and_delay_say_within_a_tenth() {
    let runtime = runtime();
    let (address, connections) = server();
    for (rate_mbps, bytes) in [(1, 8 << 10), (10, 64 << 10), (100, 512 << 10)] {
        for delay in [5 * MS, 20 * MS] {
            let link = start(&runtime, &Profile::symmetric(rate_mbps * 1_000_000, delay), address);
            let (mut client, mut server) = pair(&link, &connections);
            // The first bytes wait for the connection's set-up.
            exchange(&mut client, &mut server, 1);
            let theory = Shape::new(rate_mbps * 1_000_000, delay).transfer(bytes) + delay;
            let mut took: Vec<Duration> = (0..7).map(|_| exchange(&mut client, &mut server, bytes)).collect();
            took.sort();
            let (fastest, median) = (took[0], took[3]);
            println!("{rate_mbps} Mbit/s, {delay:?}, {bytes} bytes: {median:?}, theory {theory:?}");
            // Reading starts while writing goes on; the last byte is never early.
            assert!(fastest >= theory - MS, "{fastest:?} before {theory:?}");
            assert!(median <= theory.mul_f64(1.1), "{median:?} for {theory:?}");
        }
    }
}

#[test]
fn a_connection_costs_one_round_trip_before_its_first_byte() {
    let runtime = runtime();
    let (address, connections) = server();
    let link = start(&runtime, &Profile::symmetric(1_000_000_000, 40 * MS), address);
    let started = Instant::now();
    let (mut client, mut server) = pair(&link, &connections);
    client.write_all(&[1]).unwrap();
    receive(&mut server, 1);
    assert!(started.elapsed() >= 120 * MS, "{:?}", started.elapsed());
    assert!(exchange(&mut client, &mut server, 1) < 120 * MS);
}

#[test]
fn connections_share_one_rate() {
    let runtime = runtime();
    let (address, connections) = server();
    let link = start(&runtime, &Profile::symmetric(10_000_000, Duration::ZERO), address);
    let pairs = [pair(&link, &connections), pair(&link, &connections)];
    let started = Instant::now();
    std::thread::scope(|scope| {
        for (mut client, mut server) in pairs {
            scope.spawn(move || exchange(&mut client, &mut server, 125_000));
        }
    });
    let took = started.elapsed();
    assert!(took >= 195 * MS && took < 240 * MS, "{took:?} for twice 100 ms");
}

#[test]
fn directions_are_their_own() {
    let runtime = runtime();
    let (address, connections) = server();
    let profile = Profile { up: Shape::new(1_000_000, Duration::ZERO), ..Profile::default() };
    let link = start(&runtime, &profile, address);
    let (mut client, mut server) = pair(&link, &connections);
    let started = Instant::now();
    server.write_all(&[1; 12_500]).unwrap();
    receive(&mut client, 12_500);
    assert!(started.elapsed() < 50 * MS, "{:?}", started.elapsed());
    let started = Instant::now();
    client.write_all(&[1; 12_500]).unwrap();
    receive(&mut server, 12_500);
    assert!(started.elapsed() >= 95 * MS, "{:?}", started.elapsed());
}

#[test]
fn a_black_hole_accepts_and_delivers_nothing_and_what_it_cut_stays_dead() {
    let runtime = runtime();
    let (address, connections) = server();
    let link = start(&runtime, &Profile::default(), address);
    let (mut client, mut server) = pair(&link, &connections);
    let (mut idle, mut idle_server) = pair(&link, &connections);
    exchange(&mut client, &mut server, 10);
    link.control().apply(Change::Blackhole).unwrap();
    client.write_all(&[1; 10]).unwrap();
    assert!(is_silent(&mut server));
    let mut late = connect(&link);
    late.write_all(&[1; 10]).unwrap();
    assert!(connections.recv_timeout(100 * MS).is_err(), "the server saw a connection through a black hole");

    link.control().apply(Change::Ok).unwrap();
    client.write_all(&[1; 10]).unwrap();
    assert!(is_silent(&mut server), "bytes after lost ones were delivered");
    exchange(&mut idle, &mut idle_server, 10);
    let (mut fresh, mut fresh_server) = pair(&link, &connections);
    exchange(&mut fresh, &mut fresh_server, 10);
    assert_eq!(link.counters().up.lost_bytes, 20);
    link.control().apply(Change::Reset).unwrap();
    assert!(is_reset(&mut client) && is_reset(&mut late));
}

#[test]
fn a_reset_reaches_both_ends() {
    let runtime = runtime();
    let (address, connections) = server();
    let link = start(&runtime, &Profile::symmetric(1_000_000, 20 * MS), address);
    let (mut client, mut server) = pair(&link, &connections);
    exchange(&mut client, &mut server, 10);
    client.write_all(&[1; 1000]).unwrap();
    link.control().apply(Change::Reset).unwrap();
    assert!(is_reset(&mut client) && is_reset(&mut server));
    assert_eq!(link.counters().resets, 1);
    let (mut fresh, mut fresh_server) = pair(&link, &connections);
    exchange(&mut fresh, &mut fresh_server, 10);
}

#[test]
fn connections_are_refused_and_then_accepted_on_the_same_port() {
    let runtime = runtime();
    let (address, connections) = server();
    let profile = Profile { events: vec![at(0.0, Change::Refuse)], ..Profile::default() };
    let link = start(&runtime, &profile, address);
    let until = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect(link.address()) {
            Err(refused) if refused.kind() == ErrorKind::ConnectionRefused => break,
            _ => assert!(Instant::now() < until, "never refused"),
        }
    }
    link.control().apply(Change::Ok).unwrap();
    let client = loop {
        match TcpStream::connect(link.address()) {
            Ok(client) => break client,
            Err(_) => assert!(Instant::now() < until, "never accepted again"),
        }
    };
    let mut client = client;
    let mut server = connections.recv_timeout(PATIENCE).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    exchange(&mut client, &mut server, 10);
}

#[test]
fn a_server_that_is_not_there_is_a_reset() {
    let runtime = runtime();
    let absent = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let link = start(&runtime, &Profile::default(), absent);
    assert!(is_reset(&mut connect(&link)));
}

#[test]
fn a_stall_delays_and_loses_nothing() {
    let runtime = runtime();
    let (address, connections) = server();
    let link = start(&runtime, &Profile::default(), address);
    let (mut client, mut server) = pair(&link, &connections);
    exchange(&mut client, &mut server, 10);
    link.control().apply(Change::Stall { for_s: 0.15 }).unwrap();
    let took = exchange(&mut client, &mut server, 10_000);
    assert!(took >= 149 * MS, "{took:?}");
    assert!(exchange(&mut client, &mut server, 10) < 149 * MS);
}

#[test]
fn a_new_shape_holds_from_the_next_packet_on() {
    let runtime = runtime();
    let (address, connections) = server();
    let link = start(&runtime, &Profile::symmetric(100_000_000, MS), address);
    let (mut client, mut server) = pair(&link, &connections);
    exchange(&mut client, &mut server, 10);
    let slow = Shape::new(1_000_000, MS);
    link.control().apply(Change::Shape { up: Some(slow), down: None }).unwrap();
    let took = exchange(&mut client, &mut server, 25_000);
    assert!(took >= 200 * MS && took < 240 * MS, "{took:?} for 202 ms");
}

#[test]
fn the_end_of_one_direction_leaves_the_other_open() {
    let runtime = runtime();
    let (address, connections) = server();
    let link = start(&runtime, &Profile::symmetric(10_000_000, 5 * MS), address);
    let (mut client, mut server) = pair(&link, &connections);
    client.write_all(b"question").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut question = Vec::new();
    server.read_to_end(&mut question).unwrap();
    assert_eq!(question, b"question");
    server.write_all(b"answer").unwrap();
    drop(server);
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"answer");
}

#[test]
fn the_server_is_given_exactly_the_bytes_before_a_scripted_reset() {
    let runtime = runtime();
    let (address, connections) = server();
    let profile = Profile {
        events: vec![Event { when: When::AfterBytes(1234), change: Change::Reset }],
        ..Profile::symmetric(10_000_000, 5 * MS)
    };
    let link = start(&runtime, &profile, address);
    let (mut client, mut server) = pair(&link, &connections);
    client.write_all(&[1; 5000]).unwrap();
    receive(&mut server, 1234);
    assert!(is_reset(&mut server) && is_reset(&mut client));
    assert_eq!(link.counters().up.bytes, 1234);
}

#[test]
fn a_script_counts_requests() {
    let runtime = runtime();
    let (address, connections) = server();
    let profile = Profile {
        events: vec![Event { when: When::AfterRequests(2), change: Change::Blackhole }],
        ..Profile::default()
    };
    let link = start(&runtime, &profile, address);
    let (mut client, mut server) = pair(&link, &connections);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    client.write_all(preface).unwrap();
    receive(&mut server, preface.len());
    // HEADERS of 4 bytes, then DATA of 6.
    let request =
        [&[0, 0, 4, 1, 4, 0, 0, 0, 1, 9, 9, 9, 9][..], &[0, 0, 6, 0, 1, 0, 0, 0, 1], &[7; 6]].concat();
    for _ in 0..2 {
        client.write_all(&request).unwrap();
        assert_eq!(receive(&mut server, request.len()), request);
    }
    client.write_all(&request).unwrap();
    // The head of the frame that says that there is a request has passed.
    receive(&mut server, 9);
    assert!(is_silent(&mut server));
    assert_eq!(link.counters().requests, 3);
}

#[test]
fn a_trace_is_a_script_that_does_the_same_again() {
    let runtime = runtime();
    let (address, connections) = server();
    let profile = Profile {
        seed: 11,
        events: vec![
            Event { when: When::AfterBytes(100), change: Change::Stall { for_s: 0.02 } },
            at(0.05, Change::Shape { up: Some(Shape::new(5_000_000, 2 * MS)), down: None }),
        ],
        ..Profile::symmetric(20_000_000, MS)
    };
    let played = |profile: &Profile, by_hand: bool| {
        let records = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&records);
        let record = move |record: &Record| sink.lock().unwrap().push(record.clone());
        let link = Link::start(profile, address, runtime.handle(), record).unwrap();
        let (mut client, mut server) = pair(&link, &connections);
        exchange(&mut client, &mut server, 200);
        std::thread::sleep(100 * MS);
        if by_hand {
            link.control().apply(Change::Reset).unwrap();
        }
        assert!(is_reset(&mut client));
        let until = Instant::now() + PATIENCE;
        while !matches!(records.lock().unwrap().last(), Some(Record::Ended { .. })) {
            assert!(Instant::now() < until, "no end was recorded");
            std::thread::sleep(MS);
        }
        let records = records.lock().unwrap().clone();
        let lines: Vec<String> =
            records.iter().map(|record| serde_json::to_string(record).unwrap()).collect();
        (records, lines.join("\n"))
    };
    let (records, trace) = played(&profile, true);
    let ended = records.iter().any(|record| {
        matches!(
            record,
            Record::Ended { connection: 0, how: Ending::Reset, up_bytes: 200, down_bytes: 1, .. }
        )
    });
    assert!(ended, "{trace}");
    let again = Profile::from_trace(&trace).unwrap();
    assert_eq!((again.seed, again.up, again.down), (11, profile.up, profile.down));
    assert_eq!(again.events.len(), 3, "{trace}");
    let (_, second) = played(&again, false);
    assert_eq!(Profile::from_trace(&second).unwrap(), again);
}

fn changes() -> impl Strategy<Value = Event> {
    let when = prop_oneof![(0.0..0.06).prop_map(When::At), (0..40_000_u64).prop_map(When::AfterBytes),];
    let shape = (0.0..8.0, prop::option::of(4_000_000..200_000_000_u64), 0.0..2.0, 1..20_000_usize);
    let shape = shape.prop_map(|(delay_ms, rate_bps, jitter_ms, queue_bytes)| Shape {
        delay_ms,
        rate_bps,
        jitter_ms,
        queue_bytes,
    });
    let change = prop_oneof![
        3 => (prop::option::of(shape.clone()), shape).prop_map(|(up, down)| Change::Shape { up, down: Some(down) }),
        1 => Just(Change::Blackhole),
        1 => Just(Change::Ok),
        1 => Just(Change::Reset),
        2 => (0.0..0.02).prop_map(|for_s| Change::Stall { for_s }),
    ];
    (when, change).prop_map(|(when, change)| Event { when, change })
}

/// What comes until the connection ends, nothing more comes, or it is enough.
fn receive_at_most(from: &mut TcpStream, bytes: usize) -> Vec<u8> {
    let mut received = Vec::new();
    let mut buffer = vec![0; 8192];
    while received.len() < bytes {
        match from.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(read) => received.extend_from_slice(&buffer[..read]),
        }
    }
    received
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_happens_what_arrives_is_the_beginning_of_what_was_sent(
        seed in any::<u64>(),
        events in prop::collection::vec(changes(), 0..5),
    ) {
        let runtime = runtime();
        let (address, connections) = server();
        let lossless = !events.iter().any(|event| matches!(event.change, Change::Blackhole | Change::Reset));
        let link = start(&runtime, &Profile { seed, events, ..Profile::default() }, address);
        let Ok(mut client) = TcpStream::connect(link.address()) else { return Ok(()) };
        let sent: Vec<u8> = (0..60_000_u32).map(|byte| (byte % 251) as u8).collect();
        // A script that had a black hole or a reset before the connection leaves the server without one.
        let Ok(mut server) = connections.recv_timeout(200 * MS) else {
            prop_assert!(!lossless);
            return Ok(());
        };
        let wait = if lossless { PATIENCE } else { 200 * MS };
        let received = std::thread::scope(|scope| {
            for end in [&client, &server] {
                end.set_write_timeout(Some(wait)).unwrap();
                end.set_read_timeout(Some(wait)).unwrap();
                let (mut end, sent) = (end.try_clone().unwrap(), &sent);
                scope.spawn(move || end.write_all(sent).is_ok());
            }
            [&mut client, &mut server].map(|end| scope.spawn(|| receive_at_most(end, sent.len())))
                .map(|receiving| receiving.join().unwrap())
        });
        for received in received {
            prop_assert!(sent.starts_with(&received));
            prop_assert!(!lossless || received.len() == sent.len(), "{} of {}", received.len(), sent.len());
        }
    }
}
