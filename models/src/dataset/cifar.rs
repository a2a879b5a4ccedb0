//! CIFAR-10 and CIFAR-100 as published: the binary version and the Python version.
//!
//! Source: Krizhevsky 2009, <https://www.cs.toronto.edu/~kriz/cifar.html>.

use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use super::{Chw, DataError, PublishedSplit, Samples, Stack, pickle};
use crate::regular;

const SHAPE: Chw = Chw { channels: 3, height: 32, width: 32 };

/// CIFAR-10.
pub(super) const TEN: Cifar = Cifar {
    name: "cifar10",
    what: "CIFAR-10",
    expected: "test_batch.bin or test_batch, there or in cifar-10-batches-bin or cifar-10-batches-py",
    folders: ["cifar-10-batches-bin", "cifar-10-batches-py"],
    train: &["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"],
    test: &["test_batch"],
    coarse_labels: 0,
    labels: "labels",
    class_names: &["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
};

/// CIFAR-100 with its fine labels.
pub(super) const HUNDRED: Cifar = Cifar {
    name: "cifar100",
    what: "CIFAR-100",
    expected: "test.bin or test, there or in cifar-100-binary or cifar-100-python",
    folders: ["cifar-100-binary", "cifar-100-python"],
    train: &["train"],
    test: &["test"],
    coarse_labels: 1,
    labels: "fine_labels",
    class_names: &FINE,
};

/// A published form.
pub(super) struct Cifar {
    name: &'static str,
    what: &'static str,
    expected: &'static str,
    folders: [&'static str; 2],
    train: &'static [&'static str],
    test: &'static [&'static str],
    /// Bytes before the label of a binary record.
    coarse_labels: usize,
    /// Key of the labels in a pickle.
    labels: &'static str,
    class_names: &'static [&'static str],
}

#[derive(Clone, Copy)]
enum Version {
    Binary,
    Python,
}

/// Images read so far.
struct Images {
    samples: Vec<u8>,
    labels: Vec<usize>,
    limit: usize,
}

impl Cifar {
    /// The first `limit` images of `split` in `dir`.
    pub fn open(&self, dir: &Path, split: PublishedSplit, limit: usize) -> Result<Stack, DataError> {
        let (files, fragment) = match split {
            PublishedSplit::Train => (self.train, "#train"),
            PublishedSplit::Test => (self.test, ""),
        };
        let (dir, version) = self.find(dir)?;
        let mut images = Images { samples: Vec::new(), labels: Vec::new(), limit };
        for file in files {
            if images.labels.len() == limit {
                break;
            }
            match version {
                Version::Binary => self.binary(&dir.join(format!("{file}.bin")), &mut images)?,
                Version::Python => self.python(&dir.join(file), &mut images)?,
            }
        }
        let name = format!("{}:{}{fragment}", self.name, dir.display());
        let stack = Stack::new(name, SHAPE, Samples::U8(images.samples), Some(images.labels))?;
        Ok(stack.with_class_names(self.class_names.iter().map(|name| (*name).to_owned()).collect()))
    }

    fn find(&self, dir: &Path) -> Result<(PathBuf, Version), DataError> {
        for folder in [dir.to_owned(), dir.join(self.folders[0]), dir.join(self.folders[1])] {
            for file in self.test {
                if folder.join(format!("{file}.bin")).is_file() {
                    return Ok((folder, Version::Binary));
                }
                if folder.join(file).is_file() {
                    return Ok((folder, Version::Python));
                }
            }
        }
        Err(DataError::Layout { dir: dir.to_owned(), what: self.what, expected: self.expected })
    }

    fn binary(&self, path: &Path, images: &mut Images) -> Result<(), DataError> {
        let failed = |source| DataError::Read { path: path.to_owned(), source };
        let file = regular::open(path).map_err(failed)?;
        let found = file.metadata().map_err(failed)?.len();
        let header = self.coarse_labels + 1;
        let record = (header + SHAPE.samples()) as u64;
        if found == 0 || found % record != 0 {
            return Err(DataError::Length { path: path.to_owned(), record, found });
        }
        let mut file = BufReader::new(file);
        let mut labels = [0; 2];
        let mut samples = [0; SHAPE.samples()];
        for _ in 0..found / record {
            if images.labels.len() == images.limit {
                break;
            }
            file.read_exact(&mut labels[..header]).map_err(failed)?;
            file.read_exact(&mut samples).map_err(failed)?;
            self.push(images, &samples, labels[self.coarse_labels].into())?;
        }
        Ok(())
    }

    fn python(&self, path: &Path, images: &mut Images) -> Result<(), DataError> {
        let bytes =
            regular::read(path).map_err(|source| DataError::Read { path: path.to_owned(), source })?;
        let refused = |source| DataError::Pickle { path: path.to_owned(), source };
        let batch = pickle::read(&bytes, self.labels).map_err(refused)?;
        if batch.columns != SHAPE.samples() {
            let expected = "array of 3072 samples per image";
            return Err(refused(super::PickleError::Key { key: "data", expected }));
        }
        if batch.labels.len() != batch.rows {
            let (images, labels) = (batch.rows, batch.labels.len());
            return Err(DataError::Labels { what: path.display().to_string(), images, labels });
        }
        for (samples, label) in batch.samples.chunks_exact(SHAPE.samples()).zip(&batch.labels) {
            if images.labels.len() == images.limit {
                break;
            }
            self.push(images, samples, (*label).into())?;
        }
        Ok(())
    }

    fn push(&self, images: &mut Images, samples: &[u8], found: i128) -> Result<(), DataError> {
        let classes = self.class_names.len();
        let Some(label) = usize::try_from(found).ok().filter(|label| *label < classes) else {
            return Err(DataError::Label { image: images.labels.len(), found, classes: Some(classes) });
        };
        images.samples.extend_from_slice(samples);
        images.labels.push(label);
        Ok(())
    }
}

/// `fine_label_names` of CIFAR-100.
#[rustfmt::skip]
const FINE: [&str; 100] = [
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
    "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
    "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur",
    "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard",
    "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
    "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree",
    "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket",
    "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider",
    "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
];
