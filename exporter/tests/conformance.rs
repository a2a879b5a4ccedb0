//! The exporter finds in every network of the conformance suite what its generator says is there.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::path::{Path, PathBuf};

use offramp_exporter::plan::{self, PlanOptions};
use offramp_exporter::split::{SplitOptions, split};
use offramp_exporter::verify::{VerifyOptions, compose};
use offramp_runtime::backend::Backend;
use offramp_runtime::backend::tract::TractBackend;
use offramp_runtime::prepare::{PrepareOptions, prepare};
use serde_json::Value;

mod engines;
mod npz;

fn suite() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance")
}

fn cases(kind: &str) -> Vec<(String, PathBuf, Value)> {
    let mut cases: Vec<_> = std::fs::read_dir(suite().join(kind))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let facts = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            (path.file_stem().unwrap().to_string_lossy().into_owned(), path.with_extension("onnx"), facts)
        })
        .collect();
    cases.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(cases.len() > 10, "{kind} has {} cases", cases.len());
    cases
}

#[test]
fn exits_cuts_and_costs_are_those_of_the_generators() {
    for (case, model, facts) in cases("networks") {
        let plan = plan::plan(&model, &PlanOptions::default()).unwrap_or_else(|error| {
            panic!("{case}: {}", anyhow_chain(&error));
        });
        let exits = facts["exits"].as_array().unwrap();
        let expected: Vec<_> = exits
            .iter()
            .map(|exit| {
                (
                    exit["name"].as_str().unwrap(),
                    exit["logits"].as_str().unwrap(),
                    exit["macs"].as_u64().unwrap(),
                    exit["params"].as_u64().unwrap(),
                )
            })
            .collect();
        let found: Vec<_> = plan
            .exits
            .iter()
            .map(|exit| (exit.name.as_str(), exit.logits.as_str(), exit.macs, exit.params))
            .collect();
        assert_eq!(found, expected, "{case}: exits");
        for (cut, expected) in facts["cuts"].as_array().unwrap().iter().enumerate() {
            let part = &plan.parts[cut];
            let image = part.boundary.iter().any(|spec| spec.name == plan.input.name);
            let mut tensors: Vec<_> = part
                .boundary
                .iter()
                .map(|spec| spec.name.as_str())
                .filter(|name| *name != plan.input.name)
                .collect();
            tensors.sort_unstable();
            let wanted: Vec<_> =
                expected["tensors"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
            assert_eq!(tensors, wanted, "{case}: cut after {cut}");
            assert_eq!(image, expected["image"].as_bool().unwrap(), "{case}: image at cut {cut}");
            let image_bytes = if image { plan.input.spec().bytes_per_image() as u64 } else { 0 };
            let bytes = part.boundary_bytes() - image_bytes;
            assert_eq!(bytes, expected["bytes_per_image"].as_u64().unwrap(), "{case}: bytes at cut {cut}");
        }
    }
}

fn anyhow_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text += &format!(": {next}");
        cause = next.source();
    }
    text
}

#[test]
fn what_must_be_refused_is_refused_by_name() {
    let mut unnamed: Vec<String> = Vec::new();
    for (case, model, facts) in cases("refused") {
        if facts["refused_by"] != "split" {
            continue;
        }
        let Err(error) = plan::plan(&model, &PlanOptions::default()) else {
            panic!("{case}: accepted, expected a refusal for {}", facts["reason"]);
        };
        let message = anyhow_chain(&error);
        for name in facts["names"].as_array().unwrap() {
            let name = name.as_str().unwrap();
            if !message.to_lowercase().contains(&name.to_lowercase()) {
                unnamed.push(format!("{case}: no \"{name}\" in: {message}"));
            }
        }
    }
    assert!(unnamed.is_empty(), "{}", unnamed.join("\n"));
}

#[test]
fn composed_segments_give_the_reference_logits_on_tract() {
    composed_logits_match(&TractBackend::new());
}

#[test]
fn composed_segments_give_the_reference_logits_on_onnx_runtime() {
    let Some(ort) = engines::ort() else { return };
    composed_logits_match(&ort);
}

fn composed_logits_match(backend: &dyn Backend) {
    let mut apart: Vec<String> = Vec::new();
    for (case, model, facts) in cases("networks") {
        let folder = tempfile::tempdir().unwrap();
        let options = SplitOptions {
            plan: PlanOptions::default(),
            name: None,
            force: false,
            gradients: false,
            tails: None,
            verify: VerifyOptions::default(),
        };
        let written = split(&model, &folder.path().join("bundle"), &options, &[backend])
            .unwrap_or_else(|error| panic!("{case}: {}", anyhow_chain(&error)));
        let prepared = prepare(&written.bundle, backend, &PrepareOptions::default(), &mut |_| {}).unwrap();
        let arrays = npz::read(&model.with_extension("npz"));
        let input = &written.bundle.manifest().input;
        let images = &arrays[&input.name];
        let batch = input.fixed_batch().unwrap_or(3);
        let classes = prepared.pipeline.classes();
        let (absolute, relative) = (
            facts["tolerance"]["absolute"].as_f64().unwrap(),
            facts["tolerance"]["relative"].as_f64().unwrap(),
        );
        for first in (0..3).step_by(batch) {
            let chunk = images.rows(first, batch);
            let logits = compose(&prepared.pipeline, chunk.view(), batch).unwrap();
            for (exit, row) in prepared.pipeline.exits().iter().zip(&logits) {
                let expected = arrays[&exit.name].rows(first, batch).floats();
                assert_eq!(row.len(), batch * classes);
                let bad = row.iter().zip(&expected).find(|(found, expected)| {
                    let allowed = absolute + relative * f64::from(expected.abs());
                    found.is_nan() || f64::from((*found - *expected).abs()) > allowed
                });
                if let Some((found, expected)) = bad {
                    apart.push(format!("{case} exit {}: {found}, expected {expected}", exit.index));
                }
            }
        }
    }
    assert!(apart.is_empty(), "{}", apart.join("\n"));
}

#[test]
fn networks_that_give_no_numbers_or_cannot_run_are_not_proved() {
    for (case, model, facts) in cases("refused") {
        if facts["refused_by"] == "split" {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let options = SplitOptions {
            plan: PlanOptions::default(),
            name: None,
            force: false,
            gradients: false,
            tails: None,
            verify: VerifyOptions::default(),
        };
        let target = folder.path().join("bundle");
        let proved = split(&model, &target, &options, &[&TractBackend::new()]);
        assert!(proved.is_err(), "{case} was proved");
        assert!(!target.exists(), "{case} left a bundle");
    }
}
