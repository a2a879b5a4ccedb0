//! The manifest reader on broken text.

use std::panic::catch_unwind;

use offramp_models::Manifest;
use rand::{Rng as _, SeedableRng as _, seq::IndexedMutRandom as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::sample::manifest;

/// Mutations tried; more when the environment says so.
fn runs() -> u64 {
    std::env::var("OFFRAMP_FUZZ_RUNS").map_or(5_000, |runs| runs.parse().unwrap())
}

#[test]
fn no_mutation_of_a_manifest_makes_its_reader_panic() {
    let whole = serde_json::to_value(manifest()).unwrap();
    for seed in 0..runs() {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut value = whole.clone();
        for _ in 0..random.random_range(0..3) {
            mutate_value(&mut value, &mut random);
        }
        let mut text = value.to_string().into_bytes();
        for _ in 0..random.random_range(0..3) {
            mutate_text(&mut text, &mut random);
        }
        let read = catch_unwind(|| {
            let manifest = Manifest::from_json(&text).ok()?;
            let _ = manifest
                .segments
                .iter()
                .flat_map(|segment| &segment.outputs)
                .map(|spec| spec.bytes_per_image())
                .max();
            let again = Manifest::from_json(&serde_json::to_vec(&manifest).unwrap()).unwrap();
            Some(again.identity() == manifest.identity())
        });
        match read {
            Ok(same) => assert_ne!(same, Some(false), "seed {seed}"),
            Err(_) => panic!("seed {seed} panics: {}", String::from_utf8_lossy(&text)),
        }
    }
}

/// Replaces, removes or repeats one node somewhere in the tree.
fn mutate_value(value: &mut Value, random: &mut ChaCha8Rng) {
    let deeper = random.random_bool(0.8);
    match value {
        Value::Object(map) if deeper && !map.is_empty() => {
            let at = random.random_range(0..map.len());
            let key = map.keys().nth(at).unwrap().clone();
            match random.random_range(0..12) {
                0 => drop(map.remove(&key)),
                1 => drop(map.insert(format!("{key}x"), Value::Null)),
                _ => mutate_value(&mut map[&key], random),
            }
        }
        Value::Array(items) if deeper && !items.is_empty() => match random.random_range(0..8) {
            0 => drop(items.pop()),
            1 => items.push(items[0].clone()),
            2 => items.reverse(),
            _ => mutate_value(items.choose_mut(random).unwrap(), random),
        },
        leaf => {
            let odd = [
                json!(null),
                json!(true),
                json!(-1),
                json!(0),
                json!(1),
                json!(u64::MAX),
                json!(1u64 << 32),
                json!(1e300),
                json!(-0.0),
                json!(""),
                json!("../x"),
                json!("feature"),
                json!("float16"),
                json!([]),
                json!({}),
                json!([null, u64::MAX, u64::MAX, 2]),
            ];
            *leaf = odd[random.random_range(0..odd.len())].clone();
        }
    }
}

fn mutate_text(text: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    let from = random.random_range(0..=text.len());
    let to = random.random_range(from..=text.len().min(from + 40));
    match random.random_range(0..4) {
        0 => text.truncate(from),
        1 => drop(text.drain(from..to)),
        2 => {
            let piece = text[from..to].to_vec();
            let at = random.random_range(0..=text.len());
            text.splice(at..at, piece);
        }
        _ => {
            if let Some(byte) = text.choose_mut(random) {
                *byte ^= 1 << random.random_range(0..8);
            }
        }
    }
}
