use std::fs;

use insta::assert_snapshot;
use offramp_models::dataset::{self, DataError, DataRef, Dataset, OpenOptions};
use tempfile::TempDir;

use crate::folders::pixel;
use crate::sample::chain;

/// Two classes of two training images and one validation image each.
fn published(root: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join(root);
    for id in ["n02", "n01"] {
        for image in 0..2 {
            pixel(&root.join(format!("train/{id}/images/{id}_{image}.JPEG")), image);
        }
        fs::write(root.join(format!("train/{id}/{id}_boxes.txt")), "").unwrap();
    }
    for image in 0..2 {
        pixel(&root.join(format!("val/images/val_{image}.JPEG")), image);
    }
    fs::write(root.join("wnids.txt"), "n02\nn01\n").unwrap();
    fs::write(root.join("words.txt"), "n00\tentity\nn01\tgoldfish, Carassius auratus\nn02\tbullfrog\n")
        .unwrap();
    fs::write(
        root.join("val/val_annotations.txt"),
        "val_0.JPEG\tn02\t0\t0\t1\t1\nval_1.JPEG\tn01\t0\t0\t1\t1\n",
    )
    .unwrap();
    dir
}

fn open(dir: &TempDir, fragment: &str, names: Option<&[String]>) -> Result<Box<dyn Dataset>, DataError> {
    let data: DataRef = format!("tiny-imagenet:{}{fragment}", dir.path().display()).parse().unwrap();
    dataset::open(&data, &OpenOptions { class_names: names, limit: None })
}

fn labels(data: &dyn Dataset) -> Vec<usize> {
    (0..data.len()).map(|image| data.label(image).unwrap()).collect()
}

fn refusal(dir: &TempDir, names: Option<&[String]>) -> String {
    chain(&open(dir, "", names).map(|_| ()).unwrap_err()).replace(&dir.path().display().to_string(), "DIR")
}

#[test]
fn validation_images_come_as_annotated_and_labels_count_ids_in_byte_order() {
    for root in [".", "tiny-imagenet-200"] {
        let dir = published(root);
        let data = open(&dir, "", None).unwrap();
        assert_eq!(labels(&*data), [1, 0]);
        assert_eq!(data.class_names().unwrap(), ["goldfish, Carassius auratus", "bullfrog"]);
        assert!(data.image(0).is_ok());
    }
}

#[test]
fn training_images_come_by_class() {
    let data = open(&published("."), "#train", None).unwrap();
    assert_eq!(labels(&*data), [0, 0, 1, 1]);
}

#[test]
fn labels_follow_class_names_by_id_or_by_words() {
    let dir = published(".");
    for names in [["n02", "n01"], ["bullfrog", "goldfish"], ["bullfrog", "goldfish, Carassius auratus"]] {
        let names = names.map(str::to_owned);
        assert_eq!(labels(&*open(&dir, "", Some(&names)).unwrap()), [0, 1]);
    }
    assert_snapshot!(refusal(&dir, Some(&["bullfrog".to_owned()])), @r#"class "n01" of DIR is none of the network's 1 class names"#);
}

#[test]
fn a_folder_of_another_form_is_refused_by_name() {
    assert_snapshot!(refusal(&tempfile::tempdir().unwrap(), None), @"DIR does not hold Tiny ImageNet, expected wnids.txt, there or in tiny-imagenet-200");
    let dir = published(".");
    let annotations = dir.path().join("val/val_annotations.txt");
    for (line, of) in [("../x.JPEG\tn01", "a path"), ("val_0.JPEG\tn09", "an id"), ("val_0.JPEG", "no id")] {
        fs::write(&annotations, format!("val_1.JPEG\tn01\n{line}\n")).unwrap();
        assert_eq!(
            refusal(&dir, None),
            format!(
                "line 2 of DIR/val/val_annotations.txt is {line:?}, expected an image file, a tab and an id of wnids.txt"
            ),
            "{of}"
        );
    }
    fs::write(&annotations, "").unwrap();
    assert_snapshot!(refusal(&dir, None), @"tiny-imagenet:DIR holds no images");
    fs::write(dir.path().join("wnids.txt"), "../../etc\n").unwrap();
    assert_snapshot!(refusal(&dir, None), @r#"line 1 of DIR/wnids.txt is "../../etc", expected a WordNet id"#);
}
