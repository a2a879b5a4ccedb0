//! What exits give: efficacy, accuracy, latency, and what each returns.

use super::*;

#[test]
fn floor_and_ceiling_are_those_of_the_published_placements() {
    // Cost fractions of the published internal classifiers (10 classes) and what their placement allows.
    let placements: [(&[f64], [f64; 2]); 3] = [
        (&[0.126, 0.307, 0.487, 0.608, 0.788, 0.908, 1.0], [0.046, 0.937]),
        (&[0.154, 0.305, 0.446, 0.596, 0.738, 0.888, 1.0], [0.056, 0.923]),
        (&[0.168, 0.304, 0.439, 0.652, 0.894, 1.0], [0.053, 0.916]),
    ];
    for (costs, [floor, ceiling]) in placements {
        let at = |exit| {
            let mut counts = vec![0; costs.len()];
            counts[exit] = 5;
            Efficacy::of(&counts, costs).unwrap()
        };
        let (leave, stay) = (at(0), at(costs.len() - 1));
        assert!((stay.floor - floor).abs() < 1e-3 && (leave.ceiling - ceiling).abs() < 1e-3, "{stay:?}");
        assert_eq!((stay.raw, leave.raw), (stay.floor, leave.ceiling));
        assert_eq!((stay.normalised(), leave.normalised()), (Some(0.0), Some(1.0)));
    }
}

#[test]
fn efficacy_is_the_area_by_trapezoids_from_the_origin() {
    // (0, 0), (.25, .5), (.5, .75), (1, 1): .0625 + .15625 + .4375.
    let found = Efficacy::of(&[2, 1, 1], &[10.0, 20.0, 40.0]).unwrap();
    assert_eq!([found.raw, found.floor, found.ceiling], [0.656_25, 0.25, 0.875]);
    assert_eq!(found.normalised(), Some(0.65));
    assert_eq!(Efficacy::of(&[3], &[7.0]).unwrap().normalised(), None);
    let hopeless: [(&[usize], &[f64]); 5] = [
        (&[0, 0], &[1.0, 2.0]),
        (&[1, 1], &[0.0, 0.0]),
        (&[1, 1], &[2.0, 1.0]),
        (&[1], &[1.0, 2.0]),
        (&[], &[]),
    ];
    assert!(hopeless.into_iter().all(|(counts, costs)| Efficacy::of(counts, costs).is_none()));
}

#[test]
fn efficacy_by_latency_needs_measured_seconds_and_by_energy_a_meter() {
    let benign = replay(&[("0! 0! 0!", 0), ("0? 0? 0!", 0)]);
    let adversarial = replay(&[("0? 0? 0!", 0), ("0? 0? 0!", 0)]);
    let policy = PolicySpec::default();
    let comparison = compared(&policy, [&benign, &adversarial]);
    let table = efficacy::table(std::slice::from_ref(&comparison));
    assert_eq!(why(&table, 0, "latency_efficacy_benign"), "latency by exit was not measured");
    assert_eq!(
        why(&table, 0, "energy_efficacy_benign"),
        "a study measures no energy: `offramp bench --meter` does"
    );
    assert_eq!(["normalised_benign", "normalised_adversarial"].map(|c| number(&table, 0, c)), [0.5, 0.0]);
    let timed = |seconds: &[f64]| {
        let costs = Costs { seconds: Some(seconds), ..comparison.given().costs };
        efficacy::table(&[Comparison::new(Pairing { costs, ..*comparison.given() }).unwrap()])
    };
    assert_eq!(number(&timed(&[0.1, 0.2, 0.3]), 0, "latency_efficacy_adversarial"), 0.0);
    let reason = "a later exit was measured faster than an earlier one";
    assert_eq!(why(&timed(&[0.3, 0.2, 0.3]), 0, "latency_efficacy_benign"), reason);
}

#[test]
fn accuracy_and_curves_agree_with_the_labels() {
    let benign = replay(&[("0! 0! 0!", 0), ("0? 1? 1!", 1)]);
    let adversarial = replay(&[("1! 0! 0!", 0), ("0? 0? 0?", 1)]);
    let policy = PolicySpec::default();
    let comparisons = [compared(&policy, [&benign, &adversarial])];
    let table = accuracy::table(&comparisons);
    let columns =
        ["accuracy_benign", "accuracy_adversarial", "final_accuracy_benign", "final_accuracy_adversarial"];
    assert_eq!(columns.map(|column| number(&table, 0, column)), [1.0, 0.0, 1.0, 0.5]);
    let by_exit = accuracy::by_exit(&comparisons);
    assert_eq!([0, 1, 2].map(|row| number(&by_exit, row, "accuracy_benign")), [0.5, 1.0, 1.0]);
    let curve = curve::table(&comparisons, Measure::MaxSoftmax);
    // Confidences are 0.45 and 0.9998: at 0.1 all leave first, at 0.9 the doubtful one goes on, at 0.9999 both do.
    assert_eq!([0, 7].map(|row| number(&curve, row, "threshold")), [0.1, 0.9]);
    assert_eq!([0, 7].map(|row| number(&curve, row, "accuracy_benign")), [0.5, 1.0]);
    assert_eq!([0, 7].map(|row| number(&curve, row, "macs_fraction_benign")), [0.25, 0.625]);
    let figures = figures(&inquired(&[&comparisons], Measure::MaxSoftmax), "accuracy-against-cost-");
    let names: Vec<_> = figures[0].series.iter().map(|series| series.name.as_str()).collect();
    assert_eq!(names, ["benign", "pgd"]);
    assert_eq!(figures[0].series[0].points, [[0.25, 0.5], [0.625, 1.0], [1.0, 1.0]]);
}

