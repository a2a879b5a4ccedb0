//! Calibrated thresholds against trying every one.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use offramp_models::Sha256;
use offramp_runtime::calibrate::{CalibrateError, Costs, Demand, Family, calibrate};
use offramp_runtime::confidence::{Measure, Threshold};
use offramp_runtime::policy::{Constraint, Fallback, PolicyFile, PolicySpec, Rule};
use offramp_runtime::recording::Recording;
use offramp_runtime::replay::{Evaluation, Replay};
use proptest::prelude::*;

const MACS: [u64; 4] = [10, 30, 60, 100];

fn costs(exits: usize) -> Costs<'static> {
    Costs { macs: &MACS[MACS.len() - exits..], latency_s: None, energy_j: None }
}

fn recordings() -> impl Strategy<Value = Recording> {
    (1..5_usize, 1..25_usize).prop_flat_map(|(exits, images)| {
        let logit = prop_oneof![(-2..3_i8).prop_map(f32::from), -4.0..4.0_f32];
        let logits = prop::collection::vec(logit, images * exits * 3);
        let labels = prop::collection::vec((0..3_usize).prop_map(Some), images);
        (logits, labels).prop_map(move |(logits, labels)| {
            Recording::new(exits, 3, logits, labels, Sha256::of(b"calibration")).unwrap()
        })
    })
}

fn demands() -> impl Strategy<Value = Demand> {
    let limit = || prop_oneof![Just(0.0), Just(1.0), 0.0..1.0_f64];
    let constraint = prop_oneof![
        (limit(), any::<bool>())
            .prop_map(|(limit, relative)| Constraint::MaxAccuracyDrop { limit, relative }),
        limit().prop_map(|limit| Constraint::MaxMacs { limit }),
    ];
    let measure = prop_oneof![Just(Measure::MaxSoftmax), Just(Measure::Entropy), Just(Measure::Margin)];
    let fallback = prop_oneof![Just(Fallback::Final), Just(Fallback::MostConfident)];
    (constraint, measure, fallback).prop_map(|(constraint, measure, fallback)| Demand {
        constraint,
        family: Family::Confidence { measure, per_exit: false },
        fallback,
    })
}

fn evaluate(recording: &Recording, policy: &PolicySpec) -> Evaluation {
    let replay = Replay::new(recording).unwrap();
    let policy = policy.fit(recording.exits()).unwrap();
    replay.evaluate(policy.as_ref(), costs(recording.exits()).macs)
}

/// Whether the constraint holds, and how good that is: less is better.
fn judge(recording: &Recording, constraint: Constraint, found: &Evaluation) -> Option<[f64; 2]> {
    let (accuracy, macs) = (found.accuracy.unwrap(), found.macs_fraction.unwrap());
    match constraint {
        Constraint::MaxAccuracyDrop { limit, relative } => {
            let whole = evaluate(recording, &PolicySpec::fixed(recording.exits() - 1)).accuracy.unwrap();
            let allowed = if relative { limit * whole } else { limit };
            (whole - accuracy <= allowed + 1e-9).then_some([macs, -accuracy])
        }
        Constraint::MaxMacs { limit } => (macs <= limit + 1e-9).then_some([-accuracy, macs]),
        _ => unreachable!("other constraints are not generated"),
    }
}

fn spec(demand: &Demand, threshold: Threshold) -> PolicySpec {
    let Family::Confidence { measure, .. } = demand.family else { unreachable!("thresholds are generated") };
    let rule = Rule::Confidence { measure, thresholds: vec![threshold] };
    PolicySpec { rule, fallback: demand.fallback }
}

/// The best of all thresholds that make a difference.
fn exhaustive(recording: &Recording, demand: &Demand) -> Option<[f64; 2]> {
    let Family::Confidence { measure, .. } = demand.family else { unreachable!("thresholds are generated") };
    let predictions = recording.predictions().unwrap();
    let achieved = predictions.iter().map(|prediction| prediction.confidence(measure).into());
    let judged = achieved.chain([Threshold::ALWAYS, Threshold::CERTAIN]).filter_map(|threshold| {
        judge(recording, demand.constraint, &evaluate(recording, &spec(demand, threshold)))
    });
    judged.min_by(|a, b| a.partial_cmp(b).unwrap())
}

fn close(a: [f64; 2], b: [f64; 2]) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9)
}

