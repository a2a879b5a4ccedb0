//! Images that a well-behaved peer completes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use offramp_offload::client::{Address, Client, Standing, State};
use offramp_offload::placement::{Candidate, End, Observed, Place};
use offramp_runtime::executor::LocalCompletion;
use offramp_runtime::remote::{Answered, By, Cut, Placement};

use crate::bench::{PATIENCE, client, config, here, run, table, until};
use crate::fake::{Does, Fake, Setup, models};

#[test]
fn a_peer_completes_images_and_they_get_the_answers_that_the_device_would_give() {
    let table = table(20);
    let fake = Fake::start(Setup::of(&table));
    for cut in 0..3 {
        let mut client = client(config(vec![fake.address()]), &table, cut);
        assert!(client.wait_for_peer(PATIENCE));
        let said = run(&table, &mut client, 0..20, PATIENCE, LocalCompletion::InTime);
        for (image, said) in said.iter().enumerate() {
            assert_eq!((said.exit, said.predicted), here(&table, image));
            assert_eq!(said.by, Some(By::Peer));
        }
        let summary = client.summary();
        assert_eq!((summary.cuts[cut].images, summary.cuts[cut].by_peer), (20, 20));
        let [peer] = &summary.peers[..] else { panic!("one peer") };
        assert_eq!((peer.state, peer.requests.answered, peer.requests.total()), (State::Closed, 20, 20));
        assert_eq!((peer.connections, peer.handshakes.held), (1, 1));
        assert!(peer.models.iter().all(|model| model.standing == Standing::Proven));
        assert!(
            peer.round_trip_s.unwrap().p50 > 0.0 && peer.sent_bytes > 20 * 4 && peer.received_bytes > 20 * 8
        );
        assert_eq!((summary.retries, summary.declined), (0, Default::default()));
    }
    assert_eq!((fake.requests(), fake.canaries()), (60, 9));
}

/// Keeps all images, and sends a copy of each at one cut.
struct Probing {
    ended: Arc<AtomicUsize>,
}

impl Place for Probing {
    fn place(&mut self, _: &Cut<'_>, _: &[Candidate], _: Instant) -> Placement {
        Placement::Local
    }

    fn probe(&mut self, cut: &Cut<'_>, _: &[Candidate], _: Instant) -> bool {
        cut.segment == 1
    }

    fn observe(&mut self, observed: &Observed) {
        let answered = observed.cut == 1 && matches!(observed.end, End::Answer { .. });
        self.ended.fetch_add(usize::from(answered), Ordering::Relaxed);
    }

    fn answered(&mut self, _: &Answered) {}
}

#[test]
fn probes_and_known_questions_are_observed_and_no_image_waits_for_them() {
    let table = table(8);
    let fake = Fake::start(Setup::of(&table));
    let ended = Arc::new(AtomicUsize::new(0));
    let place = Box::new(Probing { ended: Arc::clone(&ended) });
    let mut client =
        Client::connect(config(vec![fake.address()]), models(&table, "0123456789ab"), place).unwrap();
    assert!(client.wait_for_peer(PATIENCE));
    let said = run(&table, &mut client, 0..7, PATIENCE, LocalCompletion::InTime);
    for (image, said) in said.iter().enumerate() {
        assert_eq!(
            (said.exit, said.predicted, said.by),
            (here(&table, image).0, here(&table, image).1, None)
        );
    }
    let summary = until(&client, |summary| summary.peers[0].requests.answered == 7);
    assert_eq!((summary.cuts[1].probes, summary.cuts[1].images), (7, 0));
    // What ended since is told before the next image.
    run(&table, &mut client, 7..8, PATIENCE, LocalCompletion::InTime);
    assert!(ended.load(Ordering::Relaxed) >= 8, "a known question and seven copies");
}

/// Sends at one cut, and keeps all that it is told.
struct Listening {
    told: Arc<Mutex<Vec<Observed>>>,
}

impl Place for Listening {
    fn place(&mut self, cut: &Cut<'_>, _: &[Candidate], _: Instant) -> Placement {
        if cut.segment == 1 { Placement::Offload } else { Placement::Local }
    }

    fn observe(&mut self, observed: &Observed) {
        self.told.lock().unwrap().push(*observed);
    }

    fn answered(&mut self, _: &Answered) {}
}

