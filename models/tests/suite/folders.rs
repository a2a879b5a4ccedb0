use std::fs;
use std::path::{Path, PathBuf};

use image::{GrayImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use insta::assert_snapshot;
use offramp_models::dataset::{self, Chw, DataError, DataRef, Dataset, OpenOptions, Samples};
use tempfile::TempDir;

use crate::sample::chain;

/// A picture of one pixel.
pub fn pixel(path: &Path, red: u8) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    RgbImage::from_pixel(1, 1, Rgb([red, 0, 0])).save_with_format(path, ImageFormat::Png).unwrap();
}

fn folder(files: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (red, file) in files.iter().enumerate() {
        pixel(&dir.path().join(file), red as u8);
    }
    dir
}

fn open(dir: &TempDir, names: Option<&[&str]>, limit: Option<usize>) -> Result<Box<dyn Dataset>, DataError> {
    let names: Option<Vec<String>> = names.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    let options = OpenOptions { class_names: names.as_deref(), limit };
    dataset::open(&DataRef::Folder(dir.path().to_owned()), &options)
}

fn reds(data: &dyn Dataset) -> Vec<u8> {
    let red = |image| match data.image(image).unwrap().samples() {
        Samples::U8(samples) => samples[0],
        Samples::F32(_) => unreachable!("image files hold bytes"),
    };
    (0..data.len()).map(red).collect()
}

fn labels(data: &dyn Dataset) -> Vec<Option<usize>> {
    (0..data.len()).map(|image| data.label(image)).collect()
}

fn refusal(dir: &TempDir, error: &DataError) -> String {
    chain(error).replace(&dir.path().display().to_string(), "DIR")
}

#[test]
fn a_flat_folder_is_read_in_byte_order_without_labels() {
    let dir = folder(&["b.png", "a10.png", "a9.png", "B.PNG", "ä.png"]);
    let data = open(&dir, None, None).unwrap();
    assert_eq!(reds(&*data), [3, 1, 2, 0, 4]);
    assert_eq!(labels(&*data), [None; 5]);
    assert_eq!(reds(&*open(&dir, None, Some(2)).unwrap()), [3, 1]);
}

#[test]
fn class_folders_get_labels_by_order_where_no_class_has_a_name() {
    let dir = folder(&["dog/1.png", "cat/2.png", "cat/1.png"]);
    let data = open(&dir, None, None).unwrap();
    assert_eq!(reds(&*data), [2, 1, 0]);
    assert_eq!(labels(&*data), [Some(0), Some(0), Some(1)]);
    assert_eq!(data.class_names().unwrap(), ["cat", "dog"]);
}

#[test]
fn class_folders_get_labels_by_name_where_classes_have_names() {
    let dir = folder(&["dog/1.png", "cat/1.png"]);
    let data = open(&dir, Some(&["bird", "dog", "cat"]), None).unwrap();
    assert_eq!(labels(&*data), [Some(2), Some(1)]);
    let refused = open(&dir, Some(&["bird", "cat"]), None).map(|_| ()).unwrap_err();
    assert_snapshot!(refusal(&dir, &refused), @r#"class "dog" of DIR is none of the network's 2 class names"#);
}

#[test]
fn what_is_no_image_by_its_name_is_counted_and_what_is_hidden_is_not() {
    let dir = folder(&["cat/1.png", "cat/.2.png", ".git/3.png", "cat/inner/4.png"]);
    fs::write(dir.path().join("README.md"), "").unwrap();
    fs::write(dir.path().join("cat/notes.txt"), "").unwrap();
    let data = open(&dir, None, None).unwrap();
    assert_eq!(reds(&*data), [0]);
    assert_snapshot!(data.describe().replace(&dir.path().display().to_string(), "DIR"), @"DIR: 1 image files of 1 classes, 3 other files ignored");
}

#[test]
fn a_folder_that_is_no_data_set_is_refused_by_name() {
    let refused = |dir: &TempDir| refusal(dir, &open(dir, None, None).map(|_| ()).unwrap_err());
    assert_snapshot!(refused(&folder(&[])), @"DIR holds no images");
    assert_snapshot!(refused(&folder(&["a.png", "cat/b.png"])), @r#"DIR holds both the image "a.png" and the folder "cat", expected images or one folder per class"#);
    let file = folder(&["a.png"]);
    let options = OpenOptions::default();
    let path = DataRef::Folder(file.path().join("a.png"));
    assert_snapshot!(refusal(&file, &dataset::open(&path, &options).map(|_| ()).unwrap_err()), @"DIR/a.png is neither a .npz file nor a folder");
    let path = DataRef::Folder(file.path().join("nowhere"));
    assert_snapshot!(refusal(&file, &dataset::open(&path, &options).map(|_| ()).unwrap_err()), @"cannot read DIR/nowhere: No such file or directory (os error 2)");
}

#[test]
fn a_file_that_is_no_image_inside_is_named_when_it_is_read() {
    let dir = folder(&["a.png"]);
    fs::write(dir.path().join("b.png"), "hello").unwrap();
    let whole = fs::read(dir.path().join("a.png")).unwrap();
    fs::write(dir.path().join("c.png"), &whole[..whole.len() / 2]).unwrap();
    let data = open(&dir, None, None).unwrap();
    data.image(0).unwrap();
    assert_snapshot!(refusal(&dir, &data.image(1).unwrap_err()), @"DIR/b.png is not a readable image: Format error decoding Png: Invalid PNG signature.: Invalid PNG signature.");
    assert!(refusal(&dir, &data.image(2).unwrap_err()).starts_with("DIR/c.png is not a readable image: "));
}

#[test]
fn grey_stays_one_plane_and_alpha_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| -> PathBuf { dir.path().join(name) };
    GrayImage::from_raw(2, 1, vec![7, 8]).unwrap().save(path("1.png")).unwrap();
    RgbaImage::from_fn(2, 1, |x, _| Rgba([x as u8, 10, 20, 0])).save(path("2.png")).unwrap();
    let data = open(&dir, None, None).unwrap();
    let shape = |channels| Chw { channels, height: 1, width: 2 };
    let (grey, colour) = (data.image(0).unwrap(), data.image(1).unwrap());
    assert_eq!((grey.shape(), grey.samples()), (shape(1), &Samples::U8(vec![7, 8])));
    assert_eq!((colour.shape(), colour.samples()), (shape(3), &Samples::U8(vec![0, 1, 10, 10, 20, 20])));
}
