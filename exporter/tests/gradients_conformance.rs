//! Gradient graphs give what PyTorch's autograd gives in float64, for every operator and for whole networks.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::collections::HashMap;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use offramp_exporter::exits::Choice;
use offramp_exporter::gradient;
use offramp_exporter::plan::{self, PlanOptions};
use offramp_runtime::backend::tract::TractBackend;
use offramp_runtime::backend::{Backend, GraphSource, HostTensor, Origin, Runner, RunnerOptions, Value};
use serde_json::Value as Json;

mod engines;
mod npz;

/// Of the largest element: float32 through as many operators as the deepest case has.
const TOLERANCE: f32 = 1e-4;
const GRADIENT: &str = "gradient.image";

type Failure = Box<dyn Error>;

struct Case {
    name: String,
    model: PathBuf,
    facts: Json,
}

impl Case {
    fn words(&self, key: &str) -> Vec<&str> {
        self.facts[key].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
    }
}

fn cases(kind: &str) -> Vec<Case> {
    let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance/gradients");
    let index: Json = serde_json::from_slice(&std::fs::read(room.join("cases.json")).unwrap()).unwrap();
    let listed = index["cases"].as_array().unwrap().iter().filter(|facts| facts["kind"] == kind);
    let case = |facts: &Json| {
        let name = facts["case"].as_str().unwrap().to_owned();
        Case { model: room.join(kind).join(format!("{name}.onnx")), name, facts: facts.clone() }
    };
    let cases: Vec<Case> = listed.map(case).collect();
    assert!(cases.len() > 3, "{kind} has {} cases", cases.len());
    cases
}

fn prepared(
    backend: &dyn Backend,
    label: &str,
    graph: &[u8],
    host: &[&str],
) -> Result<Box<dyn Runner>, Failure> {
    let source = GraphSource { label: label.to_owned(), origin: Origin::Bytes(graph) };
    let options = RunnerOptions {
        threads: Some(1),
        host_outputs: host.iter().map(|name| (*name).to_owned()).collect(),
        ..RunnerOptions::default()
    };
    Ok(backend.prepare(&source, &options)?)
}

fn filled(runner: &dyn Runner, input: usize, images: usize, from: HostTensor<'_>) -> Result<Value, Failure> {
    let value = runner.allocate(input, images)?;
    value.write(from)?;
    Ok(value)
}

fn names(specs: &[offramp_models::TensorSpec]) -> Vec<&str> {
    specs.iter().map(|spec| spec.name.as_str()).collect()
}

/// By how much `found` misses `expected`, as a part of the largest element.
fn miss(what: &str, found: &[f32], expected: &[f32]) -> Result<(), Failure> {
    if found.len() != expected.len() {
        return Err(format!("{what} has {} elements, expected {}", found.len(), expected.len()).into());
    }
    if let Some(odd) = found.iter().find(|element| !element.is_finite()) {
        return Err(format!("{what} holds {odd}").into());
    }
    let largest = expected.iter().fold(0.0_f32, |largest, element| largest.max(element.abs()));
    let apart = found.iter().zip(expected).fold(0.0_f32, |apart, (a, b)| apart.max((a - b).abs()));
    if apart > TOLERANCE * largest {
        return Err(format!("{what} is {:.1e} of its largest element away", apart / largest).into());
    }
    Ok(())
}

/// The forward and the backward graph of `model`, as bytes.
fn derived(case: &Case) -> Result<(Vec<u8>, Vec<u8>), Failure> {
    let single = case.facts["logits"].as_array().is_some_and(|logits| logits.len() == 1);
    let exits = Choice { single, ..Choice::default() };
    let gradients =
        gradient::derive(&plan::plan(&case.model, &PlanOptions { exits, ..PlanOptions::default() })?)?;
    Ok((gradients.forward.to_bytes()?.to_vec(), gradients.backward.to_bytes()?.to_vec()))
}

