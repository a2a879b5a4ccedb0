//! The Early Attack, and transfer between networks.

use super::*;

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
