//! All questions at once: what holds together, what is refused, how tables are written.

use super::*;

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
