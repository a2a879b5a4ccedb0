//! The study's questions on recordings small enough to be answered by hand.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop at once")]

mod scripted;

use offramp_runtime::bench;
use offramp_runtime::confidence::{Measure, Threshold};
use offramp_runtime::policy::{Fallback, PolicySpec, Rule};
use offramp_runtime::replay::Replay;
use offramp_runtime::statistics::{Bootstrap, Interval};
use offramp_study::adversarial::{Crafted, Score, Size, Summary};
use offramp_study::findings::{Figure, Findings, MOST_SERIES, Mark, Table};
use offramp_study::metrics::change_of_exit::{self, ChangeOfExit};
use offramp_study::metrics::confirmation::{self, Confirmed, Figures};
use offramp_study::metrics::early_attack::{self, Point, Setting};
use offramp_study::metrics::early_success::{self, EarlySuccess};
use offramp_study::metrics::efficacy::{self, Efficacy};
use offramp_study::metrics::first_flip::{self, FirstFlip};
use offramp_study::metrics::latency::{self, MeasuredLatency};
use offramp_study::metrics::returns::{Advice, Return};
use offramp_study::metrics::transfer::{self, Direction, Rates, Transfer};
use offramp_study::metrics::{
    Comparison, Costs, Inquiry, Origin, Pairing, Runs, accuracy, curve, returns, summary,
};
use scripted::{number, replay, text, unlabelled, why};

const MACS: &[u64] = &[10, 20, 40];

const PGD: Origin<'_> = Origin { crafted: true, family: "pgd", label: "pgd" };