#[test]
fn an_exit_returns_what_its_leavers_save_less_what_everybody_pays() {
    // Two leave at exit 0, wrongly once; nobody at exit 1; two at the end.
    let images = [("0! 0! 0!", 0), ("1! 0! 0!", 0), ("2? 2? 2!", 2), ("2? 2? 1!", 1)];
    let (benign, adversarial) = (replay(&images), replay(&images));
    let policy = PolicySpec::default();
    let comparison = compared(&policy, [&benign, &adversarial]);
    let head_macs = [4, 6];
    let costs = Costs { head_macs: Some(&head_macs), ..comparison.given().costs };
    let known = Comparison::new(Pairing { costs, ..*comparison.given() }).unwrap();
    let [found, _] = Return::of(&known);
    assert_eq!([0, 1, 2].map(|exit| (found[exit].reached, found[exit].left)), [(4, 2), (2, 0), (2, 2)]);
    assert_eq!(found[0].accuracy_left, Some(0.5));
    let [first, second] = [0, 1].map(|exit| found[exit].removal.unwrap());
    // Without exit 0 its two leave at exit 1 for 10 more; nobody pays 4.
    assert_eq!((first.head_macs, first.saved_macs, first.net_macs), (Some(4.0), 5.0, Some(1.0)));
    assert_eq!((first.accuracy, first.net_seconds), (Some(0.25), None));
    // Without exit 1 nobody leaves elsewhere; the two that go past save its 6.
    assert_eq!((second.head_macs, second.saved_macs, second.net_macs), (Some(3.0), 0.0, Some(-3.0)));
    assert_eq!(
        found.iter().map(Return::advice).collect::<Vec<_>>(),
        [Some(Advice::PaysInAccuracy), Some(Advice::NeverLeft), None]
    );
    let [unknown, _] = Return::of(&comparison);
    assert_eq!(unknown[0].advice(), Some(Advice::SavesUnknownCost));
    let mut ledger = returns::Ledger::default();
    [&known, &known].into_iter().for_each(|comparison| ledger.add(comparison));
    let table = ledger.table();
    assert_eq!(text(&table, 0, "images"), "benign");
    assert_eq!(table.rows.len(), 9, "benign images are told once");
    assert_eq!(
        ["cost_macs", "saved_macs", "net_macs"].map(|column| number(&table, 0, column)),
        [4.0, 5.0, 1.0]
    );
    assert_eq!(
        ["head_macs", "advice"].map(|column| why(&table, 2, column)),
        ["the final exit cannot be removed"; 2]
    );
}

#[test]
fn a_head_that_costs_more_than_it_saves_never_pays_and_seconds_outweigh_macs() {
    let images = [("0! 0!", 0), ("0? 0!", 0), ("0? 0!", 0), ("0? 0!", 0)];
    let (benign, adversarial) = (replay(&images), replay(&images));
    let policy = PolicySpec::default();
    let plain = Costs { head_macs: Some(&[8]), ..Costs::counted(&[10, 20]) };
    let timed = Costs { seconds: Some(&[0.1, 0.5]), head_seconds: Some(&[0.05]), ..plain };
    let advice = |costs| {
        let given = *compared(&policy, [&benign, &adversarial]).given();
        Return::of(&Comparison::new(Pairing { costs, ..given }).unwrap())[0][0].advice()
    };
    // 10 saved for one in four, 8 paid by all; 0.4 s saved for one in four, 0.05 s paid by all.
    assert_eq!([plain, timed].map(advice), [Some(Advice::NeverPays), Some(Advice::Pays)]);
}

