//! The placement that measures, in a world whose truth is known.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]
#![expect(clippy::print_stdout, reason = "what was found stands beside the best that was to be had")]

mod world;

use std::ops::Range;
use std::time::{Duration, Instant};

use offramp_offload::placement::{
    Auto, Budget, Budgeted, Candidate, Config, End, Fixed, Observed, Place, Rate,
};
use offramp_runtime::remote::{Cut, Placement};
use world::{Line, Network, Run, World};

const IMAGES: usize = 400;

/// 32x32 pictures: every early feature map is larger than the picture.
fn small() -> Network {
    Network {
        name: "small",
        segments: vec![1e-3; 7],
        going_on: vec![0.8, 0.8, 0.7, 0.6, 0.6, 0.6],
        bytes: vec![3_072, 16_384, 16_384, 8_192, 8_192, 4_096, 4_096],
    }
}

/// 224x224 pictures: a cut in the middle carries less.
fn large() -> Network {
    Network {
        name: "large",
        segments: vec![4e-3, 6e-3, 6e-3, 8e-3, 8e-3],
        going_on: vec![0.9, 0.7, 0.6, 0.5],
        bytes: vec![150_528, 200_704, 100_352, 25_088, 6_272],
    }
}

/// No exit that is taken early, and a narrow middle.
fn narrow() -> Network {
    Network {
        name: "narrow",
        segments: vec![2e-3, 2e-3, 10e-3, 10e-3],
        going_on: vec![1.0, 0.9, 0.9],
        bytes: vec![150_528, 12_544, 6_272, 50_176],
    }
}

fn world(network: Network, scale: f64, line: Line) -> World {
    let lines = vec![(0, line)];
    World { network, scale, lines, deadline: 1.0, tells: true, overhead: 5e-4, silent: 0..0, seed: 1 }
}

fn auto(world: &World, images: usize) -> Run {
    world.run(&mut Auto::new(Config::new(Duration::from_secs_f64(world.deadline))), images)
}

/// The fixed choice with the least mean latency of these images, and that latency; one more than the last cut is never.
fn best(world: &World, images: Range<usize>) -> (usize, f64) {
    let choices = 0..=world.network.segments.len();
    let means = choices.map(|cut| (cut, world.run(&mut Fixed { cut }, images.end).mean(images.clone())));
    means.min_by(|(_, a), (_, b)| a.total_cmp(b)).unwrap()
}

const RATES: [f64; 3] = [1.0, 10.0, 100.0];
const DELAYS: [f64; 3] = [5.0, 20.0, 80.0];
const SCALES: [f64; 3] = [1.0, 5.0, 20.0];

/// Every link with every device.
fn grid() -> impl Iterator<Item = (Line, f64)> {
    let lines = RATES.into_iter().flat_map(|rate_mbps| DELAYS.map(|delay_ms| Line { rate_mbps, delay_ms }));
    lines.flat_map(|line| SCALES.map(|scale| (line, scale)))
}

/// Mean latency of these images beside that of the best fixed choice; what is beyond a tenth is told.
fn compare(world: &World, images: Range<usize>, beyond: &mut Vec<String>) {
    let (cut, fixed) = best(world, images.clone());
    let run = auto(world, images.end);
    let mean = run.mean(images);
    let (name, lines, scale, tells) = (world.network.name, &world.lines, world.scale, world.tells);
    let lines: Vec<String> = lines.iter().map(|(_, line)| line.to_string()).collect();
    let text = format!(
        "{name}, {}, device x{scale}, peer tells: {tells}: best cut {cut} with {:.1} ms, auto {:.1} ms, ratio {:.3}, {} probes",
        lines.join(" then "),
        fixed * 1e3,
        mean * 1e3,
        mean / fixed,
        run.probes
    );
    println!("{text}");
    if mean > 1.1 * fixed {
        beyond.push(text);
    }
}

#[test]
fn on_steady_links_the_mean_is_within_a_tenth_of_the_best_fixed_choice() {
    let mut beyond = Vec::new();
    for network in [small(), large(), narrow()] {
        for (line, scale) in grid() {
            for tells in [true, false] {
                compare(&World { tells, ..world(network.clone(), scale, line) }, 0..IMAGES, &mut beyond);
            }
        }
    }
    assert!(beyond.is_empty(), "{}", beyond.join("\n"));
}

#[test]
fn twenty_images_after_the_rate_changed_the_mean_is_within_a_tenth_of_the_new_best() {
    let mut beyond = Vec::new();
    for network in [small(), large(), narrow()] {
        for (line, scale) in grid() {
            for rate_mbps in RATES.into_iter().filter(|rate| *rate != line.rate_mbps) {
                let mut world = world(network.clone(), scale, line);
                world.lines.push((200, Line { rate_mbps, ..line }));
                compare(&world, 220..320, &mut beyond);
            }
        }
    }
    assert!(beyond.is_empty(), "{}", beyond.join("\n"));
}

