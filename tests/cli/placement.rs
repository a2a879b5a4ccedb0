//! `--offload-after auto`, budgets, and `bench --offload`.

use std::path::Path;

use serde_json::Value;

use super::offload::{answers, bundle_with_tails, run};
use super::serving::Serving;
use super::{bundle, json, offramp, refusal, text};

#[test]
fn wherever_images_are_placed_they_get_the_same_exits_and_labels() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle_with_tails(folder.path());
    let (here, there) = (folder.path().join("here.jsonl"), folder.path().join("there.jsonl"));
    json(&run(&bundle, &here));
    let serving = Serving::start(&bundle, &[]);
    let flags = ["--offload", &serving.address(), "--offload-after", "auto", "--deadline-ms", "20000"];
    let output = offramp(&[&run(&bundle, &there)[..], &flags].concat());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("offload: where it is expected to be sooner done, after 0, 2 segments"), "{told}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers(&here).0, answers(&there).0);
    let cuts: Vec<_> =
        report["cuts"].as_array().unwrap().iter().map(|cut| cut["cut"].as_u64().unwrap()).collect();
    assert_eq!((cuts, &report["peers"][0]["state"]), (vec![0, 2], &"closed".into()));
}

#[test]
fn a_spent_budget_keeps_images_here() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle_with_tails(folder.path());
    let trace = folder.path().join("trace.jsonl");
    let serving = Serving::start(&bundle, &[]);
    let flags = ["--offload", &serving.address(), "--offload-after", "0", "--deadline-ms", "20000"];
    // One request at once, and the next in half an hour.
    let requests = ["--most-requests-per-s", "0.0005"];
    // The first image overdraws it.
    let bytes = ["--most-bytes-per-s", "1"];
    for budget in [requests, bytes] {
        let report = json(&[&run(&bundle, &trace)[..], &flags, &budget].concat());
        assert_eq!(
            (&report["images"], &report["offload"]["sent"]),
            (&40.into(), &1.into()),
            "{budget:?}: {report}"
        );
    }
}

fn link(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn every_way_is_tried_on_every_link_and_device_and_the_report_shows_which_is_best() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle_with_tails(folder.path());
    let shape = |delay: f64| {
        format!(
            "[up]\ndelay_ms = {delay}\nrate_bps = 50_000_000\n[down]\ndelay_ms = {delay}\nrate_bps = 50_000_000\n"
        )
    };
    let links =
        [link(folder.path(), "near.toml", &shape(1.0)), link(folder.path(), "far.toml", &shape(30.0))]
            .join(",");
    let out = folder.path().join("out");
    let bench = [
        "bench",
        text(&bundle),
        "--input",
        "shapes:test:8",
        "--against",
        "shapes:calibration:8",
        "--backend",
        "tract",
    ];
    let tried = [
        "--offload",
        "self",
        "--link",
        &links,
        "--device-scale",
        "1,2",
        "--blocks",
        "2",
        "--turn",
        "2",
        "--deadline-ms",
        "20000",
    ];
    let found = json(&[&bench[..], &tried, &["-o", text(&out), "--json"]].concat());
    assert_eq!((&found["server"], found["data"].as_array().unwrap().len()), (&"self".into(), 2));
    let cells = found["cells"].as_array().unwrap();
    let name = |cell: &Value| format!("{} x{}", cell["link"]["name"].as_str().unwrap(), cell["device_scale"]);
    assert_eq!(
        cells.iter().map(name).collect::<Vec<_>>(),
        ["near x1.0", "far x1.0", "near x2.0", "far x2.0"]
    );
    for cell in cells {
        let tried = cell["tried"].as_array().unwrap();
        let ways: Vec<_> = tried.iter().map(|tried| tried["way"].as_str().unwrap()).collect();
        assert_eq!(ways, ["local", "0", "2", "auto"].repeat(2), "{:?}", cell["not_tried"]);
        let images = |input: &str, key: &str| -> Vec<Value> {
            let those = tried.iter().filter(|tried| tried["input"] == input);
            those.map(|tried| tried[key].clone()).collect()
        };
        // Where images are completed changes neither exits nor labels.
        for (input, key) in [("shapes:test:8", "exits"), ("shapes:calibration:8", "accuracy")] {
            let values = images(input, key);
            assert!(values.iter().all(|value| *value == values[0]), "{key}: {values:?}");
        }
        let of = |way: &str| tried.iter().find(|tried| tried["way"] == way).unwrap();
        let mean = |way: &str| of(way)["latency_s"]["mean"].as_f64().unwrap();
        assert_eq!((&of("local")["offload"]["sent"], &of("0")["offload"]["by_peer"]), (&0.into(), &8.into()));
        if cell["link"]["name"] == "far" {
            assert!(mean("0") > 0.06, "{}", mean("0"));
        }
        let verdicts = cell["verdicts"].as_array().unwrap();
        assert!(
            verdicts.len() == 2
                && verdicts
                    .iter()
                    .all(|verdict| verdict["auto_over_best"]["estimate"].as_f64().unwrap() > 0.0)
        );
    }
    let kept: Value = serde_json::from_slice(&std::fs::read(out.join("offload.json")).unwrap()).unwrap();
    assert_eq!(kept, found);
    let html = folder.path().join("report.html");
    json(&["report", text(&out), "-o", text(&html), "--json"]);
    let shown = std::fs::read_to_string(html).unwrap();
    for expected in [
        "Break-even map",
        "30 ms each way",
        "emulated 2 times slower",
        "Offloading under attack",
        "Auto / best",
    ] {
        assert!(shown.contains(expected), "{expected}");
    }
}