#[test]
fn removing_an_exit_removes_its_threshold_and_leaves_patience_to_the_others() {
    let images = [("0! 1! 1!", 1), ("0? 0! 0!", 0)];
    let (benign, adversarial) = (replay(&images), replay(&images));
    let of = |rule| {
        let policy = PolicySpec { rule, fallback: Fallback::Final };
        let [found, _] = Return::of(&compared(&policy, [&benign, &adversarial]));
        found.iter().map(|exit| exit.removal.map(|removal| removal.saved_macs)).collect::<Vec<_>>()
    };
    let thresholds = vec![Threshold::CERTAIN, Threshold::DEFAULT];
    let confidence = Rule::Confidence { measure: Measure::MaxSoftmax, thresholds };
    // Nobody leaves at exit 0, both at exit 1: without it both go on to the end.
    assert_eq!(of(confidence), [Some(0.0), Some(20.0), None]);
    // Two that agree: the first image never, the second at exit 1. Without exit 0 or 1 only one early exit is left.
    assert_eq!(of(Rule::Patience { patience: 2 }), [Some(10.0), Some(10.0), None]);
    assert_eq!(of(Rule::Fixed { exit: 1 }), [None, None, None]);
}

#[test]
fn an_exit_that_nobody_leaves_at_may_let_others_leave_or_answer_rightly() {
    let advice = |images: &[(&str, usize)], rule, fallback| {
        let policy = PolicySpec { rule, fallback };
        let (benign, adversarial) = (replay(images), replay(images));
        let given = *compared(&policy, [&benign, &adversarial]).given();
        let costs = Costs { head_macs: Some(&[4, 6]), ..given.costs };
        Return::of(&Comparison::new(Pairing { costs, ..given }).unwrap())[0][0].advice()
    };
    // Two that agree: nobody leaves at the first exit, and without it nobody would leave at the second.
    let patience = Rule::Patience { patience: 2 };
    assert_eq!(advice(&[("0! 0! 0!", 0)], patience.clone(), Fallback::Final), Some(Advice::Pays));
    assert_eq!(advice(&[("1! 0! 0!", 0)], patience.clone(), Fallback::Final), Some(Advice::NeverLeft));
    // Nobody agrees, and the first exit is the surest: it answers, rightly.
    let most = Fallback::MostConfident;
    assert_eq!(advice(&[("0! 1? 2?", 0)], patience, most), Some(Advice::BuysAccuracy));
}

#[test]
fn a_prediction_error_is_predicted_less_run() {
    let recorded = replay(&[("0! 0! 0!", 0), ("0? 1? 1!", 0)]);
    let policy = PolicySpec::default().fit(3).unwrap();
    let predicted = Figures::predicted(&recorded.evaluate(policy.as_ref(), MACS), Some(&[0.01, 0.02, 0.03]));
    assert_eq!((predicted.accuracy, predicted.latency_s), (Some(0.5), Some(0.02)));
    let run =
        Figures { accuracy: Some(0.75), mean_exit: Some(1.0), latency_s: Some(0.025), macs_fraction: None };
    let names = ["net", "benign", "default"].map(str::to_owned);
    let [network, images, policy] = names;
    let table = confirmation::table(&[Confirmed { network, images, policy, predicted, run }]);
    assert_eq!(number(&table, 0, "accuracy_error"), -0.25);
    assert_eq!(number(&table, 0, "mean_exit_error"), 0.0);
    assert!((number(&table, 0, "latency_error_share") + 0.2).abs() < 1e-12);
    assert_eq!(why(&table, 0, "macs_fraction_error"), "no images or no MACs");
    assert!(table.columns.iter().all(|column| column.measured == column.name.starts_with("latency")));
}

#[test]
fn latency_stands_beside_the_ratio_to_benign_images_and_energy_is_not_measured() {
    let blocks = |seconds: f64| vec![vec![seconds; 4]; 3];
    let measured = |name: &str, seconds| bench::Measured {
        name: name.to_owned(),
        warm_up: bench::WarmedUp { runs: 0, steady: true },
        runs: 12,
        latency_s: None,
        median_s: offramp_runtime::statistics::median_interval(&blocks(seconds), Bootstrap::default()),
        exits: Vec::new(),
    };
    let ratio = Interval { estimate: 1.5, low: 1.4, high: 1.6 };
    let measured = bench::Comparison {
        subjects: vec![measured("benign", 0.002), measured("pgd", 0.003)],
        ratios: vec![bench::Ratio { name: "pgd".into(), against: "benign".into(), ratio }],
    };
    let table =
        latency::table(&[MeasuredLatency { network: "net", policy_name: "default", measured: &measured }]);
    assert_eq!([0, 1].map(|row| number(&table, row, "median_s")), [0.002, 0.003]);
    assert_eq!(number(&table, 1, "ratio"), 1.5);
    assert_eq!(why(&table, 0, "ratio"), "the others are measured against it");
    assert_eq!(why(&table, 1, "energy_j"), "a study measures no energy: `offramp bench --meter` does");
}