proptest! {
    #[test]
    fn one_threshold_is_as_good_as_the_best_of_all(recording in recordings(), demand in demands()) {
        let expected = exhaustive(&recording, &demand);
        match calibrate(&recording, &demand, &costs(recording.exits())) {
            Ok(file) => {
                let found = evaluate(&recording, &file.policy);
                let calibration = file.calibration.unwrap();
                prop_assert!((calibration.accuracy - found.accuracy.unwrap()).abs() < 1e-12);
                prop_assert!((calibration.macs_fraction - found.macs_fraction.unwrap()).abs() < 1e-12);
                let judged = judge(&recording, demand.constraint, &found);
                prop_assert!(judged.zip(expected).is_some_and(|(a, b)| close(a, b)), "{judged:?} {expected:?}");
            }
            Err(CalibrateError::Infeasible { .. }) => prop_assert_eq!(expected, None),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn thresholds_per_exit_keep_to_the_demand_and_are_no_worse_than_one(
        recording in recordings(),
        one in demands(),
    ) {
        let Family::Confidence { measure, .. } = one.family else { unreachable!("thresholds are generated") };
        let several = Demand { family: Family::Confidence { measure, per_exit: true }, ..one };
        let run = |demand| calibrate(&recording, demand, &costs(recording.exits())).ok();
        let judged = |file: &PolicyFile| {
            judge(&recording, one.constraint, &evaluate(&recording, &file.policy)).expect("the demand is kept")
        };
        let found = run(&several);
        prop_assert_eq!(&found, &run(&several));
        let found = found.map(|file| judged(&file));
        if let Some(file) = run(&one) {
            let by_one = judged(&file);
            prop_assert!(found.is_some_and(|found| found[0] <= by_one[0] + 1e-9), "{found:?} {by_one:?}");
        }
    }
}

/// Exit 0 is sure and right on half of the images, exit 1 on the others; the final exit is always right.
fn split() -> Recording {
    let (sure, wrong) = ([9.0, 0.0], [1.0, 2.0]);
    let image = |at: usize| if at.is_multiple_of(2) { [sure, wrong, sure] } else { [wrong, sure, sure] };
    let logits = (0..40).flat_map(image).flatten().collect();
    Recording::new(3, 2, logits, vec![Some(0); 40], Sha256::of(b"calibration")).unwrap()
}

fn refusal(constraint: Constraint, costs: &Costs<'_>) -> String {
    use std::error::Error as _;
    let family = Family::Confidence { measure: Measure::MaxSoftmax, per_exit: false };
    let demand = Demand { constraint, family, fallback: Fallback::Final };
    let error = calibrate(&split(), &demand, costs).unwrap_err();
    error.source().map_or(error.to_string(), |source| format!("{error}: {source}"))
}

#[test]
fn a_latency_budget_is_judged_by_the_measured_table() {
    let latency_s = [0.001, 0.002, 0.004];
    let costs = Costs { latency_s: Some(&latency_s), ..costs(3) };
    let family = Family::Confidence { measure: Measure::MaxSoftmax, per_exit: false };
    let constraint = Constraint::MaxLatency { limit_s: 0.0015 };
    let demand = Demand { constraint, family, fallback: Fallback::Final };
    let file = calibrate(&split(), &demand, &costs).unwrap();
    assert_eq!(evaluate(&split(), &file.policy).counts, [20, 20, 0]);
    assert_eq!(file.calibration.unwrap().accuracy, 1.0);
    assert!(PolicyFile::by_hand(file.policy).calibration.is_none());
}

#[test]
fn patience_is_calibrated_too() {
    let constraint = Constraint::MaxAccuracyDrop { limit: 0.0, relative: false };
    let demand = Demand { constraint, family: Family::Patience, fallback: Fallback::Final };
    let file = calibrate(&split(), &demand, &costs(3)).unwrap();
    assert_eq!(file.policy.rule, Rule::Patience { patience: 3 });
}

#[test]
fn a_demand_that_cannot_be_met_names_the_best_that_can() {
    let latency_s = [0.001, 0.002, 0.004];
    let measured = Costs { latency_s: Some(&latency_s), ..costs(3) };
    insta::assert_snapshot!(
        refusal(Constraint::MaxLatency { limit_s: 0.0001 }, &measured),
        @"no policy keeps to a mean latency of at most 0.100 ms, the best reaches 1.000 ms"
    );
    insta::assert_snapshot!(
        refusal(Constraint::MaxMacs { limit: 0.1 }, &measured),
        @"no policy keeps to a MACs fraction of at most 0.1, the best reaches 0.3000"
    );
}

#[test]
fn a_demand_that_cannot_be_judged_says_why() {
    insta::assert_snapshot!(
        refusal(Constraint::MaxEnergy { limit_j: 0.5 }, &costs(3)),
        @"the budget cannot be judged: energy_j was not measured: no cost by exit was given"
    );
    insta::assert_snapshot!(
        refusal(Constraint::MaxAccuracyDrop { limit: 1.5, relative: true }, &costs(3)),
        @"a relative accuracy drop of at most 1.5 is no demand, expected a limit in [0, 1]"
    );
    insta::assert_snapshot!(
        refusal(Constraint::MaxMacs { limit: 0.5 }, &costs(2)),
        @"MACs by exit: expected 3 finite entries with a final one above 0, got [60.0, 100.0]"
    );
    let unlabelled = Recording::new(1, 1, vec![0.0], vec![None], Sha256::of(b"")).unwrap();
    let constraint = Constraint::MaxMacs { limit: 1.0 };
    let demand = Demand { constraint, family: Family::Patience, fallback: Fallback::Final };
    let refused = |recording| calibrate(recording, &demand, &costs(1)).unwrap_err();
    insta::assert_snapshot!(refused(&unlabelled), @"calibration needs labels, image 0 has none");
    let empty = Recording::new(1, 1, Vec::new(), Vec::new(), Sha256::of(b"")).unwrap();
    insta::assert_snapshot!(refused(&empty), @"calibration needs images, got none");
    let broken = Recording::new(1, 1, vec![f32::NAN], vec![None], Sha256::of(b"")).unwrap();
    insta::assert_snapshot!(refused(&broken), @"the recording cannot be replayed");
}
