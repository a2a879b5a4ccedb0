//! A sweep says of every policy what evaluating it alone says, and the front leaves out exactly what is beaten.
#![expect(clippy::unwrap_used, reason = "a test may stop at once")]

use offramp_models::Sha256;
use offramp_runtime::confidence::{Measure, Threshold};
use offramp_runtime::policy::{Fallback, Rule};
use offramp_runtime::recording::Recording;
use offramp_runtime::replay::Replay;
use offramp_study::findings::Mark;
use offramp_study::metrics::policies::{self, PolicyReplay, front};
use offramp_study::metrics::sweep::{Candidate, Family, sweep, thresholds};
use proptest::prelude::*;

const MEASURES: [Measure; 3] = [Measure::MaxSoftmax, Measure::Entropy, Measure::Margin];

/// Recordings of few logits, so that confidences and labels are often equal.
fn recordings() -> impl Strategy<Value = Recording> {
    (1_usize..6, 1_usize..5, 0_usize..12).prop_flat_map(|(exits, classes, images)| {
        let logits = prop::collection::vec((-2_i8..4).prop_map(f32::from), exits * classes * images);
        let labels = prop::collection::vec(prop::option::of(0..classes), images);
        (logits, labels).prop_map(move |(logits, labels)| {
            Recording::new(exits, classes, logits, labels, Sha256::of(b"")).unwrap()
        })
    })
}

/// Every confidence that occurs, the ends, and the grid; unsorted and with repetitions.
fn every_threshold(replay: &Replay, measure: Measure) -> Vec<Threshold> {
    let occurring = replay.images().flatten().map(|exit| exit.confidence(measure).into());
    let ends = [Threshold::CERTAIN, Threshold::ALWAYS, Threshold::DEFAULT, Threshold::ALWAYS];
    occurring.chain(ends).chain(thresholds(5)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_sweep_is_every_policy_evaluated_alone(recording in recordings(), most_confident: bool) {
        let replay = Replay::new(&recording).unwrap();
        let fallback = if most_confident { Fallback::MostConfident } else { Fallback::Final };
        let macs: Vec<u64> = (1..=replay.exits() as u64).map(|exit| exit * 7 - 3).collect();
        let family = |measure| Family::Confidence { measure, thresholds: every_threshold(&replay, measure) };
        let families: Vec<_> = MEASURES.map(family).into_iter().chain([Family::Patience]).collect();
        let found = sweep(&replay, &macs, &families, fallback);
        prop_assert_eq!(found.len(), 3 * every_threshold(&replay, Measure::Margin).len() + replay.exits());
        for Candidate { policy, evaluation } in &found {
            let alone = replay.evaluate(policy.fit(replay.exits()).unwrap().as_ref(), &macs);
            prop_assert_eq!(evaluation, &alone, "{}", policy);
            prop_assert_eq!(policy.fallback, fallback);
        }
    }

    #[test]
    fn the_front_is_what_no_other_policy_beats(recording in recordings()) {
        let replay = Replay::new(&recording).unwrap();
        let macs: Vec<u64> = (1..=replay.exits() as u64).collect();
        let candidates = sweep(&replay, &macs, &Family::all(7), Fallback::Final);
        let figures: Vec<_> = candidates.iter().map(|c| (c.evaluation.macs_fraction, c.evaluation.accuracy)).collect();
        let beaten = |at: usize| figures.iter().enumerate().any(|(other, (macs, accuracy))| {
            let no_worse = *macs <= figures[at].0 && *accuracy >= figures[at].1;
            no_worse && ((*macs, *accuracy) != figures[at] || other < at)
        });
        let known = |at: &usize| figures[*at].0.is_some() && figures[*at].1.is_some();
        let mut expected: Vec<_> = (0..figures.len()).filter(known).filter(|at| !beaten(*at)).collect();
        expected.sort_by(|a, b| figures[*a].partial_cmp(&figures[*b]).unwrap());
        prop_assert_eq!(front(&candidates), expected);
    }
}

#[test]
fn the_grid_rises_strictly_and_is_written_in_five_decimals() {
    let grid: Vec<f32> = thresholds(100).into_iter().map(Threshold::get).collect();
    assert_eq!((grid.len(), grid[0], grid[99]), (100, 0.01, 0.9999));
    assert!(grid.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(grid.iter().all(|threshold| threshold.to_string().len() <= "0.12345".len()));
    assert_eq!((thresholds(0).len(), thresholds(1).len()), (0, 1));
}

#[test]
fn a_policy_replay_lists_every_policy_and_draws_a_line_per_family_and_the_front() {
    // One image right early and sure, one right only at the end and in doubt before.
    let logits = vec![9.0, 0.0, 9.0, 0.0, 0.2, 0.0, 0.0, 9.0];
    let recording = Recording::new(2, 2, logits, vec![Some(0), Some(1)], Sha256::of(b"")).unwrap();
    let replay = Replay::new(&recording).unwrap();
    let of = |images| PolicyReplay::new(["net", images], &replay, &[1, 2], &Family::all(9), Fallback::Final);
    let replays = [of("benign"), of("benign")];
    assert_eq!(policies::table(&replays).rows.len(), 2 * (3 * 9 + 2));
    let best: Vec<_> =
        replays[0].best().map(|best| (best.evaluation.macs_fraction, best.evaluation.accuracy)).collect();
    assert_eq!(best, [(Some(0.5), Some(0.5)), (Some(0.75), Some(1.0))]);
    assert_eq!(policies::front_table(&replays[..1]).rows.len(), 2);
    assert!(matches!(replays[0].best().next().unwrap().policy.rule, Rule::Confidence { .. }));
    let figures = policies::figures(&replays);
    assert_eq!(
        figures.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(),
        ["policy-replay-net-benign", "policy-replay-net-benign-2"]
    );
    let names: Vec<_> = figures[0].series.iter().map(|series| (series.name.as_str(), series.mark)).collect();
    assert_eq!(
        names,
        [
            ("max-softmax", Mark::Line),
            ("entropy", Mark::Line),
            ("margin", Mark::Line),
            ("patience", Mark::Line),
            ("none better", Mark::Point)
        ]
    );
}
