//! Energy on the command line: what is not measured says why, what is measured says what it covers.

use std::path::{Path, PathBuf};

use super::{bundle, json, offramp, refusal, text};

/// A machine with one rail of 5 W that no rule knows.
fn machine(folder: &Path) -> PathBuf {
    let sensor = folder.join("sys/class/hwmon/hwmon0");
    std::fs::create_dir_all(&sensor).unwrap();
    let files = [("name", "sensor"), ("power1_label", "board"), ("power1_input", "5000000")];
    for (name, content) in files {
        std::fs::write(sensor.join(name), format!("{content}\n")).unwrap();
    }
    folder.join("sys")
}

fn bench<'a>(bundle: &'a Path, sys: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let fixed = ["--input", "shapes:test:20", "--backend", "tract", "--blocks", "2", "--turn", "1"];
    [&["bench", text(bundle)], &fixed[..], &["--sysfs-root", text(sys)], more].concat()
}

#[test]
fn a_machine_without_a_meter_measures_nothing_and_says_so_and_never_zero() {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, empty) = (bundle(folder.path()), folder.path().join("nothing"));
    std::fs::create_dir(&empty).unwrap();
    for meter in ["auto", "none"] {
        let found = json(&bench(&bundle, &empty, &["--meter", meter, "--json"]));
        assert!(found["energy_j"].is_null() && found["energy"].is_null(), "{meter}");
        assert_eq!(found["not_measured"][0]["what"], "energy_j");
        assert!(!found["not_measured"][0]["why"].as_str().unwrap().is_empty());
        assert!(found["latency_s"]["mean"].as_f64().unwrap() > 0.0);
    }
    let found = json(&bench(&bundle, &empty, &["--json"]));
    assert!(found["not_measured"][0]["why"].as_str().unwrap().contains("--meter auto"));
}

#[test]
fn a_meter_that_is_asked_for_by_name_is_there_or_the_command_fails() {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, empty) = (bundle(folder.path()), folder.path().join("nothing"));
    std::fs::create_dir(&empty).unwrap();
    let (status, told) = refusal(&bench(&bundle, &empty, &["--meter", "rapl"]));
    assert_eq!(status, 1, "{told}");
    assert!(told.contains("nothing/class/powercap") && told.contains("hint: `offramp meter list`"), "{told}");
    let absent = folder.path().join("absent");
    for command in [&["meter", "list"][..], &["meter", "watch"], &["doctor"]] {
        let (status, told) = refusal(&[command, &["--sysfs-root", text(&absent)]].concat());
        assert!(status == 2 && told.contains("no such folder"), "{told}");
    }
    let (status, told) = refusal(&bench(&bundle, &empty, &["--meter", "auto", "--windows", "0"]));
    assert!(status == 2 && told.contains("1 or more"), "{told}");
    let port = format!("serial:{}", text(&absent));
    let (status, told) = refusal(&bench(&bundle, &empty, &["--meter", &port]));
    assert_eq!(status, 1, "{told}");
    assert!(told.contains(text(&absent)), "{told}");
    let (status, told) = refusal(&bench(&bundle, &empty, &["--meter", "usb"]));
    assert_eq!(status, 2, "{told}");
    assert!(told.contains("serial:PORT"), "{told}");
}

#[test]
fn rails_make_a_total_where_a_person_chose_them_and_only_those_that_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, sys) = (bundle(folder.path()), machine(folder.path()));
    let short = ["--meter", "hwmon", "--windows", "1", "--window", "0.05", "--json"];
    let found = json(&bench(&bundle, &sys, &short));
    assert!(found["energy_j"].is_null(), "no rule, no total");
    assert_eq!(found["energy"]["meter"]["rails"][0]["name"], "board");
    assert!(found["energy"]["windows"][0]["rejected"].as_str().unwrap().contains("not measured"));
    let run = ["run", text(&bundle), "--input", "shapes:test:20", "--backend", "tract", "--meter", "hwmon"];
    let told = offramp(&[&run[..], &["--sysfs-root", text(&sys)]].concat());
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("energy of rails, which may lie within each other: board "), "{told}");
    let (status, told) = refusal(&bench(&bundle, &sys, &["--meter", "hwmon", "--rail", "VDD_IN"]));
    assert_eq!(status, 1);
    assert!(told.contains("no rail \"VDD_IN\" among board"), "{told}");
}

