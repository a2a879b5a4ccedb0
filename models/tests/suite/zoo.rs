//! Claims about the shipped networks, read from their files and cards.

use std::fs;
use std::path::{Path, PathBuf};

use offramp_models::Sha256;
use offramp_models::dataset::{self, OpenOptions};

fn zoo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("zoo")
}

/// Names of the files in the zoo with `extension`, in order.
fn names(extension: &str) -> Vec<String> {
    let files = fs::read_dir(zoo()).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

fn text(file: &str) -> String {
    fs::read_to_string(zoo().join(file)).unwrap()
}

/// What the table of `name`'s card says beside `key`.
fn entry(name: &str, key: &str) -> Option<String> {
    let card = text(&format!("{name}.md"));
    let start = format!("| {key} | ");
    card.lines().find_map(|line| Some(line.strip_prefix(&start)?.strip_suffix(" |")?.to_owned()))
}

fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    groups.map(|group| str::from_utf8(group).unwrap()).collect::<Vec<_>>().join(",")
}

#[test]
fn each_network_has_a_card_and_each_card_a_network() {
    let cards = names("md").into_iter().filter(|name| name != "README");
    assert_eq!(cards.collect::<Vec<_>>(), names("onnx"));
}

#[test]
fn each_card_holds_the_digest_and_size_of_its_network() {
    for name in names("onnx") {
        let content = fs::read(zoo().join(format!("{name}.onnx"))).unwrap();
        assert_eq!(entry(&name, "SHA-256"), Some(format!("`{}`", Sha256::of(&content))), "{name}");
        let file = entry(&name, "file").unwrap();
        assert!(file.starts_with(&format!("`{name}.onnx`, {} bytes, ", grouped(content.len()))), "{file}");
        assert!(content.len() < 3_000_000, "{name}");
    }
}

#[test]
fn the_list_of_networks_names_each_with_its_size() {
    let list = text("README.md");
    for name in names("onnx") {
        let bytes = fs::metadata(zoo().join(format!("{name}.onnx"))).unwrap().len() as usize;
        let row = list.lines().find(|line| line.starts_with(&format!("| `{name}.onnx` | "))).unwrap();
        assert!(row.ends_with(&format!("| {} | [{name}.md]({name}.md) |", grouped(bytes))), "{row}");
    }
}

#[test]
#[ignore = "draws 20,000 pictures"]
fn the_cards_on_shapes_hold_the_digest_of_the_pictures_that_are_drawn() {
    let data = dataset::open(&"shapes:train".parse().unwrap(), &OpenOptions::default()).unwrap();
    let expected = data.digest().unwrap();
    let trained: Vec<_> = names("onnx").into_iter().filter(|name| name.starts_with("shapes-")).collect();
    assert!(!trained.is_empty());
    for name in trained {
        let said = entry(&name, "training data").unwrap();
        assert!(said.contains(&format!("`{expected}`")), "{name}: {said}");
    }
}