#[test]
fn a_link_that_changes_half_way_is_measured_before_and_after() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle_with_tails(folder.path());
    let near = link(folder.path(), "near.toml", "[up]\ndelay_ms = 1\n");
    let far = link(folder.path(), "far.toml", "[up]\ndelay_ms = 30\n[down]\ndelay_ms = 30\n");
    let bench =
        ["bench", text(&bundle), "--input", "shapes:test:4", "--backend", "tract", "--offload", "self"];
    let tried = ["--link", &near, "--then", &far, "--offload-after", "0", "--blocks", "2", "--turn", "1"];
    let found = json(&[&bench[..], &tried, &["--deadline-ms", "20000", "--json"]].concat());
    let [before, after] = &found["cells"].as_array().unwrap()[..] else { panic!("{found}") };
    assert_eq!((&before["link"]["name"], &after["link"]["name"]), (&"near".into(), &"near then far".into()));
    let least = |cell: &Value| cell["tried"][0]["latency_s"]["p50"].as_f64().unwrap();
    assert!(
        least(after) > 0.06 && least(after) > least(before) + 0.04,
        "{} then {}",
        least(before),
        least(after)
    );
    assert_eq!((&after["tried"][0]["warm_up"]["runs"], &after["link"]["events"]), (&20.into(), &1.into()));
}

#[test]
fn what_cannot_be_tried_is_refused_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, tails) = (bundle(folder.path()), bundle_with_tails(&folder.path().join("tails")));
    let good = link(folder.path(), "good.toml", "[up]\ndelay_ms = 1\n");
    let bad = link(folder.path(), "bad.toml", "[up]\ndelay_s = 1\n");
    let changing = link(folder.path(), "changing.toml", "[[events]]\nat_s = 1\ndo = \"reset\"\n");
    let kept = folder.path().join("kept");
    std::fs::create_dir(&kept).unwrap();
    std::fs::write(kept.join("offload.json"), "of hours").unwrap();
    let cases: [(&Path, &[&str], i32, &str); 13] = [
        (&plain, &["--offload", "self"], 1, "hint: `offramp split --tails` writes them"),
        (
            &tails,
            &["--offload", "self", "--offload-after", "1"],
            2,
            "hint: the f32 tails of this bundle begin at 0, 2",
        ),
        (&tails, &["--offload", "self", "--offload-after", "soon"], 2, "local, auto"),
        (&tails, &["--offload", "self", "--device-scale", "0.5"], 2, "1 to 1000"),
        (&tails, &["--offload", "self", "--link", &bad], 1, "bad.toml is no link profile"),
        (&tails, &["--offload", "self", "--link", "/nowhere.toml"], 1, "cannot read /nowhere.toml"),
        (&tails, &["--offload", "grpcs://h:1", "--link", &good], 2, "one server without TLS"),
        (&tails, &["--offload", "grpc://h:1,grpc://i:1", "--link", &good], 2, "one server without TLS"),
        (&tails, &["--link", &good], 2, "--offload"),
        (&tails, &["--offload", "self", "--link", &good, "--then", &changing], 2, "no events of its own"),
        (&tails, &["--offload", "self", "--offload-after", "0", "-o", &good], 1, "cannot write into"),
        (&tails, &["--offload", "self", "--offload-after", "0", "-o", text(&kept)], 1, "--force replaces it"),
        (&tails, &["--offload", "self", "--as-bundled"], 2, "--as-bundled"),
    ];
    for (bundle, flags, status, expected) in cases {
        let bench = ["bench", text(bundle), "--input", "shapes:test:1", "--backend", "tract"];
        let found = refusal(&[&bench[..], flags].concat());
        assert_eq!(found.0, status, "{flags:?}: {}", found.1);
        assert!(found.1.contains(expected), "{flags:?} lacks {expected:?}: {}", found.1);
    }
    assert_eq!(std::fs::read(kept.join("offload.json")).unwrap(), b"of hours");
    let run = ["run", text(&tails), "--input", "shapes:test:1", "--offload", "grpc://h:1"];
    let found = refusal(&[&run[..], &["--offload-after", "local"]].concat());
    assert!(found.0 == 2 && found.1.contains("or auto"), "{}", found.1);
}

#[test]
fn a_server_that_is_not_there_leaves_ways_untried_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle_with_tails(folder.path());
    // Port 1 is nobody's.
    let bench = [
        "bench",
        text(&bundle),
        "--input",
        "shapes:test:2",
        "--backend",
        "tract",
        "--offload",
        "grpc://127.0.0.1:1",
    ];
    let found = json(&[&bench[..], &["--blocks", "2", "--turn", "1", "--json"]].concat());
    let cell = &found["cells"][0];
    assert_eq!((cell["tried"].as_array().unwrap().len(), &cell["tried"][0]["way"]), (1, &"local".into()));
    let not_tried = cell["not_tried"].as_array().unwrap();
    assert_eq!(not_tried.len(), 3);
    assert!(
        not_tried.iter().all(|not| not["why"].as_str().unwrap().contains("cannot connect")),
        "{not_tried:?}"
    );
}