/// All that is found of sets that are asked for one after the other.
fn inquired(sets: &[&[Comparison<'_>]], measure: Measure) -> Findings {
    let mut inquiry = Inquiry::new(["net", "other", "Net!"].map(str::to_owned).to_vec(), measure);
    sets.iter().for_each(|set| inquiry.add(set, None));
    inquiry.finish(Runs::default())
}

/// The figures whose names begin with `name`.
fn figures(findings: &Findings, name: &str) -> Vec<Figure> {
    findings.figures().filter(|figure| figure.name.starts_with(name)).cloned().collect()
}

/// A comparison on `network` of a set crafted on `surrogate`, max-softmax 0.9.
fn crossed<'a>(
    [surrogate, network]: [&'a str; 2],
    macs: &'a [u64],
    policy: &'a PolicySpec,
    [benign, adversarial]: [&'a Replay; 2],
) -> Comparison<'a> {
    let costs = Costs::counted(macs);
    let (set, policy_name) = ("pgd", "default");
    let origin = PGD;
    let pairing =
        Pairing { network, set, surrogate, origin, policy_name, policy, costs, benign, adversarial };
    Comparison::new(pairing).unwrap()
}

fn compared<'a>(policy: &'a PolicySpec, [benign, adversarial]: [&'a Replay; 2]) -> Comparison<'a> {
    let macs = &MACS[..benign.exits()];
    crossed(["net", "net"], macs, policy, [benign, adversarial])
}

#[test]
fn a_change_of_exit_is_the_adversarial_exit_less_the_benign_one() {
    let benign = replay(&[("0! 0! 0!", 0), ("0? 1! 1!", 1), ("2! 2! 2!", 2), ("1? 1? 1!", 1)]);
    let adversarial = replay(&[("0? 1? 1!", 0), ("1! 1! 1!", 1), ("2! 0! 0!", 2), ("1? 1! 1!", 1)]);
    let policy = PolicySpec::default();
    let comparisons = [compared(&policy, [&benign, &adversarial])];
    let changes: Vec<_> = ChangeOfExit::of(&comparisons[0]).by_change().collect();
    assert_eq!(changes, [(-2, 0), (-1, 2), (0, 1), (1, 0), (2, 1)]);
    let table = change_of_exit::table(&comparisons);
    let shares = ["earlier", "same", "later", "later_by_more_than_one", "mean_change"];
    assert_eq!(shares.map(|column| number(&table, 0, column)), [0.5, 0.25, 0.25, 0.25, 0.0]);
    assert_eq!(number(&table, 0, "macs_fraction_benign"), (10.0 + 20.0 + 10.0 + 40.0) / 160.0);
}

#[test]
fn the_summary_names_the_input_that_is_most_wrong_and_the_one_that_leaves_latest() {
    let benign = replay(&[("0! 0! 0!", 0), ("1! 1! 1!", 1)]);
    let wrong = replay(&[("1! 1! 1!", 0), ("0! 0! 0!", 1)]);
    let late = replay(&[("0? 0? 0!", 0), ("1? 1? 0!", 1)]);
    let policy = PolicySpec::default();
    let of = |set, adversarial| {
        let costs = Costs::counted(MACS);
        let given = *compared(&policy, [&benign, adversarial]).given();
        Comparison::new(Pairing { set, costs, ..given }).unwrap()
    };
    let mut glance = summary::Glance::default();
    [of("late", &late), of("wrong", &wrong), of("as late", &late)].iter().for_each(|one| glance.add(one));
    let table = glance.table();
    let cases = [0, 1, 2].map(|row| (text(&table, row, "case"), text(&table, row, "set")));
    assert_eq!(cases, [("benign", "as they are"), ("most wrong", "wrong"), ("latest exit", "late")]);
    assert_eq!([0, 1, 2].map(|row| number(&table, row, "accuracy")), [1.0, 0.0, 0.5]);
    assert_eq!([0, 1, 2].map(|row| number(&table, row, "mean_exit")), [0.0, 0.0, 2.0]);
    assert!(summary::Glance::default().table().rows.is_empty());
}

#[test]
fn without_labels_no_input_is_called_the_most_wrong() {
    let (benign, other) = (unlabelled(&["0! 0! 0!"]), unlabelled(&["1? 1? 1!"]));
    let policy = PolicySpec::default();
    let mut glance = summary::Glance::default();
    glance.add(&compared(&policy, [&benign, &other]));
    let table = glance.table();
    assert_eq!([0, 1].map(|row| text(&table, row, "case")), ["benign", "latest exit"]);
    assert_eq!((table.rows.len(), why(&table, 0, "accuracy")), (2, "no labels"));
}

#[test]
fn the_density_of_the_change_has_an_area_of_one_and_is_exact_at_whole_numbers() {
    let benign = replay(&[("0! 0! 0!", 0), ("0! 1! 1!", 1), ("2! 2! 2!", 2)]);
    let adversarial = replay(&[("0? 1? 1!", 0), ("1? 1! 1!", 1), ("2! 0! 0!", 2)]);
    let policy = PolicySpec::default();
    let found = inquired(&[&[compared(&policy, [&benign, &adversarial])]], Measure::MaxSoftmax);
    let figures = figures(&found, "change-of-exit-");
    let series = &figures[0].series[0];
    assert_eq!((figures.len(), series.mark), (1, Mark::Area));
    let area: f64 = series.points.windows(2).map(|p| (p[1][0] - p[0][0]) * (p[0][1] + p[1][1]) / 2.0).sum();
    assert!((area - 1.0).abs() < 1e-12, "{area}");
    let third = 1.0 / 3.0;
    let expected =
        [[-3.0, 0.0], [-2.0, 0.0], [-1.0, 0.0], [0.0, third], [1.0, third], [2.0, third], [3.0, 0.0]];
    assert_eq!(series.points, expected);
}

#[test]
fn the_first_flip_is_the_first_exit_that_leaves_its_own_benign_label_when_the_final_one_does() {
    let benign = replay(&[("0! 1! 1!", 1), ("0! 0! 0!", 0), ("2! 2! 2!", 2), ("1! 1! 1!", 1)]);
    // Exit 0 keeps its 0 and exit 1 flips; only the final flips; only an early one does; nothing does.
    let adversarial = replay(&[("0! 2! 2!", 1), ("0! 0! 1!", 0), ("0! 2! 2!", 2), ("1! 1! 1!", 1)]);
    let policy = PolicySpec::default();
    let comparisons = [compared(&policy, [&benign, &adversarial])];
    let found = FirstFlip::of(&comparisons[0]);
    assert_eq!(found, FirstFlip { images: 4, by_exit: vec![0, 1, 1], early_only: 1 });
    assert_eq!(found.mean(), Some(1.5));
    let table = first_flip::table(&comparisons);
    assert_eq!((number(&table, 0, "flipped_share"), number(&table, 0, "at_first_exit")), (0.5, 0.0));
    let by_exit = first_flip::by_exit(&comparisons);
    assert_eq!([0, 1, 2].map(|row| number(&by_exit, row, "share")), [0.0, 0.5, 0.5]);
    let figures = figures(&inquired(&[&comparisons], Measure::MaxSoftmax), "first-flip-");
    assert_eq!(figures[0].series[0].points, [[0.0, 0.0], [1.0, 0.5], [2.0, 0.5]]);
}

#[test]
fn early_success_needs_every_early_label_lost_and_the_final_one_kept() {
    let benign = replay(&[("1! 1! 1!", 1), ("1! 1! 1!", 1), ("1! 1! 1!", 1), ("0! 0! 1!", 1)]);
    // Success; one early exit holds out; the final one falls too; early exits were never right.
    let adversarial = replay(&[("0! 2! 1!", 1), ("0! 1! 1!", 1), ("0! 0! 0!", 1), ("0? 0? 1!", 1)]);
    let policy = PolicySpec::default();
    let comparisons = [compared(&policy, [&benign, &adversarial])];
    let found = EarlySuccess::of(&comparisons[0]).unwrap();
    let expected = EarlySuccess {
        images: 4,
        attackable: 3,
        early_fooled: 3,
        final_kept: 3,
        success: 2,
        attackable_success: 1,
        // The last image is in doubt early, so the policy goes on to the final label.
        deployed: 1,
    };
    assert_eq!(found, expected);
    let table = early_success::table(&comparisons);
    assert_eq!(number(&table, 0, "success"), 0.5);
    assert_eq!(number(&table, 0, "attackable_success"), 1.0 / 3.0);
}

#[test]
fn where_all_early_exits_are_wrong_before_the_attack_nothing_is_attackable() {
    let images = [("0! 0! 1!", 1), ("2! 0! 1!", 1)];
    let (benign, adversarial) = (replay(&images), replay(&images));
    let policy = PolicySpec::default();
    let comparisons = [compared(&policy, [&benign, &adversarial])];
    let table = early_success::table(&comparisons);
    assert_eq!(number(&table, 0, "success"), 1.0);
    assert_eq!(why(&table, 0, "attackable_success"), "every image fools all early exits before the attack");
    assert_eq!(why(&first_flip::table(&comparisons), 0, "mean_first_flip"), "no final label changed");
}

#[test]
fn early_transfer_is_judged_by_the_targets_own_final_label() {
    let policy = PolicySpec::default();
    let there = [
        replay(&[("1! 1! 1!", 1), ("2! 2! 2!", 2), ("0! 0! 0!", 0)]),
        replay(&[("0! 0! 1!", 1), ("0! 1! 2!", 2), ("0! 1! 0!", 0)]),
    ];
    // The target calls the second image 0 when benign: fooling it means losing 0.
    let here = [
        replay(&[("1! 1! 1!", 1), ("0! 0! 0!", 2), ("0! 0! 0!", 0)]),
        replay(&[("0! 0! 1!", 1), ("1! 1! 1!", 2), ("0! 0! 0!", 0)]),
    ];
    let comparisons = [
        crossed(["a", "a"], MACS, &policy, there.each_ref()),
        crossed(["a", "b"], MACS, &policy, here.each_ref()),
    ];
    let table = early_success::transfer_table(&comparisons);
    assert_eq!(table.rows.len(), 1);
    let thirds = |thirds: f64| thirds / 3.0;
    assert_eq!(["t1", "t2", "both"].map(|c| number(&table, 0, c)), [thirds(2.0), thirds(2.0), thirds(1.0)]);
    // The first two succeed where crafted, the first of them here.
    assert_eq!(number(&table, 0, "both_of_successful"), 0.5);
    let alone = early_success::transfer_table(&comparisons[1..]);
    assert_eq!(why(&alone, 0, "both_of_successful"), "the set was not run on the network it was crafted on");
}

fn points(settings: &[Setting<'_, '_>]) -> Vec<Point> {
    settings.iter().filter_map(Setting::point).collect()
}

#[test]
fn an_alpha_sweep_is_drawn_in_the_order_of_alpha() {
    let benign = replay(&[("1! 1! 1!", 1), ("1! 1! 1!", 1)]);
    let [half, all] =
        [replay(&[("0! 0! 1!", 1), ("1! 1! 1!", 1)]), replay(&[("0! 0! 1!", 1), ("0! 0! 1!", 1)])];
    let policy = PolicySpec::default();
    let [half, all] = [&half, &all].map(|set| compared(&policy, [&benign, set]));
    let of = |series, alpha, comparison| Setting { series, alpha, comparison, crafted: None };
    let swept = |alpha, comparison| of("improved", alpha, comparison);
    let single = of("improved start noise", 1.0, &half);
    let sets = [swept(1.0, &all), swept(0.01, &half), single, swept(0.0, &half)];
    let table = early_attack::table(&sets);
    assert_eq!([0, 1, 2, 3].map(|row| number(&table, row, "success")), [1.0, 0.5, 0.5, 0.5]);
    assert_eq!(text(&table, 2, "settings"), "improved start noise");
    let figures = early_attack::figures(&points(&sets));
    assert!(figures[0].x.logarithmic);
    assert_eq!(figures[0].series.len(), 1, "one alpha is no sweep");
    assert_eq!(figures[0].series[0].points, [[0.01, 0.5], [1.0, 1.0]]);
    assert!(early_attack::figures(&points(&[single])).is_empty());
}

#[test]
fn a_setting_of_the_early_attack_shows_what_it_costs_and_what_rounding_takes() {
    let benign = replay(&[("1! 1! 1!", 1), ("1! 1! 1!", 1)]);
    let stored = replay(&[("0? 0! 1!", 1), ("1! 1! 1!", 1)]);
    let policy = PolicySpec::default();
    let comparison = compared(&policy, [&benign, &stored]);
    let score = |labels: [usize; 3], exit, reached| {
        let predicted = labels[exit];
        Score { labels: labels.to_vec(), exit, predicted, reached: Some(reached) }
    };
    // The second image succeeds before rounding only.
    let crafted = |index, size, reached| Crafted {
        index,
        label: Some(1),
        attacked: 1,
        size,
        benign: score([1, 1, 1], 0, false),
        float: score([0, 0, 1], 1, true),
        stored: score([0, 0, 1], 1, reached),
    };
    let images = [
        crafted(0, Size { linf: 0.5, l2: 1.0, l1: 4.0 }, true),
        crafted(1, Size { linf: 0.25, l2: 2.0, l1: 4.0 }, false),
    ];
    let summary = Summary::of(&images, 3);
    let of = |crafted| Setting { series: "as-coded", alpha: 1.0, comparison: &comparison, crafted };
    let table = early_attack::table(&[of(Some(&summary)), of(None)]);
    let shown = ["attackable_success_float", "attackable_success", "l2_mean", "linf_mean"];
    assert_eq!(shown.map(|column| number(&table, 0, column)), [1.0, 0.5, 1.5, 0.375]);
    let exits = ["mean_exit_benign", "mean_exit_adversarial"];
    assert_eq!(exits.map(|column| number(&table, 0, column)), [0.0, 0.5]);
    assert_eq!(text(&table, 0, "policy"), "default");
    for column in ["attackable_success_float", "l2_mean", "linf_mean"] {
        assert_eq!(why(&table, 1, column), "the set's manifest is not at hand");
    }
    assert_eq!(number(&table, 1, "attackable_success"), 0.5);
}

#[test]
fn transfer_counts_only_images_that_both_networks_had_right() {
    let policy = PolicySpec::default();
    let fixed = [
        replay(&[("0!", 0), ("1!", 1), ("2!", 0), ("1!", 1), ("2!", 2)]),
        replay(&[("1!", 0), ("0!", 1), ("2!", 0), ("1!", 1), ("0!", 2)]),
    ];
    let dynamic = [
        replay(&[("0! 0! 0!", 0), ("1! 1! 1!", 1), ("0! 0! 0!", 0), ("1! 1! 1!", 1), ("0! 0! 2!", 2)]),
        replay(&[("1! 1! 1!", 0), ("1! 1! 0!", 1), ("1! 0! 0!", 0), ("2! 1! 1!", 1), ("0! 0! 0!", 2)]),
    ];
    let comparisons = [
        crossed(["fixed", "fixed"], &[9], &policy, fixed.each_ref()),
        crossed(["fixed", "dynamic"], MACS, &policy, dynamic.each_ref()),
    ];
    let expected = Transfer {
        direction: Direction::StaticToDynamic,
        labelled: 5,
        wrong: 4,
        both_right: 3,
        fooled: 2,
        surrogate_fooled: 2,
        both_fooled: 1,
    };
    assert_eq!(Transfer::of(&comparisons[0], &comparisons[1]), expected);
    let table = transfer::table(&comparisons);
    assert_eq!((table.rows.len(), text(&table, 0, "direction")), (1, "S2D"));
    assert_eq!(number(&table, 0, "success"), 2.0 / 3.0);
    assert_eq!(number(&table, 0, "wrong"), 0.8);
    let mut rates = Rates::default();
    rates.add(&comparisons);
    let summary = rates.by_direction();
    assert_eq!((summary.rows.len(), number(&summary, 0, "mean_success")), (1, 2.0 / 3.0));
    let figures = rates.figures();
    assert_eq!(figures[0].x.categories.as_deref().unwrap(), ["fixed to dynamic"]);
    assert_eq!((figures[0].series[0].name.as_str(), figures[0].series[0].points[0][0]), ("S2D", 0.0));
    let without_surrogate = transfer::table(&comparisons[1..]);
    assert_eq!(why(&without_surrogate, 0, "success"), "the set was not run on the network it was crafted on");
}

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

/// Tables are as wide as their columns, names are file names, nothing is not a number.
fn holds_together(findings: &Findings) {
    let is_name = |name: &str| {
        name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') && !name.is_empty()
    };
    let names = findings.tables().map(|t| &t.name).chain(findings.figures().map(|f| &f.name));
    let mut names: Vec<_> = names.collect();
    assert!(names.iter().all(|name| is_name(name)), "{names:?}");
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
    for table in findings.tables() {
        assert!(table.rows.iter().all(|row| row.len() == table.columns.len()), "{}", table.name);
        let mut columns: Vec<_> = table.columns.iter().map(|column| &column.name).collect();
        columns.sort();
        columns.dedup();
        assert_eq!(columns.len(), table.columns.len(), "{}", table.name);
        assert!(!table.csv().contains("not a finite number"), "{}", table.csv());
    }
    let points = findings.figures().flat_map(|f| &f.series).flat_map(|series| &series.points);
    assert!(points.flatten().all(|coordinate| coordinate.is_finite()));
    assert!(findings.figures().flat_map(|f| &f.series).all(|series| !series.points.is_empty()));
    assert!(findings.figures().all(|figure| figure.series.len() <= MOST_SERIES));
}

#[test]
fn hostile_recordings_give_tables_with_reasons_and_no_figures_of_nothing() {
    let policy = PolicySpec { fallback: Fallback::MostConfident, ..PolicySpec::default() };
    let labelled = [("0! 1! 1!", 0), ("2? 2? 0?", 2)];
    let nothing: Vec<(&str, usize)> = Vec::new();
    let dynamic = replay(&labelled);
    let recordings = [
        (replay(&[("0!", 0), ("1?", 0)]), replay(&[("1!", 0), ("1?", 0)])),
        (scripted::replay_of(3, &nothing), scripted::replay_of(3, &nothing)),
        (scripted::replay_of(1, &nothing), scripted::replay_of(1, &nothing)),
        (unlabelled(&["0! 1! 1!", "2? 2? 0?"]), unlabelled(&["1! 1! 1!", "0? 0? 0?"])),
        (replay(&[("1! 1! 1!", 0)]), replay(&[("1! 1! 1!", 0)])),
        (dynamic.clone(), dynamic),
    ];
    for (benign, adversarial) in &recordings {
        let macs = &MACS[..benign.exits()];
        for macs in [macs, &[0, 0, 0][..benign.exits()]] {
            let of = |names| crossed(names, macs, &policy, [benign, adversarial]);
            let comparisons = [of(["net", "net"]), of(["net", "Net!"]), of(["other", "net"])];
            let found = inquired(&[&comparisons], Measure::Entropy);
            holds_together(&found);
            let rows =
                |name: &str| found.tables().find(|table| table.name == name).map(|table| table.rows.len());
            assert_eq!(rows("accuracy"), Some(3));
            // Where there is one exit, there is nothing to leave earlier or later at.
            assert_eq!(rows("change-of-exit"), (benign.exits() > 1).then_some(3));
            if benign.labels().is_empty() {
                assert_eq!(found.figures().count(), 0);
            }
        }
    }
    assert_eq!(inquired(&[], Measure::Margin), Findings::default());
}

#[test]
fn figures_hold_no_more_sets_than_can_be_told_apart_and_say_what_they_leave_out() {
    let policy = PolicySpec::default();
    let benign = replay(&[("0! 0! 0!", 0), ("1! 1! 1!", 1)]);
    let [kept, later, latest] =
        ["0! 0! 0!", "0? 0! 0!", "0? 0? 0!"].map(|words| replay(&[(words, 0), ("1! 1! 1!", 1)]));
    let names: Vec<[String; 2]> = (0..12)
        .flat_map(|family| {
            ["weak", "strong", "weaker"].map(|how| [family.to_string(), format!("{how} {family}")])
        })
        .collect();
    let sets: Vec<[Comparison<'_>; 1]> = names
        .iter()
        .map(|[family, label]| {
            let adversarial = match label.split(' ').next() {
                Some("strong") => &latest,
                Some("weak") => &later,
                _ => &kept,
            };
            let given = *compared(&policy, [&benign, adversarial]).given();
            let origin = Origin { crafted: true, family, label };
            [Comparison::new(Pairing { set: label, origin, ..given }).unwrap()]
        })
        .collect();
    let sets: Vec<&[Comparison<'_>]> = sets.iter().map(|set| set.as_slice()).collect();
    let drawn = |sets: &[&[Comparison<'_>]], name: &str| -> Vec<Vec<String>> {
        let found = inquired(sets, Measure::MaxSoftmax);
        holds_together(&found);
        let series = |figure: Figure| figure.series.into_iter().map(|series| series.name).collect();
        figures(&found, name).into_iter().map(series).collect()
    };
    // Few are all drawn; of many the one of each family that changes most, over as many figures as it takes.
    assert_eq!(drawn(&sets[..3], "change-of-exit-"), [["weak 0", "strong 0", "weaker 0"]]);
    let strong =
        |from: usize, to: usize| (from..to).map(|family| format!("strong {family}")).collect::<Vec<_>>();
    assert_eq!(drawn(&sets, "change-of-exit-"), [strong(0, 6), strong(6, 12)]);
    let benign = |sets: Vec<String>| [vec!["benign".to_owned()], sets].concat();
    assert_eq!(drawn(&sets, "exit-density-"), [benign(strong(0, 6)), benign(strong(6, 12))]);
    let figure = &figures(&inquired(&sets, Measure::MaxSoftmax), "change-of-exit-")[1];
    assert_eq!(figure.title, "Change of exit: net, default, 2 of 2");
    let left_out = "Sets crafted on the network itself: 12 of 36, of every method the one that moves the mean exit most. \
                    The table “RQ2: do adversarial images leave later?” has all.";
    assert!(figure.caption.ends_with(left_out), "{}", figure.caption);
}

#[test]
fn asked_set_by_set_or_all_at_once_the_answers_are_the_same() {
    let policy = PolicySpec::default();
    let benign = replay(&[("0! 0! 0!", 0), ("1? 1! 1!", 1)]);
    let [one, two] =
        [[("0? 1! 1!", 0), ("0! 1! 1!", 1)], [("2! 2? 0!", 0), ("1? 1? 2!", 1)]].map(|set| replay(&set));
    let of = |set, network, adversarial| {
        let given = *crossed(["net", network], MACS, &policy, [&benign, adversarial]).given();
        Comparison::new(Pairing { set, ..given }).unwrap()
    };
    let first = [of("first", "net", &one), of("first", "other", &two)];
    let second = [of("second", "net", &two), of("second", "other", &one)];
    let all = [first.to_vec(), second.to_vec()].concat();
    let apart = inquired(&[&first, &second], Measure::Margin);
    holds_together(&apart);
    assert_eq!(apart, inquired(&[&all], Measure::Margin));
    assert!(apart.tables().count() > 10 && apart.figures().count() > 5);
}

#[test]
fn sets_of_other_networks_and_corruptions_stand_behind_those_crafted_on_the_network_itself() {
    let policy = PolicySpec::default();
    let (benign, after) = (replay(&[("0! 0! 0!", 0)]), replay(&[("0? 1! 1!", 0)]));
    let own = crossed(["net", "net"], MACS, &policy, [&benign, &after]);
    let foreign = crossed(["net", "other"], MACS, &policy, [&benign, &after]);
    let origin = Origin { crafted: false, family: "noise", label: "noise 3" };
    let noise = Comparison::new(Pairing { set: "noise 3", origin, ..*own.given() }).unwrap();
    let stricter = Comparison::new(Pairing { policy_name: "strict", ..*own.given() }).unwrap();
    let found = inquired(&[&[noise], &[own, stricter, foreign]], Measure::MaxSoftmax);
    let topic = found.topics.iter().find(|topic| topic.title.starts_with("Exits taken")).unwrap();
    let titles = |figures: &[Figure]| -> Vec<String> {
        let titles = figures.iter().filter_map(|figure| figure.title.strip_prefix("Change of exit: "));
        titles.map(str::to_owned).collect()
    };
    assert_eq!(titles(&topic.figures), ["net, default", "other, default, crafted elsewhere"]);
    assert_eq!(titles(&topic.further), ["net, strict", "net, default, corrupted"]);
    let table = found.tables().find(|table| table.name == "change-of-exit").unwrap();
    let rows: Vec<_> =
        (0..4).map(|row| ["network", "surrogate"].map(|column| text(table, row, column))).collect();
    assert_eq!(rows, [["net", "none"], ["net", "net"], ["net", "net"], ["other", "net"]]);
}

#[test]
fn recordings_that_do_not_belong_together_are_refused() {
    let policy = PolicySpec::default();
    let benign = replay(&[("0! 0! 0!", 0), ("1! 1! 1!", 1)]);
    let refused = |adversarial: &Replay, costs: Costs<'_>, policy: &PolicySpec| {
        let (network, set, surrogate, policy_name) = ("net", "pgd", "net", "default");
        let benign = &benign;
        let error = Comparison::new(Pairing {
            network,
            set,
            surrogate,
            origin: PGD,
            policy_name,
            policy,
            costs,
            benign,
            adversarial,
        });
        let error = error.unwrap_err();
        assert_eq!(error.to_string(), "set pgd on network net cannot be compared with its benign images");
        std::error::Error::source(&error).unwrap().to_string()
    };
    let costs = Costs::counted(MACS);
    insta::assert_snapshot!(refused(&replay(&[("0!", 0), ("1!", 1)]), costs, &policy), @"the benign recording has 3 exits, the adversarial one 1");
    insta::assert_snapshot!(refused(&replay(&[("0! 0! 0!", 0)]), costs, &policy), @"the benign recording has 2 images, the adversarial one 1");
    insta::assert_snapshot!(refused(&replay(&[("0! 0! 0!", 0), ("1! 1! 1!", 2)]), costs, &policy), @"image 1 has label 1 in the benign recording, label 2 in the adversarial one");
    insta::assert_snapshot!(refused(&unlabelled(&["0! 0! 0!", "1! 1! 1!"]), costs, &policy), @"image 0 has label 0 in the benign recording, no label in the adversarial one");
    insta::assert_snapshot!(refused(&benign, Costs::counted(&[1, 2]), &policy), @"MACs by exit: expected 3 entries, none less than the one before, got [1.0, 2.0]");
    insta::assert_snapshot!(refused(&benign, Costs::counted(&[2, 1, 3]), &policy), @"MACs by exit: expected 3 entries, none less than the one before, got [2.0, 1.0, 3.0]");
    let heads = Costs { head_macs: Some(&[11, 0]), ..costs };
    insta::assert_snapshot!(refused(&benign, heads, &policy), @"head MACs by exit: expected 2 entries, none above the exit's MACs, got [11.0, 0.0]");
    let seconds = Costs { seconds: Some(&[0.1, f64::NAN, 0.3]), ..costs };
    insta::assert_snapshot!(refused(&benign, seconds, &policy), @"seconds by exit: expected 3 entries, finite and not negative, got [0.1, NaN, 0.3]");
    insta::assert_snapshot!(refused(&benign, costs, &PolicySpec::fixed(3)), @"the policy does not fit the network");
}

#[test]
fn a_table_is_written_as_csv_and_json_with_reasons_for_what_is_missing() {
    let table: Table = scripted::table();
    insta::assert_snapshot!(table.csv(), @r#"
    set,images,ratio,ratio_low,ratio_high,energy_j,not_measured
    "pgd, ""8/255""",3,1.5,1.25,1.6666666666666667,,energy_j: no meter
    benign,,,,,0.1,images: not a finite number; ratio: the others are measured against it
    "#);
    let json = table.json();
    assert_eq!(json["columns"][2]["format"]["decimals"], 2);
    let keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["schema_version", "name", "title", "caption", "columns", "rows", "not_measured"]);
    insta::assert_json_snapshot!((&json["rows"], &json["not_measured"]), @r#"
    [
      [
        {
          "set": "pgd, \"8/255\"",
          "images": 3,
          "ratio": {
            "value": 1.5,
            "low": 1.25,
            "high": 1.6666666666666667
          },
          "energy_j": null
        },
        {
          "set": "benign",
          "images": null,
          "ratio": null,
          "energy_j": 0.1
        }
      ],
      [
        {
          "row": 0,
          "what": "energy_j",
          "why": "no meter"
        },
        {
          "row": 1,
          "what": "images",
          "why": "not a finite number"
        },
        {
          "row": 1,
          "what": "ratio",
          "why": "the others are measured against it"
        }
      ]
    ]
    "#);
}
