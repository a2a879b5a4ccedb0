//! A study by the command, killed in the middle.

#![cfg(unix)]
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const STUDY: &str = r#"
data.images = "shapes:test:16"
seeds = [1, 2]

[[networks]]
name = "sdn"
zoo = "shapes-sdn"

[[methods]]
method = "pgd"
iterations = 3
random_start = true
epsilon = ["4/255", "8/255"]

[[methods]]
method = "early"
mode = "improved"
iterations = 4

[[corruptions]]
kind = "brightness"
severities = [1, 5]

[[policies]]
threshold = [0.5, 0.9]
"#;

fn study(config: &Path, folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offramp"));
    command.arg("study").arg(config).arg("-o").arg(folder).args(["--backend", "tract"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn a_study_killed_again_and_again_ends_in_the_same_rows() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("study.toml");
    std::fs::write(&config, STUDY).unwrap();
    let (whole, killed) = (home.path().join("whole"), home.path().join("killed"));
    let started = Instant::now();
    assert!(study(&config, &whole).status().unwrap().success());
    let once = started.elapsed();

    let mut kills = 0;
    // A little later every time, so that kills fall everywhere from the first split to the last table.
    for part in 1..=12 {
        let mut child = study(&config, &killed).spawn().unwrap();
        std::thread::sleep(once * part / 16 + Duration::from_millis(3));
        kills += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(kills >= 3, "it was killed {kills} times");
    assert!(study(&config, &killed).status().unwrap().success());

    let rows = |folder: &Path| std::fs::read_to_string(folder.join("rows.jsonl")).unwrap();
    assert!(rows(&whole).lines().count() > 10);
    assert_eq!(rows(&killed), rows(&whole));
    let leftovers = std::fs::read_dir(killed.join("sets")).unwrap();
    let names = leftovers.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names.into_iter().all(|name| !name.starts_with('.')), "nothing half-written stays");
    assert!(killed.join("findings.json").is_file());
}

#[test]
fn a_study_says_what_it_found_and_a_report_shows_it() {
    let home = tempfile::tempdir().unwrap();
    let (config, folder) = (home.path().join("study.toml"), home.path().join("study"));
    let text = STUDY.replace("shapes:test:16", "shapes:test:4").replace("seeds = [1, 2]", "");
    std::fs::write(&config, text + "[latency]\nblocks = 1\nturn = 1\n").unwrap();
    let ran = study(&config, &folder).arg("--json").stdout(Stdio::piped()).output().unwrap();
    let told: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(told["schema_version"], 1);
    let rows = told["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 12, "benign, two corrupted and three crafted, under two policies");
    assert!(rows[0]["measured"]["latency"].is_null());
    let attacked = &rows[11];
    assert_eq!(attacked["surrogate"]["name"], "sdn");
    assert_eq!(attacked["measured"]["latency"]["subjects"].as_array().unwrap().len(), 2);
    assert!(attacked["measured"]["energy_j"].is_null(), "no joules without a meter");
    assert_eq!(attacked["measured"]["not_measured"][0]["what"], "energy_j");
    for table in told["tables"].as_array().unwrap() {
        let path = folder.join("tables").join(table.as_str().unwrap());
        assert!(path.with_extension("csv").is_file() && path.with_extension("json").is_file(), "{table}");
    }
    let page = home.path().join("page.html");
    let mut report = Command::new(env!("CARGO_BIN_EXE_offramp"));
    assert!(report.arg("report").arg(&folder).arg("-o").arg(&page).output().unwrap().status.success());
    assert!(std::fs::read_to_string(&page).unwrap().contains("</html>"));
}

#[test]
fn a_network_with_one_output_is_refused_with_what_to_write() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("study.toml");
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/zoo/shapes-resnet-static.onnx");
    let networks = format!("[[networks]]\nname = \"one\"\nmodel = {:?}\n", model.to_str().unwrap());
    std::fs::write(
        &config,
        format!("data.images = \"shapes:test:4\"\n\n{networks}\n[[policies]]\nexit = 0\n"),
    )
    .unwrap();
    let output = study(&config, &home.path().join("out")).stderr(Stdio::piped()).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("network \"one\" cannot be split") && told.contains("hint: `static = true`"),
        "{told}"
    );
}
