use insta::assert_snapshot;
use offramp_models::{Classes, DType, Extra, Input, Layout, Manifest, Sha256, TensorSpec};
use proptest::prelude::*;

use crate::sample::{chain, manifest};

fn message(change: impl FnOnce(&mut Manifest)) -> String {
    let mut changed = manifest();
    change(&mut changed);
    let found = changed.validate().unwrap_err();
    let read = Manifest::from_json(&serde_json::to_vec(&changed).unwrap()).unwrap_err();
    assert_eq!(chain(&found), chain(&read));
    chain(&found)
}

#[test]
fn every_refusal_names_the_thing_what_was_expected_and_what_was_found() {
    manifest().validate().unwrap();
    assert_snapshot!(message(|m| m.name = "../evil".into()), @r#"the network's name is "../evil", expected letters, digits, ".", "_" and "-", a letter or digit first"#);
    assert_snapshot!(message(|m| m.exits.clear()), @"the manifest lists no exits");
    assert_snapshot!(message(|m| m.segments.clear()), @"the manifest lists no segments");
    assert_snapshot!(message(|m| m.segments[1].index = 7), @"segment 1 says it is number 7");
    assert_snapshot!(message(|m| m.exits[0].index = 1), @"exit 0 says it is number 1");
    assert_snapshot!(message(|m| m.exits[1].segment = 0), @"exit 1 is computed by segment 0, expected segment 1: one segment per exit");
    assert_snapshot!(message(|m| m.exits[1].logits = "nowhere".into()), @r#"exit 1 expects segment 1 to output "nowhere", which it does not"#);
    assert_snapshot!(message(|m| m.exits[1].macs_fraction = 1.5), @"macs_fraction is 1.5, expected a number in [0, 1]");
    assert_snapshot!(message(|m| drop(m.exits.pop())), @"exits has 1 entries, expected 2");
    assert_snapshot!(message(|m| m.segments[1].inputs[0].shape[1] = Some(17)), @r#"segment 1 takes "feature", which neither the input nor an earlier segment gives in that form"#);
    assert_snapshot!(message(|m| m.segments[1].outputs[0].name = "feature".into()), @r#"segment 1 outputs "feature" a second time"#);
    assert_snapshot!(message(|m| m.segments[0].outputs[1].shape[1] = Some(usize::MAX)), @r#""feature" float32 [batch, 18446744073709551615, 8, 8] cannot be a tensor at a cut, expected extents above 0 and at most 2^40 elements"#);
    assert_snapshot!(message(|m| m.classes.count = 100), @r#""logits0" float32 [batch, 10] cannot be an exit's logits, expected float32 [batch, classes]"#);
    assert_snapshot!(message(|m| m.classes.names = Some(vec!["cat".into()])), @"classes.names has 1 entries, expected 10");
    assert_snapshot!(message(|m| m.input.dtype = DType::Int64), @r#""image" int64 [batch, 3, 32, 32] cannot be the network's input, expected float32 or uint8"#);
    assert_snapshot!(message(|m| m.input.shape = vec![None, None, Some(32), Some(32)]), @r#""image" float32 [batch, batch, 32, 32] cannot be the network's input, expected a batch and three known extents"#);
    assert_snapshot!(message(|m| m.input.shape[0] = Some(0)), @r#""image" float32 [0, 3, 32, 32] cannot be the network's input, expected extents from 1 to 65536"#);
    assert_snapshot!(message(|m| m.input.mean = Some(vec![0.5])), @"mean has 1 entries, expected 3");
    assert_snapshot!(message(|m| m.input.std = None), @"the pair of mean and std has 1 entries, expected 2");
    assert_snapshot!(message(|m| m.input.std = Some(vec![1.0, 0.0, 1.0])), @"std is 0, expected above 0");
    assert_snapshot!(message(|m| m.input.range = [1.0, 0.0]), @"white in range is 0, expected above black");
}

#[test]
fn costs_that_do_not_follow_from_the_segments_are_refused() {
    assert_snapshot!(message(|m| m.exits[1].macs = u64::MAX), @"macs of exit 1 is 18446744073709551615, expected 2000: the sum over the segments up to it");
    assert_snapshot!(message(|m| m.exits[1].macs = 500), @"macs of exit 1 is 500, expected 2000: the sum over the segments up to it");
    assert_snapshot!(message(|m| m.exits[0].params = 101), @"params of exit 0 is 101, expected 100: the sum over the segments up to it");
    assert_snapshot!(message(|m| m.segments[1].macs = u64::MAX), @"macs up to segment 1 come to more than 2^53, with 18446744073709551615 of it there");
    assert_snapshot!(message(|m| m.segments[0].params = u64::MAX), @"params up to segment 0 come to more than 2^53, with 18446744073709551615 of it there");
    assert_snapshot!(message(|m| m.exits[0].macs_fraction = 0.25), @"macs_fraction of exit 0 is 0.25, expected 0.5: its macs over those of the final exit");
    assert_snapshot!(message(|m| m.segments[0].boundary_bytes = u64::MAX), @"boundary_bytes of segment 0 is 18446744073709551615, expected 4096: the bytes per image that later segments read");
    assert_snapshot!(message(|m| m.segments[1].boundary_bytes = 1), @"boundary_bytes of segment 1 is 1, expected 0: the bytes per image that later segments read");
    let mut rounded = manifest();
    rounded.segments[1].macs = 2000;
    rounded.exits[1].macs = 3000;
    rounded.exits[0].macs_fraction = 0.333333;
    rounded.validate().unwrap();
}

#[test]
fn a_tensor_read_further_down_crosses_every_cut_on_its_way() {
    let mut skipping = manifest();
    let (mut segment, mut exit) = (skipping.segments[1].clone(), skipping.exits[1].clone());
    (segment.index, segment.outputs[0].name) = (2, "logits2".into());
    segment.inputs.push(skipping.input.spec());
    (exit.index, exit.segment, exit.logits) = (2, 2, "logits2".into());
    (exit.macs, exit.params) = (3000, 300);
    skipping.segments.push(segment);
    skipping.exits.push(exit);
    for (exit, fraction) in skipping.exits.iter_mut().zip([1.0 / 3.0, 2.0 / 3.0, 1.0]) {
        exit.macs_fraction = fraction;
    }
    let image = 3 * 32 * 32 * 4;
    [skipping.segments[0].boundary_bytes, skipping.segments[1].boundary_bytes] = [4096 + image; 2];
    skipping.validate().unwrap();
    skipping.segments[1].boundary_bytes = 4096;
    assert_snapshot!(skipping.validate().unwrap_err(), @"boundary_bytes of segment 1 is 4096, expected 16384: the bytes per image that later segments read");
}

#[test]
fn a_path_that_leaves_the_bundle_is_refused() {
    for file in ["", "../x", "segments/../../x", "/etc/passwd", "a\\..\\x", "./x", ".."] {
        let refused = message(|m| m.segments[1].file = file.into());
        assert_eq!(refused, format!("the file \"{file}\" does not lie inside the bundle"));
        let extra = Extra { file: file.into(), sha256: Sha256::of(b""), kind: "tail".into() };
        assert_eq!(message(|m| m.extras.push(extra)), refused);
    }
}

#[test]
fn a_manifest_of_another_version_is_told_apart_from_a_broken_one() {
    let read = |text: &str| chain(&Manifest::from_json(text.as_bytes()).unwrap_err());
    assert_snapshot!(read(r#"{"schema_version": 2, "anything": []}"#), @"the manifest has schema version 2, this build reads 1");
    assert_snapshot!(read("{}"), @"not a bundle manifest of schema version 1: missing field `schema_version`");
    assert_snapshot!(read("segments"), @"not a bundle manifest of schema version 1: expected value at line 1 column 1");
    let mut json = serde_json::to_value(manifest()).unwrap();
    json["colour"] = "red".into();
    assert_snapshot!(read(&json.to_string()), @"not a bundle manifest of schema version 1: unknown field `colour`, expected one of `schema_version`, `name`, `producer`, `source`, `input`, `classes`, `exits`, `segments`, `extras`");
}

#[test]
fn identity_follows_what_is_computed_and_nothing_else() {
    let identity = |change: fn(&mut Manifest)| {
        let mut changed = manifest();
        change(&mut changed);
        changed.identity()
    };
    let same = manifest().identity();
    for change in [
        (|m| m.name = "other".into()) as fn(&mut Manifest),
        |m| m.producer = "other".into(),
        |m| m.source.sha256 = Sha256::of(b"other"),
        |m| m.extras.clear(),
    ] {
        assert_eq!(identity(change), same);
    }
    let mut seen = vec![same];
    for change in [
        (|m| m.input.range = [0.0, 255.0]) as fn(&mut Manifest),
        |m| m.input.mean = None,
        |m| m.classes.count = 11,
        |m| m.exits[0].macs = 1,
        |m| m.exits.swap(0, 1),
        |m| m.segments[1].sha256 = Sha256::of(b"other"),
        |m| m.segments[0].outputs[1].shape[0] = Some(1),
    ] {
        let found = identity(change);
        assert!(!seen.contains(&found));
        seen.push(found);
    }
}

#[test]
fn identity_is_the_one_that_other_readers_compute() {
    // python3: json.dumps({k: m[k] for k in ("input", "classes", "exits", "segments")}, sort_keys=True,
    // separators=(",", ":"), ensure_ascii=False), hashed, where m is read from this manifest with mean and std null.
    let mut manifest = manifest();
    (manifest.input.mean, manifest.input.std) = (None, None);
    assert_snapshot!(manifest.identity(), @"ef24fa68b2df2d46099aa0ec7ab6ac18e0c60ecdc57ddcab9c50f581c13b09d4");
}

fn channels() -> impl Strategy<Value = (Option<Vec<f32>>, Option<Vec<f32>>)> {
    proptest::option::of((
        proptest::collection::vec(-300.0f32..300.0, 3),
        proptest::collection::vec(1e-6f32..300.0, 3),
    ))
    .prop_map(Option::unzip)
}

fn any_manifest() -> impl Strategy<Value = Manifest> {
    let names = proptest::option::of(proptest::collection::vec(".{0,8}", 10));
    let costs = proptest::collection::vec((0..1u64 << 51, 0..1u64 << 51), 2);
    (channels(), names, costs, "[a-zA-Z0-9][a-zA-Z0-9._-]{0,20}", ".{0,12}", any::<bool>()).prop_map(
        |((mean, std), names, costs, name, text, nhwc)| {
            let mut made = manifest();
            made.name = name;
            made.producer = text;
            made.classes = Classes { count: 10, names };
            made.input = Input { mean, std, ..made.input };
            let whole: u64 = costs.iter().map(|(macs, _)| macs).sum();
            let mut sums = (0, 0);
            for (index, (macs, params)) in costs.into_iter().enumerate() {
                sums = (sums.0 + macs, sums.1 + params);
                (made.segments[index].macs, made.segments[index].params) = (macs, params);
                (made.exits[index].macs, made.exits[index].params) = sums;
                made.exits[index].macs_fraction = if whole == 0 { 1.0 } else { sums.0 as f64 / whole as f64 };
            }
            if nhwc {
                let shape = vec![None, Some(32), Some(32), Some(3)];
                made.input = Input { layout: Layout::Nhwc, shape: shape.clone(), ..made.input };
                made.segments[0].inputs = vec![TensorSpec { shape, ..made.segments[0].inputs[0].clone() }];
            }
            made
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back_with_its_identity(made in any_manifest()) {
        for text in [serde_json::to_vec(&made).unwrap(), serde_json::to_vec_pretty(&made).unwrap()] {
            let read = Manifest::from_json(&text).unwrap();
            prop_assert_eq!(read.identity(), made.identity());
            prop_assert_eq!(&read, &made);
        }
    }
}
