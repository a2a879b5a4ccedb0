//! Every row of the failure table: what the peer does, how it is classed, where the peer stands then; every image keeps its answer.

use std::time::{Duration, Instant};

use offramp_offload::client::{Address, Client, Outcomes, Standing, State, Summary};
use offramp_runtime::executor::LocalCompletion;
use offramp_runtime::remote::By;

use crate::bench::{PATIENCE, client, config, here, run, run_batches, table, until, until_usable};
use crate::fake::{Does, Fake, PROMPT, Setup, nobody};
use crate::scripted::Table;

/// A deadline that is waited for.
const DEADLINE: Duration = Duration::from_millis(150);
/// A deadline that nobody waits for: what fails is known long before.
const FAR: Duration = Duration::from_secs(10);
/// How much later than its deadline an answer may be on a machine that is busy with other tests: waking a thread, deciding.
const MARGIN: Duration = Duration::from_millis(100);

fn ready(setup: Setup) -> (Table, Fake, Client) {
    let table = setup.table.clone();
    let fake = Fake::start(setup);
    let mut client = client(config(vec![fake.address()]), &table, 1);
    assert!(client.wait_for_peer(PATIENCE));
    (table, fake, client)
}

/// Runs images and holds them to their answers; gives who answered.
#[track_caller]
fn answers(table: &Table, client: &mut Client, images: std::ops::Range<usize>) -> Vec<Option<By>> {
    let said = run(table, client, images.clone(), FAR, LocalCompletion::InTime);
    assert_eq!(said.len(), images.len());
    for (image, said) in images.zip(&said) {
        assert_eq!((said.exit, said.predicted), here(table, image), "image {image}");
        assert!(said.latency < FAR / 2, "image {image} took {:?}", said.latency);
    }
    said.iter().map(|said| said.by).collect()
}

/// The same of a peer that does not answer, by a deadline that is waited for.
#[track_caller]
fn answers_in_time(
    table: &Table,
    client: &mut Client,
    images: std::ops::Range<usize>,
    completion: LocalCompletion,
) -> Vec<Option<By>> {
    let said = run(table, client, images.clone(), DEADLINE, completion);
    assert_eq!(said.len(), images.len());
    for (image, said) in images.zip(&said) {
        if said.by != Some(By::Degraded) {
            assert_eq!((said.exit, said.predicted), here(table, image), "image {image}");
        }
        assert!(said.latency < DEADLINE + MARGIN, "image {image} took {:?}", said.latency);
    }
    said.iter().map(|said| said.by).collect()
}

/// What a peer comes to that behaves until it is proven and then does this with every request.
#[track_caller]
fn after(does: Does, images: usize, ends: impl Fn(&Summary) -> bool) -> Summary {
    let (table, _fake, mut client) = ready(Setup { request: does, ..Setup::of(&table(images)) });
    let by = answers(&table, &mut client, 0..images);
    assert!(by.iter().all(|by| *by != Some(By::Peer)), "{by:?}");
    until(&client, ends)
}

fn requests(summary: &Summary) -> Outcomes {
    summary.peers[0].requests
}

fn only(total: u64, outcomes: Outcomes) -> Outcomes {
    assert_eq!(outcomes.total(), total);
    outcomes
}

#[test]
fn a_peer_that_is_absent_is_tried_again_until_it_comes() {
    let table = table(8);
    let address = nobody();
    let mut client = client(config(vec![address.clone()]), &table, 1);
    let summary = until(&client, |summary| summary.peers[0].openings >= 2);
    assert_eq!(summary.peers[0].connections, 0);
    assert!(summary.peers[0].last_error.as_ref().unwrap().contains("onnection refused"), "{summary:?}");
    assert_eq!(answers(&table, &mut client, 0..4), [None; 4]);
    let _fake = Fake::start_on(address.host_and_port().1, Setup::of(&table), None);
    until(&client, |summary| summary.peers[0].state == State::Closed);
    assert_eq!(answers(&table, &mut client, 4..8), [Some(By::Peer); 4]);
}

