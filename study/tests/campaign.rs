//! Campaigns on the shipped network and tract: resumed, grown, refused.
#![expect(clippy::unwrap_used, reason = "a test may stop at once")]

use std::error::Error as _;
use std::fs;
use std::path::Path;

use offramp_models::dataset::{ArchiveWriter, DataRef, OpenOptions, Samples, open, shapes};
use offramp_runtime::backend::tract::TractBackend;
use offramp_study::campaign::{
    Campaign, CampaignError, Config, ConfigError, Event, Finished, FolderError, InputKind, Row,
};
use offramp_study::findings::Cell;

const TINY: &str = r#"
    seed = 7
    data.images = "shapes:test:8"
    calibration.images = "shapes:calibration:20"

    [[networks]]
    name = "sdn"
    zoo = "shapes-sdn"

    [[methods]]
    method = "fgsm"

    [[methods]]
    method = "deepsloth"
    iterations = 2

    [[corruptions]]
    kind = "gaussian-noise"
    severities = [3]

    [[policies]]
    threshold = 0.9

    [[policies]]
    name = "cheap"
    max_macs = 0.5
"#;

fn config(text: &str) -> Config {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/zoo");
    Config::from_toml(text, &models).unwrap()
}

/// Runs until `progress` says stop.
fn run(
    text: &str,
    dir: &Path,
    progress: &mut dyn FnMut(Event<'_>) -> bool,
) -> Result<Finished, CampaignError> {
    let (config, backend) = (config(text), TractBackend::new());
    Campaign { config: &config, dir, backend: &backend, threads: None, producer: "a test" }.run(progress)
}

fn finished(text: &str, dir: &Path) -> Finished {
    run(text, dir, &mut |_| true).unwrap()
}

fn rows(dir: &Path) -> String {
    fs::read_to_string(dir.join("rows.jsonl")).unwrap()
}

/// The message and its causes.
fn message(error: &CampaignError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

#[test]
fn stopped_after_any_unit_and_within_any_a_campaign_goes_on_to_the_same_rows() {
    let home = tempfile::tempdir().unwrap();
    let (whole, pieces) = (home.path().join("whole"), home.path().join("pieces"));
    finished(TINY, &whole);
    let (mut stops, mut least) = (0, 0);
    loop {
        // Once in the middle of the unit that is next, once after it.
        let (within, units, mut steps) = (stops % 2 == 0, stops / 2, 0);
        let ran = run(TINY, &pieces, &mut |event| {
            steps += usize::from(event.step.is_some());
            if within { steps < 2 } else { event.done <= units }
        });
        let lines = fs::read_to_string(pieces.join("rows.jsonl")).unwrap_or_default().lines().count();
        assert!(lines >= least, "rows are never lost");
        least = lines;
        match ran {
            Ok(_) => break,
            Err(CampaignError::Stopped) => stops += 1,
            Err(error) => panic!("{}", message(&error)),
        }
    }
    assert!(stops > 20, "it was stopped {stops} times");
    assert_eq!(rows(&pieces), rows(&whole));
}

#[test]
fn a_half_written_row_and_a_set_without_its_manifest_are_made_again() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    let before = finished(TINY, dir);
    let (text, set) = (rows(dir), before.rows.last().unwrap().input.name.clone());
    fs::write(dir.join("rows.jsonl"), &text[..text.len() - 40]).unwrap();
    fs::remove_file(dir.join(format!("sets/{set}.json"))).unwrap();
    fs::write(dir.join("sets/.offramp-killed"), "half a set").unwrap();
    let after = finished(TINY, dir);
    assert_eq!(rows(dir), text);
    assert_eq!(after.rows, before.rows);
    assert!(dir.join(format!("sets/{set}.json")).is_file());
    assert!(!dir.join("sets/.offramp-killed").exists());
}

#[test]
fn a_finished_campaign_does_nothing_again() {
    let home = tempfile::tempdir().unwrap();
    finished(TINY, home.path());
    let mut steps = 0;
    run(TINY, home.path(), &mut |event| {
        steps += usize::from(event.step.is_some());
        true
    })
    .unwrap();
    assert_eq!(steps, 0, "nothing is crafted or run");
}

#[test]
fn a_study_may_grow_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    finished(TINY, dir);
    let before = rows(dir);

    let refused = |text: &str| match run(text, dir, &mut |_| true) {
        Err(CampaignError::Folder(error)) => error,
        other => panic!("{other:?}"),
    };
    let fewer = TINY.replace("method = \"fgsm\"", "method = \"mi-fgsm\"");
    assert!(matches!(refused(&fewer), FolderError::Removed { what, .. } if what == "fgsm on sdn"));
    let other = TINY.replace("shapes:test:8", "shapes:test:9");
    assert!(matches!(refused(&other), FolderError::Other { .. }));
    let stricter = TINY.replace("max_macs = 0.5", "max_macs = 0.6");
    assert!(matches!(refused(&stricter), FolderError::Other { what, .. } if what == "policy \"cheap\""));
    let study = dir.join("study.json");
    let text = fs::read_to_string(&study).unwrap();
    fs::write(&study, text.replace("tract cpu", "ort cuda")).unwrap();
    assert!(matches!(refused(TINY), FolderError::Other { what, .. } if what == "the backend"));
    fs::write(&study, text).unwrap();
    assert_eq!(rows(dir), before, "a refused study leaves the folder as it was");

    let more = TINY.replace("method = \"fgsm\"", "method = \"fgsm\"\nepsilon = [\"2/255\", \"8/255\"]");
    assert!(matches!(refused(&more), FolderError::Removed { .. }), "another name is another method");
    let more = format!("{TINY}\n[[methods]]\nmethod = \"pgd\"\niterations = 2\n");
    finished(&more, dir);
    let after = rows(dir);
    assert!(after.starts_with(&before));
    assert_eq!(after.lines().count(), before.lines().count() + 2, "one set under two policies");
}

