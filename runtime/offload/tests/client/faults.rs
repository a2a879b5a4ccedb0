//! Whatever peers do, in whatever order: exactly one answer per image, in time, and none of them wrong.

use std::time::Duration;

use offramp_offload::client::{PeerSummary, Standing, State};
use offramp_runtime::executor::LocalCompletion;
use offramp_runtime::remote::By;
use proptest::prelude::*;

use crate::bench::{PATIENCE, client, config, here, run_batches, table, until};
use crate::fake::{Does, Fake, Setup};

const DEADLINE: Duration = Duration::from_millis(60);
/// What an answer may be later than its deadline, on a machine that runs other tests at the same time: a thread that wakes late.
const MARGIN: Duration = Duration::from_millis(250);

/// What happens to a peer before the next images.
#[derive(Clone, Copy, Debug)]
enum Event {
    Does(Does),
    /// The known question as well.
    DoesAlways(Does),
    Cut,
    Unready,
    OtherBundle,
    Recovers,
}

fn does() -> impl Strategy<Value = Does> {
    prop_oneof![
        (0..80_u64).prop_map(|after_ms| Does::Answers { after_ms }),
        prop::sample::select(vec![
            Does::AnswersTyped,
            Does::Hangs,
            Does::Stalls,
            Does::Cuts,
            Does::IsOverloaded { retry_after_ms: Some(10) },
            Does::IsOverloaded { retry_after_ms: None },
            Does::HasFullQueue,
            Does::Drains,
            Does::Forgets,
            Does::Rejects,
            Does::IsTooSmall,
            Does::AnswersNothing,
            Does::AnswersShort,
            Does::AnswersNan,
            Does::AnswersShape,
            Does::AnswersTwice,
            Does::AnswersHuge,
        ]),
    ]
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => does().prop_map(Event::Does),
        // Wrong logits can be told only by the known question; without it, a peer is believed.
        2 => prop_oneof![does(), Just(Does::AnswersWrongly)].prop_map(Event::DoesAlways),
        1 => Just(Event::Cut),
        1 => Just(Event::Unready),
        1 => Just(Event::OtherBundle),
        3 => Just(Event::Recovers),
    ]
}

fn happens(event: Event, fake: &Fake) {
    match event {
        Event::Does(does) => fake.change(|setup| setup.request = does),
        Event::DoesAlways(does) => {
            fake.change(|setup| (setup.canary, setup.request) = (does, does));
            // Another server is another connection.
            fake.cut();
        }
        Event::Cut => fake.cut(),
        Event::Unready => fake.change(|setup| setup.ready = false),
        Event::OtherBundle => {
            fake.change(|setup| setup.digest = "ba9876543210");
            fake.cut();
        }
        Event::Recovers => fake.change(|setup| {
            let table = setup.table.clone();
            *setup = Setup::of(&table);
        }),
    }
}

/// Scripts in a run; `OFFRAMP_FUZZ_ITERATIONS` asks for more.
fn scripts() -> u32 {
    let asked = std::env::var("OFFRAMP_FUZZ_ITERATIONS").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(24)
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 40, ..ProptestConfig::with_cases(scripts()) })]

    #[test]
    fn every_image_gets_one_right_answer_in_time(
        script in prop::collection::vec((0..2_usize, events(), 1..5_usize), 1..12),
        batch in 1..4_usize,
        cut in 0..3_usize,
        completes in any::<bool>(),
    ) {
        let images: usize = script.iter().map(|step| step.2).sum();
        let table = table(images);
        let peers = [Fake::start(Setup::of(&table)), Fake::start(Setup::of(&table))];
        let mut config = config(peers.iter().map(Fake::address).collect());
        config.handshake = Duration::from_millis(100);
        let mut client = client(config, &table, cut);
        client.wait_for_peer(PATIENCE);
        let completion = if completes { LocalCompletion::InTime } else { LocalCompletion::Never };
        let (mut first, mut sent) = (0, 0);
        for (peer, event, count) in script {
            happens(event, &peers[peer]);
            let said = run_batches(&table, &mut client, first..first + count, batch, DEADLINE, completion);
            prop_assert_eq!(said.len(), count);
            for (image, said) in (first..).zip(&said) {
                // A device that may not complete has to where no exit has been computed.
                if said.by != Some(By::Degraded) {
                    prop_assert_eq!((said.exit, said.predicted), here(&table, image), "image {}", image);
                }
                prop_assert!(said.latency < DEADLINE + MARGIN, "image {} took {:?}", image, said.latency);
            }
            sent += said.iter().filter(|said| said.by.is_some()).count();
            first += count;
        }
        let summary = client.summary();
        let cuts: u64 = summary.cuts.iter().map(|cut| cut.images).sum();
        prop_assert_eq!(cuts, sent as u64, "images that were sent and those that were told of");
        let answered: u64 = summary.cuts.iter().map(|cut| cut.by_peer + cut.by_device + cut.degraded).sum();
        prop_assert_eq!(answered, cuts);
        prop_assert!(summary.retries as f64 <= 1.0 + 0.1 * sent as f64);
        // Peers that behave again are found again, whatever came before.
        peers.iter().for_each(|peer| happens(Event::Recovers, peer));
        until(&client, |summary| {
            let proven = |peer: &PeerSummary| {
                peer.models.iter().all(|model| model.standing == Standing::Proven)
            };
            summary.peers.iter().all(|peer| peer.state == State::Closed && proven(peer))
        });
    }
}