#[test]
fn a_peer_killed_in_the_middle_of_a_request_costs_no_answer_and_is_found_again() {
    let (table, fake, mut client) = ready(Setup { request: Does::Dies, ..Setup::of(&table(9)) });
    assert_eq!(answers(&table, &mut client, 0..1), [Some(By::Device)]);
    let summary = until(&client, |summary| requests(summary).total() == 1);
    assert_eq!(requests(&summary), Outcomes { link: 1, ..Outcomes::default() });
    let port = fake.stop();
    let by = answers(&table, &mut client, 1..4);
    assert!(by.iter().all(|by| *by != Some(By::Peer)));
    until(&client, |summary| summary.peers[0].state == State::Open);
    let _fake = Fake::start_on(port, Setup::of(&table), None);
    until(&client, |summary| summary.peers[0].state == State::Closed);
    assert_eq!(answers(&table, &mut client, 4..9), [Some(By::Peer); 5]);
}

#[test]
fn a_link_that_breaks_before_an_answer_is_made_good_by_another_peer() {
    let table = table(8);
    let first = Fake::start(Setup { request: Does::Cuts, ..Setup::of(&table) });
    let second = Fake::start(Setup::of(&table));
    let mut client = client(config(vec![first.address(), second.address()]), &table, 1);
    until(&client, |summary| summary.peers.iter().all(|peer| peer.state == State::Closed));
    assert_eq!(answers(&table, &mut client, 0..1), [Some(By::Peer)]);
    let summary = client.summary();
    assert_eq!((summary.retries, requests(&summary).link), (1, 1));
    assert_eq!(summary.peers[1].requests, Outcomes { answered: 1, ..Outcomes::default() });
    // The share of retries is used up: the device makes the next failure good.
    until(&client, |summary| summary.peers[0].state == State::Closed);
    assert_eq!(answers(&table, &mut client, 1..2), [Some(By::Device)]);
    assert_eq!(client.summary().retries, 1);
}

#[test]
fn a_peer_that_hangs_is_left_alone_after_three_images() {
    let table = table(6);
    let fake = Fake::start(Setup { request: Does::Hangs, ..Setup::of(&table) });
    let mut config = config(vec![fake.address()]);
    (config.breaker.open, config.breaker.longest) = (PATIENCE, PATIENCE);
    let mut client = client(config, &table, 1);
    assert!(client.wait_for_peer(PATIENCE));
    // Whether the device was in time is the executor's; it was not answered by the peer.
    let by = answers_in_time(&table, &mut client, 0..3, LocalCompletion::InTime);
    assert!(by.iter().all(|by| matches!(by, Some(By::Device | By::Degraded))), "{by:?}");
    let summary = until(&client, |summary| summary.peers[0].state == State::Open);
    // Which of the executor's and the request's clock was first is left open.
    let Outcomes { abandoned, deadline, .. } = only(3, requests(&summary));
    assert_eq!(abandoned + deadline, 3);
    assert_eq!((summary.cuts[1].images, summary.peers[0].openings), (3, 1));
    assert_eq!(answers_in_time(&table, &mut client, 3..6, LocalCompletion::InTime), [None; 3]);
    assert_eq!((client.summary().declined.no_peer, fake.requests()), (3, 3));
}

#[test]
fn a_device_that_cannot_complete_answers_with_the_best_exit_so_far_in_time() {
    for does in [Does::Hangs, Does::Stalls] {
        let (table, _fake, mut client) = ready(Setup { request: does, ..Setup::of(&table(2)) });
        let by = answers_in_time(&table, &mut client, 0..2, LocalCompletion::Never);
        assert_eq!(by, [Some(By::Degraded); 2]);
        assert_eq!(client.summary().cuts[1].degraded, 2);
    }
}

#[test]
fn a_peer_is_told_what_is_left_of_the_deadline_and_when_nobody_waits_any_more() {
    let (table, fake, mut client) = ready(Setup { request: Does::Hangs, ..Setup::of(&table(1)) });
    answers_in_time(&table, &mut client, 0..1, LocalCompletion::InTime);
    assert!(fake.left() <= DEADLINE && fake.left() > DEADLINE / 2, "{:?}", fake.left());
    until(&client, |_| fake.cancelled() == 1);
}