#[test]
fn a_folder_of_something_else_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("thesis.tex"), "years of work").unwrap();
    let error = run(TINY, home.path(), &mut |_| true).unwrap_err();
    assert!(matches!(error, CampaignError::Folder(FolderError::Foreign { .. })), "{error}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
}

#[test]
fn two_campaigns_do_not_run_in_one_folder() {
    let home = tempfile::tempdir().unwrap();
    let mut second = None;
    let first = run(TINY, home.path(), &mut |_| {
        second = Some(run(TINY, home.path(), &mut |_| true));
        false
    });
    assert!(matches!(first, Err(CampaignError::Stopped)));
    assert!(matches!(second, Some(Err(CampaignError::Folder(FolderError::Busy { .. })))));
}

#[test]
fn every_set_is_tried_on_every_network_and_names_its_surrogate() {
    let home = tempfile::tempdir().unwrap();
    let text = format!(
        "{TINY}
        [[networks]]
        name = \"twin\"
        model = \"shapes-sdn.onnx\"
        static = true
        exits = [\"exit5\"]"
    );
    let found = finished(&text, home.path());
    let pairs = |kind| {
        let rows = found.rows.iter().filter(move |row| row.input.kind == kind && row.policy.name != "cheap");
        let name = |row: &Row| (row.surrogate.as_ref().map(|it| it.name.clone()), row.target.name.clone());
        rows.map(name).collect::<Vec<_>>()
    };
    let pair = |a: &str, b: &str| (Some(a.to_owned()), b.to_owned());
    let (dynamic, twin) = (pair("sdn", "sdn"), pair("sdn", "twin"));
    let expected = [dynamic.clone(), dynamic, pair("twin", "sdn"), twin.clone(), twin, pair("twin", "twin")];
    assert_eq!(pairs(InputKind::Adversarial), expected);
    assert_eq!(pairs(InputKind::Benign), [(None, "sdn".to_owned()), (None, "twin".to_owned())]);
    let only =
        found.rows.iter().filter(|row| row.target.name == "twin").all(|row| row.policy.name == "final");
    assert!(only, "one exit leaves nothing to choose");
    let skipped = found.skipped.iter().map(|it| (it.network.as_str(), it.method.as_str()));
    assert_eq!(skipped.collect::<Vec<_>>(), [("twin", "deepsloth iterations 2")]);
    // The twin is the same function as the final exit, so white-box sets of both are the same attack.
    let at_final = |surrogate: &str| {
        let of = |row: &&Row| {
            row.surrogate.as_ref().is_some_and(|it| it.name == surrogate) && row.target.name == "twin"
        };
        let row = found.rows.iter().find(of).unwrap();
        row.figures.as_ref().unwrap().accuracy.unwrap()[1]
    };
    assert!((at_final("sdn") - at_final("twin")).abs() <= 1.0 / 8.0);
}

#[test]
fn where_nothing_can_be_attacked_rows_say_so_and_the_study_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let data = open(&"shapes:test:4".parse::<DataRef>().unwrap(), &OpenOptions::default()).unwrap();
    let path = home.path().join("wrong.npz");
    let mut archive = ArchiveWriter::create(&path).unwrap();
    archive.array("x", "|u1", vec![4, 3, 32, 32], 1).unwrap();
    for image in 0..4 {
        let picture = data.image(image).unwrap();
        let Samples::U8(samples) = picture.samples() else { panic!("shapes are 8-bit") };
        archive.bytes(samples).unwrap();
    }
    // No answer of the network is this label: all of them are wrong as they are.
    let wrong = |image| (data.label(image).unwrap() as i64 + 5) % shapes::CLASSES as i64;
    archive.integers("y", (0..4).map(wrong).collect::<Vec<_>>().into_iter()).unwrap();
    archive.finish().unwrap();
    let text = format!(
        "data.images = {path:?}
        [[networks]]
        name = \"sdn\"
        zoo = \"shapes-sdn\"
        [[methods]]
        method = \"fgsm\"
        [[policies]]
        threshold = 0.9"
    );
    let found = finished(&text, &home.path().join("study"));
    let row = found.rows.last().unwrap();
    assert_eq!((row.input.kind, &row.figures), (InputKind::Adversarial, &None));
    assert!(row.skipped.as_ref().unwrap().contains("nothing to attack"), "{row:?}");
    assert!(found.rows[0].figures.is_some(), "benign images are judged all the same");
}

