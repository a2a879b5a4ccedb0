//! Claims about real data, made where `OFFRAMP_SHARED` says that there is some.

use std::path::PathBuf;

use offramp_models::dataset::{self, Chw, DataRef, Dataset, OpenOptions};

fn open(file: &str) -> Option<Box<dyn Dataset>> {
    let Some(shared) = std::env::var_os("OFFRAMP_SHARED") else {
        eprintln!("skipped: OFFRAMP_SHARED names no folder with data/{file}");
        return None;
    };
    let path = PathBuf::from(shared).join("data").join(file);
    Some(dataset::open(&DataRef::Npz(path), &OpenOptions::default()).unwrap())
}

#[test]
fn the_first_images_of_cifar_10_are_a_cat_and_two_ships() {
    let Some(data) = open("cifar10-test-1017.npz") else { return };
    assert_eq!(data.len(), 1017);
    assert_eq!([0, 1, 2].map(|image| data.label(image)), [Some(3), Some(8), Some(8)]);
    assert_eq!(data.image(1016).unwrap().shape(), Chw { channels: 3, height: 32, width: 32 });
    data.check_labels(10).unwrap();
}

#[test]
fn a_compressed_archive_of_training_images_is_read() {
    let Some(data) = open("cifar10-train-5085.npz") else { return };
    assert_eq!((data.len(), data.label(0)), (5085, Some(6)));
    data.check_labels(10).unwrap();
}