#[test]
fn a_slow_peer_that_is_in_time_is_waited_for() {
    let (table, _fake, mut client) =
        ready(Setup { request: Does::Answers { after_ms: 30 }, ..Setup::of(&table(4)) });
    assert_eq!(answers(&table, &mut client, 0..4), [Some(By::Peer); 4]);
    assert!(client.summary().peers[0].round_trip_s.unwrap().p50 >= 0.03);
}

#[test]
fn a_peer_that_hung_and_answers_again_is_used_again() {
    let (table, fake, mut client) = ready(Setup { request: Does::Hangs, ..Setup::of(&table(8)) });
    answers_in_time(&table, &mut client, 0..3, LocalCompletion::InTime);
    until(&client, |summary| summary.peers[0].openings == 1);
    fake.change(|setup| setup.request = PROMPT);
    // The proof is a known question, not a user's.
    until(&client, |summary| summary.peers[0].state == State::Closed);
    assert_eq!(answers(&table, &mut client, 3..8), [Some(By::Peer); 5]);
}

#[test]
fn a_peer_that_hangs_while_it_should_prove_itself_is_not_used() {
    for does in [Does::Hangs, Does::Stalls] {
        let table = table(3);
        let fake = Fake::start(Setup { canary: does, ..Setup::of(&table) });
        let mut config = config(vec![fake.address()]);
        config.handshake = Duration::from_millis(50);
        let mut client = client(config, &table, 1);
        assert!(!client.wait_for_peer(PATIENCE));
        let summary = until(&client, |summary| summary.peers[0].openings >= 1);
        let error = summary.peers[0].last_error.as_ref().unwrap();
        assert!(error.contains("does not answer a known question within "), "{does:?}: {summary:?}");
        assert_eq!((answers(&table, &mut client, 0..3), fake.requests()), (vec![None; 3], 0));
    }
}

#[test]
fn a_link_too_slow_for_one_tail_serves_those_with_less_to_send() {
    let table = table(3);
    let fake = Fake::start(Setup { canary: Does::HangsFrom { cut: 1 }, ..Setup::of(&table) });
    let mut config = config(vec![fake.address()]);
    config.handshake = Duration::from_millis(100);
    let mut client = client(config, &table, 0);
    assert!(client.wait_for_peer(PATIENCE));
    let standing: Vec<_> = client.summary().peers[0].models.iter().map(|model| model.standing).collect();
    assert_eq!(standing, [Standing::Proven, Standing::Slow, Standing::Slow]);
    assert_eq!(fake.canaries(), 2, "what has as much to send as one that hangs is not asked");
    assert_eq!(answers(&table, &mut client, 0..3), [Some(By::Peer); 3]);
}

#[test]
fn a_peer_that_is_busy_when_it_is_asked_again_about_a_tail_is_used_for_the_others_as_before() {
    let table = table(6);
    let fake = Fake::start(Setup { canary: Does::HangsFrom { cut: 1 }, ..Setup::of(&table) });
    let mut config = config(vec![fake.address()]);
    config.handshake = Duration::from_millis(100);
    let mut client = client(config, &table, 0);
    assert!(client.wait_for_peer(PATIENCE));
    assert_eq!(answers(&table, &mut client, 0..2), [Some(By::Peer); 2]);
    let asked = fake.canaries();
    fake.change(|setup| setup.canary = Does::IsOverloaded { retry_after_ms: Some(1) });
    // Asked again, and again: once would be forgotten.
    until(&client, |_| fake.canaries() >= asked + 2);
    // It is spared for a millisecond whenever it says that it is busy, which may be just now.
    let used = (0..50).any(|_| {
        until_usable(&mut client);
        answers(&table, &mut client, 2..4) == [Some(By::Peer); 2]
    });
    assert!(used, "{:?}", client.summary());
    // And when it has time, the others are proven.
    fake.change(|setup| setup.canary = PROMPT);
    until(&client, |summary| summary.peers[0].models.iter().all(|model| model.standing == Standing::Proven));
    assert_eq!(client.summary().peers[0].connections, 1);
}