#[test]
fn a_set_whose_pictures_are_gone_is_crafted_again() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    let found = finished(TINY, dir);
    let set = dir.join(format!("sets/{}.npz", found.rows.last().unwrap().input.name));
    let (before, text) = (fs::read(&set).unwrap(), rows(dir));
    fs::remove_file(&set).unwrap();
    finished(TINY, dir);
    assert!(fs::read(&set).unwrap() == before, "the same bytes");
    assert_eq!(rows(dir), text);
}

#[test]
fn what_an_exit_costs_is_known_and_the_advice_says_whether_it_pays() {
    let home = tempfile::tempdir().unwrap();
    let found = finished(TINY, home.path());
    let table = found.findings.tables().find(|table| table.name == "exit-returns").unwrap();
    let at = |name: &str| table.columns.iter().position(|column| column.name == name).unwrap();
    let [exit, head, cost, advice] = ["exit", "head_macs", "cost_macs", "advice"].map(at);
    assert!(!table.rows.is_empty());
    for row in &table.rows {
        if row[exit] == Cell::Number(5.0) {
            assert_eq!(row[head], Cell::NotMeasured("the final exit cannot be removed".into()));
            continue;
        }
        let (Cell::Number(head), Cell::Number(cost)) = (&row[head], &row[cost]) else { panic!("{row:?}") };
        assert!(*head > 0.0 && *cost <= *head, "{row:?}");
        let Cell::Text(advice) = &row[advice] else { panic!("{row:?}") };
        assert!(!advice.contains("unknown"), "{advice}");
    }
    assert!(found.provenance.not_measured.iter().all(|what| !what.what.starts_with("MACs")));
}

