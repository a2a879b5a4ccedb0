//! What exits cost by themselves, on every network of the conformance suite.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use offramp_exporter::exits::Choice;
use offramp_exporter::heads::{self, HeadsError};
use offramp_exporter::plan::{self, Plan, PlanOptions};
use offramp_exporter::split::{SplitOptions, split};
use offramp_exporter::verify::VerifyOptions;
use offramp_graph::macs::{self, Counting};
use offramp_graph::{Index, shape};
use offramp_models::Bundle;

fn networks() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance/networks")
}

fn options() -> SplitOptions {
    SplitOptions {
        plan: PlanOptions::default(),
        name: None,
        force: false,
        gradients: false,
        tails: None,
        verify: VerifyOptions::default(),
    }
}

fn bundle(model: &Path, folder: &Path) -> Bundle {
    split(model, &folder.join("bundle"), &options(), &[]).unwrap().bundle
}

fn heads_of(case: &str) -> Vec<u64> {
    let folder = tempfile::tempdir().unwrap();
    heads::macs(&bundle(&networks().join(format!("{case}.onnx")), folder.path())).unwrap()
}

/// Work of the whole network that one exit needs and no other.
fn needed_by_one(plan: &Plan) -> Vec<u64> {
    let model = &plan.model;
    let costs = macs::count(model, &shape::infer(model).unwrap(), Counting::Macs).unwrap();
    let index = Index::new(&model.graph);
    let needs: Vec<HashSet<usize>> =
        plan.exits.iter().map(|exit| index.ancestors(&exit.logits).iter().collect()).collect();
    let own = |exit: usize| {
        let others = |node: &usize| needs.iter().enumerate().any(|(at, of)| at != exit && of.contains(node));
        costs.sum(needs[exit].iter().copied().filter(|node| !others(node))).macs
    };
    (0..needs.len() - 1).map(own).collect()
}

#[test]
fn the_head_of_an_exit_is_what_no_other_exit_needs() {
    let mut counted = 0;
    for entry in std::fs::read_dir(networks()).unwrap() {
        let model = entry.unwrap().path();
        if model.extension().is_none_or(|extension| extension != "onnx") {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let bundle = bundle(&model, folder.path());
        let plan = plan::plan(&model, &PlanOptions::default()).unwrap();
        let found = heads::macs(&bundle).unwrap_or_else(|error| panic!("{}: {error}", model.display()));
        assert_eq!(found, needed_by_one(&plan), "{}", model.display());
        assert_eq!(found.len() + 1, plan.exits.len());
        counted += 1;
    }
    assert!(counted > 20, "{counted} networks");
}

#[test]
fn heads_are_those_of_the_generators() {
    // Pooled features times classes; a concatenation of features costs nothing.
    assert_eq!(heads_of("residual"), [8 * 10, 16 * 10]);
    assert_eq!(heads_of("dense"), [12 * 10, 16 * 10, 12 * 10]);
    assert_eq!(heads_of("multi-scale"), [12 * 10, 20 * 10]);
    // The image crosses every cut beside the features.
    assert_eq!(heads_of("late-input"), [8 * 10, 8 * 10]);
}

#[test]
fn logits_that_later_segments_take_leave_no_head() {
    assert_eq!(heads_of("cascade"), [0, 0]);
}

#[test]
fn a_network_of_one_exit_has_no_head_that_could_be_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options();
    options.plan.exits = Choice { tensors: vec!["exit2".into()], single: true };
    let model = networks().join("residual.onnx");
    let bundle = split(&model, &folder.path().join("bundle"), &options, &[]).unwrap().bundle;
    assert_eq!(heads::macs(&bundle).unwrap(), [] as [u64; 0]);
}

#[test]
fn segments_that_are_not_what_the_manifest_counts_are_refused_by_number() {
    let folder = tempfile::tempdir().unwrap();
    let found = bundle(&networks().join("residual.onnx"), folder.path());
    let file = |segment: usize| found.dir().join(&found.manifest().segments[segment].file);
    std::fs::copy(file(2), file(1)).unwrap();
    let error = heads::macs(&found).unwrap_err();
    assert!(matches!(error, HeadsError::Counted { segment: 1, .. }), "{error}");
    assert!(error.to_string().starts_with("segment 1 has "), "{error}");
    std::fs::write(file(1), b"no model").unwrap();
    assert!(matches!(heads::macs(&found).unwrap_err(), HeadsError::Read(_)));
}