#[test]
fn a_peer_that_refuses_for_good_is_looked_at_again_and_again_and_never_in_a_hurry() {
    let table = table(1);
    let fake = Fake::start(Setup { canary: Does::AnswersWrongly, ..Setup::of(&table) });
    let mut client = client(config(vec![fake.address()]), &table, 1);
    assert!(!client.wait_for_peer(PATIENCE));
    let begun = Instant::now();
    let summary = until(&client, |summary| summary.peers[0].handshakes.failed >= 4);
    assert_eq!(summary.peers[0].state, State::Disabled);
    // Three waits of 150 to 300 ms each.
    assert!(begun.elapsed() >= Duration::from_millis(400), "{:?}", begun.elapsed());
}

#[test]
fn an_overloaded_peer_is_spared_for_as_long_as_it_says() {
    let summary = after(Does::IsOverloaded { retry_after_ms: Some(60_000) }, 5, |_| true);
    assert_eq!(only(1, requests(&summary)).overload, 1);
    assert_eq!((summary.peers[0].state, summary.declined.no_peer), (State::Closed, 4));
    assert_eq!(summary.peers[0].openings, 0);
}

#[test]
fn a_peer_that_was_overloaded_is_used_again_without_a_new_proof() {
    let (table, fake, mut client) =
        ready(Setup { request: Does::IsOverloaded { retry_after_ms: Some(20) }, ..Setup::of(&table(3)) });
    answers(&table, &mut client, 0..1);
    fake.change(|setup| setup.request = PROMPT);
    until_usable(&mut client);
    assert_eq!(answers(&table, &mut client, 1..3), [Some(By::Peer); 2]);
    assert_eq!(client.summary().peers[0].handshakes.held, 1);
}

#[test]
fn a_full_queue_of_another_engine_is_overload_too() {
    let summary = after(Does::HasFullQueue, 1, |_| true);
    assert_eq!(only(1, requests(&summary)).overload, 1);
    assert_eq!(summary.peers[0].state, State::Closed);
}

#[test]
fn a_draining_peer_must_prove_itself_again() {
    for does in [Does::Drains, Does::Forgets] {
        let (table, fake, mut client) = ready(Setup { request: does, ..Setup::of(&table(4)) });
        assert_eq!(answers(&table, &mut client, 0..1), [Some(By::Device)]);
        assert_eq!(requests(&client.summary()), Outcomes { draining: 1, ..Outcomes::default() });
        fake.change(|setup| setup.request = PROMPT);
        let summary = until(&client, |summary| summary.peers[0].handshakes.held == 2);
        assert_eq!(summary.peers[0].connections, 2, "{does:?}");
        assert_eq!(answers(&table, &mut client, 1..4), [Some(By::Peer); 3]);
    }
}

#[test]
fn a_peer_that_restarts_with_another_bundle_is_never_asked() {
    let (table, fake, mut client) = ready(Setup::of(&table(6)));
    assert_eq!(answers(&table, &mut client, 0..1), [Some(By::Peer)]);
    let port = fake.stop();
    let other = Fake::start_on(port, Setup { digest: "ba9876543210", ..Setup::of(&table) }, None);
    let summary =
        until(&client, |summary| summary.peers[0].handshakes.failed >= 1 && summary.peers[0].openings >= 1);
    assert_eq!(
        summary.peers[0].last_error.as_deref(),
        Some(
            "none of the models is served: table.0123456789ab.tail0.f32, table.0123456789ab.tail1.f32, \
             table.0123456789ab.tail2.f32"
        )
    );
    let by = answers(&table, &mut client, 1..6);
    assert!(by.iter().all(|by| *by != Some(By::Peer)), "{by:?}");
    assert_eq!(other.requests(), 0);
}

#[test]
fn a_tail_tampered_with_under_the_right_name_is_caught_before_an_image_is_sent() {
    let table = table(4);
    let fake = Fake::start(Setup {
        canary: Does::AnswersWrongly,
        request: Does::AnswersWrongly,
        ..Setup::of(&table)
    });
    let mut client = client(config(vec![fake.address()]), &table, 1);
    assert!(!client.wait_for_peer(PATIENCE));
    assert_eq!(answers(&table, &mut client, 0..4), [None; 4]);
    assert_eq!(fake.requests(), 0);
    let summary = client.summary();
    assert_eq!(summary.peers[0].state, State::Disabled);
    let error = summary.peers[0].last_error.clone().unwrap();
    assert!(
        error.contains("answers a known question wrongly: logits are off by 1, 0.001 is allowed"),
        "{error}"
    );
}

