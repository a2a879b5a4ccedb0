//! A study by the command, killed in the middle.

#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

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