/// Derives, runs forward, then backward on the residuals where they are, and compares.
fn check(case: &Case, backend: &dyn Backend) -> Result<(), Failure> {
    let (forward, backward) = derived(case)?;
    let arrays = npz::read(&case.model.with_extension("npz"));
    let (images, logits) = (usize::try_from(case.facts["images"].as_u64().unwrap())?, case.words("logits"));
    let whole = |name: &str| arrays[name].rows(0, images);

    let forward = prepared(backend, "forward", &forward, &logits)?;
    let outputs = names(forward.outputs());
    if !outputs.starts_with(&logits) {
        return Err(format!("forward gives {outputs:?}, expected {logits:?} first").into());
    }
    let mut pass = forward.bind(&[filled(&*forward, 0, images, whole("image").view())?], images)?;
    pass.run()?;
    for (output, name) in logits.iter().enumerate() {
        if let Some(expected) = arrays.get(*name) {
            let expected = expected.floats();
            let mut found = vec![0.0; expected.len()];
            pass.outputs()[output].read(&mut found)?;
            miss(name, &found, &expected)?;
        }
    }
    let residuals: HashMap<&str, &Value> = outputs.iter().copied().zip(pass.outputs()).collect();

    let backward = prepared(backend, "backward", &backward, &[GRADIENT])?;
    let wanted = names(backward.inputs());
    let cotangents: Vec<String> = logits.iter().map(|name| format!("cotangent.{name}")).collect();
    if !wanted.iter().zip(&cotangents).all(|(a, b)| a == b) || wanted.len() < cotangents.len() {
        return Err(format!("backward takes {wanted:?}, expected {cotangents:?} first").into());
    }
    if let Some(unused) = outputs[logits.len()..].iter().find(|residual| !wanted.contains(residual)) {
        return Err(format!("forward gives \"{unused}\", which backward does not take").into());
    }
    let mut inputs = Vec::with_capacity(wanted.len());
    for (position, name) in wanted.iter().enumerate() {
        inputs.push(match residuals.get(name) {
            Some(residual) => Rc::clone(residual),
            None if arrays.contains_key(*name) => filled(&*backward, position, images, whole(name).view())?,
            None => return Err(format!("backward takes \"{name}\", which forward does not give").into()),
        });
    }
    let mut pass = backward.bind(&inputs, images)?;
    pass.run()?;
    if names(backward.outputs()) != [GRADIENT] {
        return Err(format!("backward gives {:?}, expected {GRADIENT}", names(backward.outputs())).into());
    }
    let expected = arrays[GRADIENT].floats();
    let mut found = vec![0.0; expected.len()];
    pass.outputs()[0].read(&mut found)?;
    miss("the gradient", &found, &expected)
}

fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |&error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn gradients_match(kind: &str, backend: &dyn Backend) {
    let cases = cases(kind);
    // An engine that panics fails its case, not those after it.
    let checked = |case: &Case| {
        catch_unwind(AssertUnwindSafe(|| check(case, backend))).unwrap_or_else(|_| Err("panicked".into()))
    };
    let failure = |case: &Case| checked(case).err().map(|error| format!("{}: {}", case.name, chain(&*error)));
    let failures: Vec<String> = cases.iter().filter_map(failure).collect();
    assert!(failures.is_empty(), "{} of {} {kind}\n{}", failures.len(), cases.len(), failures.join("\n"));
}

#[test]
fn every_operators_gradient_is_autograds_on_tract() {
    gradients_match("operators", &TractBackend::new());
}

#[test]
fn every_operators_gradient_is_autograds_on_onnx_runtime() {
    let Some(backend) = engines::ort() else { return };
    gradients_match("operators", &backend);
}

#[test]
fn whole_networks_gradients_are_autograds_on_tract() {
    gradients_match("networks", &TractBackend::new());
}

#[test]
fn whole_networks_gradients_are_autograds_on_onnx_runtime() {
    let Some(backend) = engines::ort() else { return };
    gradients_match("networks", &backend);
}

#[test]
fn what_has_no_rule_is_refused_by_operator_and_node() {
    let mut unnamed = Vec::new();
    for case in cases("refused") {
        let Err(error) = derived(&case) else { panic!("{}: has a gradient", case.name) };
        let message = chain(&*error);
        let missing = case.words("names").into_iter().filter(|word| !message.contains(word));
        unnamed.extend(missing.map(|word| format!("{}: no \"{word}\" in: {message}", case.name)));
    }
    assert!(unnamed.is_empty(), "{}", unnamed.join("\n"));
}
