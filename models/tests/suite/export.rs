use std::fs;
use std::io::Read as _;
use std::path::Path;

use image::{Rgb, RgbImage};
use insta::assert_snapshot;
use offramp_models::dataset::{
    self, Chw, DataRef, Dataset, ExportOptions, Exported, OpenOptions, Samples, Stack, export_npz,
};

use crate::sample::chain;

const SHAPE: Chw = Chw { channels: 1, height: 2, width: 2 };

fn open(path: &Path) -> Box<dyn Dataset> {
    dataset::open(&DataRef::Npz(path.to_owned()), &OpenOptions::default()).unwrap()
}

fn shapes(text: &str) -> Box<dyn Dataset> {
    dataset::open(&text.parse().unwrap(), &OpenOptions::default()).unwrap()
}

#[test]
fn what_is_exported_has_the_digest_of_its_source() {
    let dir = tempfile::tempdir().unwrap();
    let floats = Samples::F32(vec![0.0, 0.25, 1.0, 0.1, 0.2, 0.3, 0.4, 1e-9]);
    let sources: [Box<dyn Dataset>; 4] = [
        Box::new(Stack::new("bytes", SHAPE, Samples::U8((0..12).collect()), Some(vec![5, 0, 7])).unwrap()),
        Box::new(Stack::new("unlabelled", SHAPE, Samples::U8((0..12).collect()), None).unwrap()),
        Box::new(Stack::new("floats", SHAPE, floats, Some(vec![1, 2])).unwrap()),
        shapes("shapes:calibration:20"),
    ];
    let mut digests = Vec::new();
    for source in sources {
        let path = dir.path().join("out.npz");
        let exported = export_npz(&*source, &path, &ExportOptions::default()).unwrap();
        let labelled = source.label(0).is_some();
        let shape = source.image(0).unwrap().shape();
        assert_eq!(exported, Exported { images: source.len(), shape, labelled, resized: 0 });
        let digest = open(&path).digest().unwrap();
        assert_eq!(digest, source.digest().unwrap());
        assert!(!digests.contains(&digest));
        digests.push(digest);
    }
}

#[test]
fn the_same_images_give_the_same_bytes_and_leave_nothing_else_behind() {
    let dir = tempfile::tempdir().unwrap();
    let source = shapes("shapes:test:3");
    let paths = ["a.npz", "b.npz"].map(|name| dir.path().join(name));
    for path in &paths {
        fs::write(path, "an older file").unwrap();
        export_npz(&*source, path, &ExportOptions::default()).unwrap();
    }
    assert_eq!(fs::read(&paths[0]).unwrap(), fs::read(&paths[1]).unwrap());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn arrays_are_named_typed_and_shaped_as_numpy_expects() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.npz");
    export_npz(&*shapes("shapes:test:7"), &path, &ExportOptions { limit: Some(5), shape: None }).unwrap();
    let mut archive = zip::ZipArchive::new(fs::File::open(&path).unwrap()).unwrap();
    let mut header = |name: &str| {
        let mut bytes = [0; 128];
        archive.by_name(name).unwrap().read_exact(&mut bytes[..]).unwrap();
        assert_eq!(bytes[..10], *b"\x93NUMPY\x01\x00\x76\x00");
        String::from_utf8_lossy(&bytes[10..]).trim_end().to_owned()
    };
    assert_snapshot!(header("x.npy"), @"{'descr': '|u1', 'fortran_order': False, 'shape': (5, 3, 32, 32), }");
    assert_snapshot!(header("y.npy"), @"{'descr': '<i8', 'fortran_order': False, 'shape': (5,), }");
}

#[test]
fn images_of_any_size_and_colour_are_brought_to_one_shape() {
    let dir = tempfile::tempdir().unwrap();
    let pictures = dir.path().join("pictures");
    fs::create_dir(&pictures).unwrap();
    RgbImage::from_pixel(9, 5, Rgb([1, 2, 3])).save(pictures.join("a.png")).unwrap();
    RgbImage::from_pixel(4, 4, Rgb([4, 5, 6])).save(pictures.join("b.png")).unwrap();
    image::GrayImage::from_pixel(4, 8, image::Luma([7])).save(pictures.join("c.png")).unwrap();
    let source = dataset::open(&DataRef::Folder(pictures), &OpenOptions::default()).unwrap();
    let path = dir.path().join("out.npz");
    let uneven = export_npz(&*source, &path, &ExportOptions::default()).unwrap_err();
    assert_snapshot!(uneven, @"image 1 is 3x4x4, expected 3x5x9 like image 0");
    assert!(!path.exists());

    let shape = Chw { channels: 3, height: 4, width: 4 };
    let exported = export_npz(&*source, &path, &ExportOptions { limit: None, shape: Some(shape) }).unwrap();
    assert_eq!((exported.images, exported.resized, exported.labelled), (3, 2, false));
    for (image, colour) in [[1, 2, 3], [4, 5, 6], [7, 7, 7]].into_iter().enumerate() {
        let expected = colour.iter().flat_map(|sample| [*sample; 16]).collect();
        assert_eq!(open(&path).image(image).unwrap().samples(), &Samples::U8(expected));
    }
    let grey = ExportOptions { limit: None, shape: Some(Chw { channels: 1, ..shape }) };
    assert_snapshot!(chain(&export_npz(&*source, &path, &grey).unwrap_err()), @"image 0 cannot be brought to 1x4x4: a picture of 3 channels cannot become 1: only 1 to 3 and 4 to 3 are known");
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nowhere/out.npz");
    let refused = export_npz(&*shapes("shapes:test:1"), &path, &ExportOptions::default()).unwrap_err();
    assert_eq!(refused.to_string(), format!("cannot write {}", path.display()));
}

#[test]
fn the_built_in_images_are_the_first_of_their_split() {
    let (few, more) = (shapes("shapes:test:4"), shapes("shapes:test:9"));
    assert_eq!((few.len(), more.len()), (4, 9));
    for image in 0..4 {
        assert_eq!(few.image(image).unwrap(), more.image(image).unwrap());
        assert_eq!(few.label(image), more.label(image));
    }
    assert_eq!(few.class_names().unwrap().len(), 10);
    assert!(few.image(4).is_err());
}