#[test]
fn a_placement_learns_of_the_peer_that_is_asked_next_and_of_no_other() {
    let table = table(12);
    let first = Fake::start(Setup::of(&table));
    let port = Fake::start(Setup::of(&table)).stop();
    let told = Arc::new(Mutex::default());
    let peers = vec![first.address(), Address::plain("127.0.0.1", port)];
    let place = Box::new(Listening { told: Arc::clone(&told) });
    let mut client = Client::connect(config(peers), models(&table, "0123456789ab"), place).unwrap();
    until(&client, |summary| summary.peers[0].state == State::Closed);
    // Far away: had the placement heard of its known questions, it would think so of the first.
    let far = Does::Answers { after_ms: 30 };
    let second = Fake::start_on(port, Setup { request: far, canary: far, ..Setup::of(&table) }, None);
    until(&client, |summary| summary.peers[1].state == State::Closed);
    let ask = |client: &mut Client, images| {
        let asked = Instant::now();
        let said = run(&table, client, images, PATIENCE, LocalCompletion::InTime);
        assert!(said.iter().all(|said| said.by == Some(By::Peer)));
        let told: Vec<Observed> = std::mem::take(&mut *told.lock().unwrap());
        let took = told.iter().filter_map(|observed| match observed.end {
            End::Answer { took, .. } => Some((took, observed.sent >= asked)),
            _ => None,
        });
        took.collect::<Vec<_>>()
    };
    let (near, known): (Vec<_>, Vec<_>) = ask(&mut client, 0..4).into_iter().partition(|(_, asked)| *asked);
    assert_eq!((known.len(), near.len()), (3, 4), "three known questions of the first peer alone");
    assert!(known.iter().all(|(took, _)| *took < Duration::from_millis(30)), "{known:?}");
    // From here on it is the second that is asked.
    first.stop();
    until(&client, |summary| summary.peers[0].state != State::Closed);
    let far = ask(&mut client, 4..8);
    assert!(far.len() >= 4 && far.iter().all(|(took, _)| *took >= Duration::from_millis(30)), "{far:?}");
    assert_eq!(second.requests(), 4);
}

#[test]
fn typed_answers_are_as_good_as_raw_ones() {
    let table = table(4);
    let fake =
        Fake::start(Setup { request: Does::AnswersTyped, canary: Does::AnswersTyped, ..Setup::of(&table) });
    let mut client = client(config(vec![fake.address()]), &table, 1);
    assert!(client.wait_for_peer(PATIENCE));
    let said = run(&table, &mut client, 0..4, PATIENCE, LocalCompletion::InTime);
    assert!(said.iter().all(|said| said.by == Some(By::Peer)));
}

#[test]
fn the_first_usable_peer_of_the_list_is_asked() {
    let table = table(6);
    let (first, second) = (Fake::start(Setup::of(&table)), Fake::start(Setup::of(&table)));
    let mut client = client(config(vec![first.address(), second.address()]), &table, 1);
    until(&client, |summary| summary.peers.iter().all(|peer| peer.state == State::Closed));
    run(&table, &mut client, 0..3, PATIENCE, LocalCompletion::InTime);
    assert_eq!((first.requests(), second.requests()), (3, 0));
    first.stop();
    until(&client, |summary| summary.peers[0].state != State::Closed);
    let said = run(&table, &mut client, 3..6, PATIENCE, LocalCompletion::InTime);
    assert!(said.iter().all(|said| said.by == Some(By::Peer)));
    assert_eq!(second.requests(), 3);
}

#[test]
fn our_own_server_is_connected_to_with_pings_while_idle() {
    let table = table(1);
    let fake = Fake::start(Setup { ours: true, ..Setup::of(&table) });
    let mut client = client(config(vec![fake.address()]), &table, 1);
    assert!(client.wait_for_peer(PATIENCE));
    // Pings are settled when a connection is made: once to learn whose server it is, once to stay.
    assert_eq!((client.summary().peers[0].connections, fake.accepted()), (2, 2));
    assert_eq!(fake.canaries(), 3);
    fake.cut();
    until(&client, |summary| summary.peers[0].handshakes.held == 2);
    assert_eq!(client.summary().peers[0].connections, 3);
}

#[test]
fn without_a_peer_images_stay_and_do_not_wait() {
    let table = table(3);
    let mut client = client(config(vec![crate::fake::nobody()]), &table, 1);
    assert!(!client.wait_for_peer(PATIENCE));
    let said = run(&table, &mut client, 0..3, Duration::from_secs(5), LocalCompletion::InTime);
    for (image, said) in said.iter().enumerate() {
        assert_eq!(
            (said.exit, said.predicted, said.by),
            (here(&table, image).0, here(&table, image).1, None)
        );
        assert!(said.latency < Duration::from_secs(1), "{:?}", said.latency);
    }
    let summary = client.summary();
    assert_eq!((summary.declined.no_peer, summary.peers[0].requests.total()), (3, 0));
}