#[test]
fn a_peer_replaced_behind_its_address_by_one_that_was_tampered_with_is_caught() {
    let (table, fake, mut client) = ready(Setup::of(&table(12)));
    answers(&table, &mut client, 0..1);
    fake.change(|setup| (setup.canary, setup.request) = (Does::AnswersWrongly, Does::AnswersWrongly));
    fake.cut();
    let by = answers(&table, &mut client, 1..12);
    assert!(by.iter().all(|by| *by != Some(By::Peer)), "{by:?}");
    until(&client, |summary| summary.peers[0].state == State::Disabled);
}

#[test]
fn an_answer_that_cannot_be_one_is_never_taken_and_asks_for_a_new_proof() {
    for does in [
        Does::AnswersNothing,
        Does::AnswersShort,
        Does::AnswersNan,
        Does::AnswersShape,
        Does::AnswersTwice,
        Does::AnswersHuge,
    ] {
        let (table, _fake, mut client) = ready(Setup { request: does, ..Setup::of(&table(1)) });
        assert_eq!(answers(&table, &mut client, 0..1), [Some(By::Device)], "{does:?}");
        let summary = until(&client, |summary| summary.peers[0].handshakes.held == 2);
        assert_eq!(only(1, requests(&summary)).bad_answer, 1, "{does:?}: {summary:?}");
        // Of 8 MiB no more than what was on the way when it was refused.
        assert!(summary.peers[0].received_bytes < 4 << 20, "{does:?}: {summary:?}");
    }
}

#[test]
fn a_peer_that_says_ok_to_everything_with_nothing_is_not_used() {
    for does in
        [Does::AnswersNothing, Does::AnswersNan, Does::AnswersTwice, Does::AnswersHuge, Does::AnswersShape]
    {
        let table = table(1);
        let fake = Fake::start(Setup { canary: does, request: does, ..Setup::of(&table) });
        let mut client = client(config(vec![fake.address()]), &table, 1);
        assert!(!client.wait_for_peer(PATIENCE));
        assert_eq!(client.summary().peers[0].state, State::Disabled, "{does:?}");
        assert_eq!((answers(&table, &mut client, 0..1), fake.requests()), (vec![None], 0));
    }
}

#[test]
fn a_request_that_is_refused_as_wrong_asks_for_a_new_proof() {
    let (table, _fake, mut client) = ready(Setup { request: Does::Rejects, ..Setup::of(&table(1)) });
    answers(&table, &mut client, 0..1);
    let summary = until(&client, |summary| summary.peers[0].handshakes.held == 2);
    assert_eq!(only(1, requests(&summary)).mismatch, 1);
}

#[test]
fn a_peer_that_takes_no_messages_so_large_is_not_asked_at_that_cut() {
    let (table, fake, mut client) = ready(Setup { request: Does::IsTooSmall, ..Setup::of(&table(5)) });
    let by = answers(&table, &mut client, 0..5);
    assert_eq!(by, [Some(By::Device), None, None, None, None]);
    let summary = client.summary();
    assert_eq!((requests(&summary).permanent, fake.requests()), (1, 1));
    let standing: Vec<_> = summary.peers[0].models.iter().map(|model| model.standing).collect();
    assert_eq!(standing, [Standing::Proven, Standing::Refused, Standing::Proven]);
    assert_eq!(summary.peers[0].state, State::Closed, "other cuts are asked");
}

#[test]
fn a_message_larger_than_the_cap_is_not_sent() {
    let table = table(64);
    let fake = Fake::start(Setup::of(&table));
    let mut config = config(vec![fake.address()]);
    // Room for one image and a few more, not for sixteen.
    config.payload_cap = 112;
    let mut client = client(config, &table, 1);
    assert!(client.wait_for_peer(PATIENCE));
    let mut run = |images, batch| {
        let said = run_batches(&table, &mut client, images, batch, FAR, LocalCompletion::InTime);
        said.iter().map(|said| said.by).collect::<Vec<_>>()
    };
    assert_eq!(run(0..32, 16), [None; 32]);
    assert_eq!(run(32..36, 2), [Some(By::Peer); 4]);
    let summary = client.summary();
    assert_eq!((summary.declined.too_large, fake.requests()), (2, 2));
}