#[test]
fn a_model_that_would_be_split_another_way_is_refused_once_the_study_is_begun_and_not_before() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    let model =
        |more: &str| TINY.replace("zoo = \"shapes-sdn\"", &format!("model = \"shapes-sdn.onnx\"\n{more}"));
    let (whole, cut) = (model(""), model("static = true\nexits = [\"exit5\"]"));
    // Stopped when the network is split and nothing else is there.
    let stopped = run(&whole, dir, &mut |_| false);
    assert!(matches!(stopped, Err(CampaignError::Stopped)));
    assert!(dir.join("networks/sdn/manifest.json").is_file() && !dir.join("study.json").exists());
    let found = finished(&cut, dir);
    assert!(found.rows.iter().all(|row| row.policy.name == "final"), "one exit, as asked for");
    let error = run(&whole, dir, &mut |_| true).unwrap_err();
    let CampaignError::Folder(FolderError::Other { what, .. }) = error else { panic!("{error}") };
    assert_eq!(what, "the way of splitting network \"sdn\"");
}

#[test]
fn networks_that_cannot_be_compared_are_refused_before_anything_is_crafted() {
    let home = tempfile::tempdir().unwrap();
    let names = home.path().join("names");
    let turned: Vec<&str> = shapes::CLASS_NAMES.iter().rev().copied().collect();
    fs::write(&names, turned.join("\n")).unwrap();
    let small = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance/networks/residual.onnx");
    let refused = |name: &str, network: String, more: &str| {
        let text = format!("transfer = true\n{more}\n{TINY}\n[[networks]]\nname = \"other\"\n{network}");
        message(&run(&text, &home.path().join(name), &mut |_| true).unwrap_err())
    };
    let said = refused("same", "zoo = \"shapes-sdn\"".into(), "");
    assert!(said.starts_with("networks \"sdn\" and \"other\" are the same: both are "), "{said}");
    let said = refused("order", format!("model = \"shapes-vgg-sdn.onnx\"\nclasses = {names:?}"), "");
    let class = |at: usize| shapes::CLASS_NAMES[at];
    let (here, there) = (class(0), class(shapes::CLASSES - 1));
    assert_eq!(said, format!("network \"other\" calls class 0 \"{there}\", \"sdn\" calls it \"{here}\""));
    let said = refused("shapes", format!("model = {small:?}"), "");
    let shapes =
        "network \"other\" takes (3, 12, 12), \"sdn\" takes (3, 32, 32): sets of one are not for the other";
    assert_eq!(said, shapes);
}

#[test]
fn images_of_another_size_are_refused_before_anything_is_crafted() {
    let home = tempfile::tempdir().unwrap();
    let small = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance/networks/residual.onnx");
    let text = TINY.replace("zoo = \"shapes-sdn\"", &format!("model = {small:?}"));
    let said = message(&run(&text, home.path(), &mut |_| true).unwrap_err());
    assert!(said.contains("pictures of height 32 and width 32, the network takes 12 and 12"), "{said}");
}

#[test]
fn thresholds_are_never_chosen_on_the_images_that_judge_them() {
    let home = tempfile::tempdir().unwrap();
    let text = TINY.replace("shapes:calibration:20", "shapes:test:20");
    let error = run(&text, home.path(), &mut |_| true).unwrap_err();
    assert!(matches!(error, CampaignError::CalibrationIsTest { .. }), "{error}");
}

