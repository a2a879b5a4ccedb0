//! Where images leave, and which exits break first.

use super::*;

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