#[test]
fn a_model_whose_known_question_is_larger_than_the_cap_is_not_used() {
    let table = table(2);
    let fake = Fake::start(Setup::of(&table));
    let mut config = config(vec![fake.address()]);
    config.payload_cap = 16;
    let mut client = client(config, &table, 1);
    assert!(!client.wait_for_peer(PATIENCE));
    let error = client.summary().peers[0].last_error.clone().unwrap();
    assert!(error.starts_with("the known question cannot be sent: a message of "), "{error}");
    assert_eq!((answers(&table, &mut client, 0..2), fake.canaries()), (vec![None; 2], 0));
}

#[test]
fn a_wrong_token_disables_a_peer_and_a_right_one_brings_it_back() {
    let table = table(4);
    let fake = Fake::start(Setup { token: Some("right-token"), ..Setup::of(&table) });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "wrong-token").unwrap();
    let mut config = config(vec![fake.address()]);
    config.token_file = Some(path.clone());
    let mut client = client(config, &table, 1);
    assert!(!client.wait_for_peer(PATIENCE));
    let summary = client.summary();
    assert_eq!(summary.peers[0].state, State::Disabled);
    // The fake server sends the token back; it is not told.
    assert_eq!(summary.peers[0].last_error.as_deref(), Some("the token is wrong: Bearer ***"));
    assert_eq!((answers(&table, &mut client, 0..1), fake.requests()), (vec![None], 0));
    std::fs::write(&path, "right-token\n").unwrap();
    until(&client, |summary| summary.peers[0].state == State::Closed);
    assert_eq!(answers(&table, &mut client, 1..4), [Some(By::Peer); 3]);
    // A token that expires while the peer is used.
    fake.change(|setup| setup.token = Some("newer-token"));
    assert_eq!(answers(&table, &mut client, 0..1), [Some(By::Device)]);
    let summary = client.summary();
    assert_eq!((requests(&summary).permanent, summary.peers[0].state), (1, State::Disabled));
}

#[test]
fn a_peer_that_is_not_ready_is_asked_again() {
    let table = table(2);
    let fake = Fake::start(Setup { ready: false, ..Setup::of(&table) });
    let mut client = client(config(vec![fake.address()]), &table, 1);
    assert!(!client.wait_for_peer(PATIENCE));
    assert_eq!(client.summary().peers[0].last_error.as_deref(), Some("the server says that it is not ready"));
    fake.change(|setup| setup.ready = true);
    until(&client, |summary| summary.peers[0].state == State::Closed);
    assert_eq!(answers(&table, &mut client, 0..2), [Some(By::Peer); 2]);
}

#[test]
fn a_peer_that_describes_its_inputs_otherwise_is_not_used() {
    let table = table(1);
    let fake = Fake::start(Setup { datatype: "FP64", ..Setup::of(&table) });
    let mut client = client(config(vec![fake.address()]), &table, 1);
    assert!(!client.wait_for_peer(PATIENCE));
    let error = client.summary().peers[0].last_error.clone().unwrap();
    assert_eq!(
        error,
        "model \"table.0123456789ab.tail2.f32\" is described otherwise: expected \"cut1\" FP32 [batch, 1], \
         got FP64 [-1, 1]"
    );
    assert_eq!((answers(&table, &mut client, 0..1), fake.canaries()), (vec![None], 0));
}

#[test]
fn a_port_that_speaks_something_else_is_a_failed_link() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::plain("127.0.0.1", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        use std::io::Write;
        // Ends with the test's process.
        while let Ok((mut stream, _)) = listener.accept() {
            let _gone = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n");
        }
    });
    let table = table(1);
    let mut client = client(config(vec![address]), &table, 1);
    assert!(!client.wait_for_peer(PATIENCE));
    until(&client, |summary| summary.peers[0].openings >= 1);
    assert_eq!(answers(&table, &mut client, 0..1), [None]);
}