#[test]
fn answers_to_known_questions_place_the_first_image() {
    let network = large();
    let now = Instant::now();
    let ahead: Vec<Duration> =
        network.segments.iter().map(|seconds| Duration::from_secs_f64(20.0 * seconds)).collect();
    let candidates: Vec<Candidate> = network
        .bytes
        .iter()
        .enumerate()
        .map(|(cut, &bytes)| Candidate { cut, bytes, usable: true })
        .collect();
    let first = |rate_mbps: f64| {
        let mut auto = Auto::new(Config::new(Duration::from_secs(5)));
        for &Candidate { cut, bytes, .. } in &candidates {
            let rest: f64 = network.segments[cut..].iter().sum();
            let took = Duration::from_secs_f64(0.01 + bytes as f64 * 8.0 / (rate_mbps * 1e6) + rest);
            let end = End::Answer { bytes: 100, took, server: None };
            auto.observe(&Observed { cut, images: 1, request_bytes: bytes + 200, sent: now, end });
        }
        auto.place(&Cut { segment: 0, images: 1, ahead: &ahead, since: now }, &candidates, now)
    };
    assert_eq!((first(100.0), first(0.5)), (Placement::Offload, Placement::Local));
}

#[test]
fn a_peer_that_no_longer_answers_costs_a_deadline_or_two_and_is_found_again() {
    for network in [small(), large(), narrow()] {
        let line = Line { rate_mbps: 100.0, delay_ms: 5.0 };
        let world = World { silent: 200..300, ..world(network, 20.0, line) };
        let run = auto(&world, 400);
        let sent = |images: Range<usize>| run.sent[images].iter().flatten().count();
        let name = world.network.name;
        assert!(sent(150..200) > 40, "{name}: {} of 50 before", sent(150..200));
        assert!(sent(200..300) <= 2, "{name}: {} of 100 while it is silent", sent(200..300));
        assert!(sent(320..400) > 70, "{name}: {} of 80 after", sent(320..400));
    }
}

#[test]
fn images_that_would_come_too_late_are_not_sent() {
    let line = Line { rate_mbps: 10.0, delay_ms: 80.0 };
    let world = World { deadline: 0.15, ..world(small(), 100.0, line) };
    let run = auto(&world, 200);
    assert_eq!(run.sent[20..].iter().flatten().count(), 0);
}

#[test]
fn while_images_stay_few_copies_are_sent() {
    let world = world(small(), 1.0, Line { rate_mbps: 10.0, delay_ms: 20.0 });
    let run = auto(&world, 1000);
    assert_eq!(run.sent.iter().flatten().count(), 0);
    let seconds = run.latencies.iter().sum::<f64>();
    // Sending takes more than eight times as long as staying: an eighth as often as otherwise.
    let most = (seconds / 0.4) as usize + 5;
    assert!((1..=most).contains(&run.probes), "{} probes in {seconds:.1} s", run.probes);
}

#[test]
fn a_slowdown_attack_pushes_no_more_onto_the_server_than_the_budget() {
    let mut benign = world(large(), 20.0, Line { rate_mbps: 100.0, delay_ms: 5.0 });
    benign.network.going_on = vec![0.3, 0.3, 0.3, 0.3];
    // Every image goes on to the last exit.
    let mut attacked = benign.clone();
    attacked.network.going_on = vec![1.0; 4];
    let budget = Budget { requests: Some(Rate { per_second: 2.0, burst: 4.0 }), bytes: None };
    let requests = |world: &World, budget: Budget| {
        let auto = Auto::new(Config::new(Duration::from_secs(1)));
        let run = world.run(&mut Budgeted::new(auto, budget), 300);
        let requests = run.sent.iter().flatten().count() + run.probes;
        (requests as f64, run.latencies.iter().sum::<f64>())
    };
    let (unbounded, seconds) = requests(&attacked, Budget::default());
    assert!(unbounded / seconds > 4.0, "the attack would make {} requests a second", unbounded / seconds);
    for world in [&benign, &attacked] {
        let (made, seconds) = requests(world, budget);
        assert!(made <= 5.0 + 2.0 * seconds, "{made} requests in {seconds:.1} s");
    }
}

#[test]
fn the_same_times_give_the_same_decisions() {
    let world = world(narrow(), 5.0, Line { rate_mbps: 10.0, delay_ms: 5.0 });
    assert_eq!(auto(&world, 200).sent, auto(&world, 200).sent);
}