#[test]
fn a_pair_of_inputs_has_joules_latency_exits_and_a_verdict_and_becomes_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, sys) = (bundle(folder.path()), machine(folder.path()));
    let results = folder.path().join("results");
    let found = json(&bench(
        &bundle,
        &sys,
        &[
            "--against",
            "shapes:calibration:20",
            "--meter",
            "auto",
            "--rail",
            "board",
            "--windows",
            "2",
            "--window",
            "0.1",
            "--energy-per-exit",
            "-o",
            text(&results),
            "--json",
        ],
    ));
    // What took minutes is not replaced without a word, and that is told before more minutes go.
    let (status, told) = refusal(&bench(&bundle, &sys, &["-o", text(&results)]));
    assert!(status == 1 && told.contains("bench.json is there") && told.contains("--force"), "{told}");
    let energy = &found["energy"];
    assert_eq!(energy["meter"]["domain"], "board");
    for load in 0..2 {
        let summary = &energy["loads"][load];
        let images = summary["images"].as_f64().unwrap();
        assert_eq!(summary["exits"].as_array().unwrap().len(), 6);
        // 5 W whatever runs: all of it is idle.
        let windows = energy["windows"].as_array().unwrap().iter().filter(|window| window["load"] == load);
        let seconds: f64 = windows.map(|window| window["window_s"].as_f64().unwrap()).sum();
        let joules: f64 = energy["windows"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|window| window["load"] == load)
            .map(|window| window["gross_j"].as_f64().unwrap())
            .sum();
        assert!((joules / (5.0 * seconds) - 1.0).abs() < 1e-6, "{joules} J in {seconds} s");
        assert!(images > 0.0 && summary["net_per_image_j"]["mean"].as_f64().unwrap().abs() < 1e-9);
    }
    assert_eq!(energy["pairs"][0]["net"], true);
    assert_ne!(energy["pairs"][0]["verdict"], "different");
    assert_eq!(energy["exits"]["exits"].as_array().unwrap().len(), 6);
    let flags = energy["windows"][0]["flags"].to_string();
    assert!(flags.contains("shorter than the 10.0 s"), "{flags}");

    let page = folder.path().join("page.html");
    json(&["report", text(&results), "-o", text(&page), "--json"]);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("What an image costs") && page.contains("What an exit costs"));
}

#[test]
fn a_run_tells_its_energy_and_what_it_covers() {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, sys) = (bundle(folder.path()), machine(folder.path()));
    let run = ["run", text(&bundle), "--input", "shapes:test:20", "--backend", "tract", "--json"];
    let found = json(&[&run[..], &["--sysfs-root", text(&sys), "--rail", "board"]].concat());
    let (joules, window) =
        (found["energy_j"].as_f64().unwrap(), found["energy"]["window_s"].as_f64().unwrap());
    assert!((joules - 5.0 * window).abs() < 1e-6, "{joules} J in {window} s");
    assert_eq!(found["energy"]["domain"], "board");
}

#[test]
fn a_budget_of_energy_that_the_meter_cannot_tell_from_nothing_gives_no_policy() {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, sys) = (bundle(folder.path()), machine(folder.path()));
    let policy = folder.path().join("policy.json");
    let (status, told) = refusal(&[
        "calibrate",
        text(&bundle),
        "--input",
        "shapes:calibration:40",
        "--backend",
        "tract",
        "--max-energy-mj",
        "1",
        "--meter",
        "hwmon",
        "--rail",
        "board",
        "--sysfs-root",
        text(&sys),
        "--windows",
        "4",
        "--window",
        "0.1",
        "-o",
        text(&policy),
    ]);
    assert_eq!(status, 1, "{told}");
    assert!(told.contains("the meter cannot tell that from nothing"), "{told}");
    assert!(!policy.exists());
}

#[test]
fn sources_are_listed_with_their_power_and_looked_at_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let sys = machine(folder.path());
    let found = json(&["meter", "list", "--sysfs-root", text(&sys), "--json"]);
    assert_eq!(found["auto"], "hwmon");
    let sources = found["sources"].as_array().unwrap();
    assert_eq!(sources.len(), 4);
    for source in sources.iter().filter(|source| source["usable"] == false) {
        assert!(!source["why"].as_str().unwrap().is_empty(), "{source}");
    }
    let hwmon = sources.iter().find(|source| source["source"] == "hwmon").unwrap();
    assert!((hwmon["now"][0]["power_w"].as_f64().unwrap() - 5.0).abs() < 1e-9);
    let watch =
        ["meter", "watch", "--sysfs-root", text(&sys), "--every", "20", "--seconds", "0.05", "--json"];
    let output = super::offramp(&watch);
    let lines: Vec<serde_json::Value> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert!(output.status.success() && lines.len() >= 2, "{lines:?}");
    assert!(lines.iter().all(|line| line["rails"][0]["power_w"] == 5.0), "{lines:?}");
}
