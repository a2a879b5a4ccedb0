//! What one attack step costs: a forward pass, a backward pass, and what the attack adds to them.
//!
//!     ORT_DYLIB_PATH=.. cargo bench -p offramp-study --bench oracle -- BUNDLE DATA.npz [BATCH ..]
//!
//! One thread; passes run in turn in one process. Prints medians and ratios as Markdown. Without arguments, or without
//! ONNX Runtime, it says what it lacks and ends.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a benchmark prints, and may fail anywhere")]

use std::path::PathBuf;
use std::time::Instant;

use offramp_models::Bundle;
use offramp_models::dataset::{self, OpenOptions, Samples};
use offramp_runtime::backend::Backend;
use offramp_runtime::backend::ort::{Library, OrtBackend, Pool, Provider, silence_telemetry};
use offramp_study::attack::{Attack, Ball, Batch, Norm, PgdOptions, pgd};
use offramp_study::loss::{Aim, CrossEntropy};
use offramp_study::oracle::{GraphOracle, Oracle};

const ROUNDS: usize = 12;
const STEPS: usize = 4;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let (Some(bundle), Some(data)) = (arguments.next(), arguments.next()) else {
        println!("skipped: needs BUNDLE DATA.npz, see the head of this file");
        return;
    };
    let Some(path) = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from) else {
        println!("skipped: needs ORT_DYLIB_PATH");
        return;
    };
    let batches: Vec<usize> = arguments.map(|batch| batch.parse().expect("a batch is a number")).collect();
    // SAFETY: no other thread runs yet.
    let silence = unsafe { silence_telemetry() };
    let pool = Pool { threads: Some(1), spinning: false };
    let library = Library::load(&path, pool, silence).expect("the library loads");
    let backend = OrtBackend::new(library, Provider::Cpu);
    let bundle = Bundle::open(bundle).expect("a bundle");
    println!("| batch | forward, ms | backward / forward | step / (forward + backward) |\n|---|---|---|---|");
    for batch in if batches.is_empty() { vec![1, 64] } else { batches } {
        measure(&bundle, &data, &backend, batch);
    }
}

fn measure(bundle: &Bundle, data: &str, backend: &dyn Backend, batch: usize) {
    let mut oracle = GraphOracle::open(bundle, backend, Some(1)).expect("the network has a gradient");
    if let Some(why) = oracle.apart() {
        println!("forward and backward are optimised apart: {why}");
    }
    let options = OpenOptions { limit: Some(batch), ..OpenOptions::default() };
    let data = dataset::open(&data.parse().expect("data"), &options).expect("images");
    let mut pixels = Vec::new();
    for image in 0..batch {
        match data.image(image).expect("an image").samples() {
            Samples::U8(bytes) => pixels.extend(bytes.iter().map(|byte| f32::from(*byte) / 255.0)),
            Samples::F32(floats) => pixels.extend_from_slice(floats),
        }
    }
    let labels: Vec<usize> = (0..batch).map(|image| data.label(image).unwrap_or(0)).collect();
    let indices: Vec<usize> = (0..batch).collect();
    let options = PgdOptions { step: 1e-3, iterations: STEPS, random_start: false, restarts: 1, seed: 0 };
    let ball = Ball::new(Norm::Linf, 0.03).expect("a ball");
    let attack = pgd(Box::new(CrossEntropy::new(Aim::Final)), ball, options);

    let each = oracle.exits() * oracle.classes();
    let (mut logits, cotangents) = (vec![0.0; batch * each], vec![0.1; batch * each]);
    let mut gradient = vec![0.0; pixels.len()];
    let mut times = [const { Vec::new() }; 3];
    for round in 0..ROUNDS + 2 {
        let mut taken = [0.0; 3];
        for _ in 0..STEPS {
            taken[0] += timed(|| oracle.forward(&pixels, &mut logits).expect("forward"));
            taken[1] += timed(|| oracle.backward(&cotangents, &mut gradient).expect("backward"));
        }
        taken[2] = timed(|| {
            let batch = Batch { indices: &indices, pixels: &pixels, labels: &labels };
            attack.perturb(&mut oracle, batch, &mut || true).expect("an attack");
        });
        // The first rounds wire and warm up.
        if round >= 2 {
            times.iter_mut().zip(taken).for_each(|(times, taken)| times.push(taken / STEPS as f64));
        }
    }
    let [forward, backward, step] = times.map(median);
    println!(
        "| {batch} | {:.2} | {:.2} | {:.3} |",
        forward * 1e3,
        backward / forward,
        step / (forward + backward)
    );
}

fn timed(work: impl FnOnce()) -> f64 {
    let started = Instant::now();
    work();
    started.elapsed().as_secs_f64()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}