#[test]
fn what_is_no_study_is_refused_by_name() {
    let message = |text: &str| Config::from_toml(text, Path::new("")).unwrap_err().to_string();
    let with = |line: &str| format!("{TINY}\n{line}");
    assert_eq!(message("data.images = \"shapes:test\""), "a study needs a network");
    assert_eq!(
        message(&with("[[networks]]\nname = \"sdn\"\nzoo = \"x\"")),
        "two networks are called \"sdn\""
    );
    assert_eq!(
        message(&with("[[networks]]\nname = \"b\"\nzoo = \"x\"\nbundle = \"y\"")),
        "network \"b\" needs one of bundle, model or zoo, got 2"
    );
    assert_eq!(
        message(&with("[[networks]]\nname = \"b\"\nbundle = \"y\"\nstatic = true")),
        "network \"b\" is no model to be split: static, exits, mean, std and classes go with model"
    );
    assert_eq!(
        message(&with("[[policies]]\nname = \"p\"\nthreshold = 0.5\npatience = 2")),
        "policy \"p\" needs one of threshold, thresholds, patience, exit, max_accuracy_drop or max_macs"
    );
    assert_eq!(
        message(&TINY.replace("calibration.images", "#")),
        "a study needs calibration images for a policy that is calibrated"
    );
    let named = |name: &str| message(&with(&format!("[[policies]]\nname = \"{name}\"\nthreshold = 0.5")));
    assert_eq!(named(" "), "policy \" \" needs a name, or none for that of its rule");
    let thresholds = |thresholds: &str| {
        let text = with(&format!("[[policies]]\nname = \"p\"\nthreshold = {thresholds}"));
        let error = Config::from_toml(&text, Path::new("")).unwrap_err();
        error.to_string() + &error.source().map_or(String::new(), |source| source.to_string())
    };
    assert_eq!(thresholds("[]"), "policy \"p\" needs a threshold at least");
    for wrong in ["1.5", "[0.5, 1.5]"] {
        let said = thresholds(wrong);
        assert!(said.contains("a threshold is a number from 0 to 1, got 1.5"), "{said}");
    }
    assert_eq!(message(&format!("seeds = [3, 0, 3]\n{TINY}")), "two seeds are called \"3\"");
    assert_eq!(
        message(&TINY.replace("severities = [3]", "severities = [3, 1, 3]")),
        "two corruptions are called \"gaussian-noise severity 3\""
    );
    assert_eq!(
        message(&with(
            "[[networks]]\nname = \"sdn.a\"\nzoo = \"x\"\n[[policies]]\nname = \"a.cheap\"\nthreshold = 0.5"
        )),
        "two policy files are called \"sdn.a.cheap.json\""
    );
    let both =
        with("[[corruptions]]\nkind = \"gaussian-noise\"\nseverities = [3]\nconstants = \"tiny-imagenet\"");
    assert!(Config::from_toml(&both, Path::new("")).is_ok(), "other constants are another corruption");
    for nothing in ["blocks = 0", "turn = 0"] {
        let latency = Config::from_toml(&with(&format!("[latency]\n{nothing}")), Path::new("")).unwrap_err();
        assert!(matches!(latency, ConfigError::Form(_)), "{nothing}");
    }
    let unknown = Config::from_toml(&with("colour = 1"), Path::new("")).unwrap_err();
    assert!(matches!(unknown, ConfigError::Form(_)));
}

#[test]
fn the_shipped_studies_are_read() {
    let studies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../studies");
    let shapes = Config::read(&studies.join("shapes.toml")).unwrap();
    assert_eq!((shapes.networks.len(), shapes.policies.len()), (4, 3));
    let cifar = Config::read(&studies.join("cifar10.toml")).unwrap();
    assert_eq!(cifar.methods.iter().filter(|spec| spec.method.alpha.is_some()).count(), 12);
    let early = Config::read(&studies.join("early-attack.toml")).unwrap();
    assert_eq!(early.methods.len(), 3 * 6);
}

#[test]
fn the_shipped_ablation_switches_one_piece_at_a_time() {
    let studies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../studies");
    let ablation = Config::read(&studies.join("early-ablation.toml")).unwrap();
    let [base, switched @ .., published, improved] = ablation.methods.as_slice() else { panic!() };
    assert_eq!(base.label, "early as-coded alpha 1");
    let pieces = switched.iter().map(|spec| {
        let given = serde_json::to_value(&spec.method).unwrap();
        let base = serde_json::to_value(&base.method).unwrap();
        let beside = given.as_object().unwrap().iter().filter(|(key, value)| base.get(key) != Some(value));
        let [(key, value)] = beside.collect::<Vec<_>>()[..] else { panic!("{}", spec.label) };
        format!("{key} {value}")
    });
    let expected = [
        "distance \"squared\"",
        "distance \"norm\"",
        "loss_exits \"all\"",
        "rivals \"all\"",
        "keep \"first\"",
        "start \"image\"",
        "keep \"nearest\"",
        "rounding true",
        "iterations 300",
    ];
    assert_eq!(pieces.collect::<Vec<_>>(), expected);
    let ends = [published, improved].map(|spec| spec.label.as_str());
    assert_eq!(ends, ["early as-published alpha 1", "early improved alpha 1"]);
}
