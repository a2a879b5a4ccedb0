//! Labelled pictures: what `--input DATA` names.
//!
//! [`open`] reads what a [`DataRef`] names, as it was published; making a network's input of it is the business of
//! [`preprocess`](crate::preprocess). Nothing here knows networks.

mod archive;
mod cifar;
mod drawn;
mod error;
mod export;
mod files;
mod folder;
mod npy;
mod npz;
mod pickle;
mod picture;
mod reference;
pub mod shapes;
mod stack;
mod tiny_imagenet;

pub use archive::ArchiveWriter;
pub use error::DataError;
pub use export::{ExportOptions, Exported, export_npz};
pub use npy::NpyError;
pub use npz::ArchiveReader;
pub use pickle::PickleError;
pub use picture::{Chw, Picture, PictureError, Samples};
pub use reference::{DataRef, DataRefError, PublishedSplit};
pub use stack::Stack;

use crate::{Sha256, digest::Hasher};

/// Pictures in a fixed order, counted from zero, at least one.
pub trait Dataset: Send + Sync {
    /// Number of pictures.
    fn len(&self) -> usize;

    /// Never true: a data set without pictures cannot be opened.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The class of a picture, `None` where the data set has no labels.
    fn label(&self, image: usize) -> Option<usize>;

    /// Puts a picture into `into`, whose memory is used again.
    ///
    /// # Errors
    /// `NoImage` beyond the end; `Read` or `Image` for a file that is not a readable picture.
    fn read(&self, image: usize, into: &mut Picture) -> Result<(), DataError>;

    /// Names of the classes by label, where the data set has them.
    fn class_names(&self) -> Option<&[String]>;

    /// Height and width, where the data set has all its pictures in one: then they are meant for networks that take
    /// just that. `None` for image files as they come.
    fn size(&self) -> Option<(usize, usize)> {
        None
    }

    /// One line for reports: where the pictures are from, how many, and what was left out.
    fn describe(&self) -> String;

    /// A picture in memory of its own.
    ///
    /// # Errors
    /// As [`Dataset::read`].
    fn image(&self, image: usize) -> Result<Picture, DataError> {
        let mut picture = Picture::default();
        self.read(image, &mut picture)?;
        Ok(picture)
    }

    /// Holds the labels against a network of `classes` classes.
    ///
    /// # Errors
    /// `Label` names the first picture whose label is too high.
    fn check_labels(&self, classes: usize) -> Result<(), DataError> {
        for image in 0..self.len() {
            if let Some(label) = self.label(image)
                && label >= classes
            {
                return Err(DataError::Label { image, found: label as i128, classes: Some(classes) });
            }
        }
        Ok(())
    }

    /// Holds the one size of the pictures, if there is one, against that of a network's input.
    ///
    /// # Errors
    /// `Size` where they differ.
    fn check_size(&self, height: usize, width: usize) -> Result<(), DataError> {
        match self.size() {
            Some(found) if found != (height, width) => {
                Err(DataError::Size { what: self.describe(), found, expected: (height, width) })
            }
            _ => Ok(()),
        }
    }

    /// Digest of shapes, pixels and labels in order, whatever they were read from.
    ///
    /// SHA-256 of the number of pictures and then, for each: its label (-1 for none), channels, height and width, all as
    /// 64-bit integers; 0 for uint8 or 1 for float32 samples, one byte; the samples. Little-endian throughout.
    ///
    /// # Errors
    /// As [`Dataset::read`].
    fn digest(&self) -> Result<Sha256, DataError> {
        let mut hasher = Hasher::default();
        hasher.update(&(self.len() as u64).to_le_bytes());
        let mut picture = Picture::default();
        for image in 0..self.len() {
            self.read(image, &mut picture)?;
            let label = self.label(image).map_or(-1, |label| label as i64);
            hasher.update(&label.to_le_bytes());
            picture.digest_into(&mut hasher);
        }
        Ok(hasher.finish())
    }
}

/// What to take of a data set.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenOptions<'a> {
    /// The network's class names: class folders get their labels by name. Without them, by order.
    pub class_names: Option<&'a [String]>,
    /// At most this many pictures, the first ones.
    pub limit: Option<usize>,
}

/// Opens what `data` names.
///
/// # Errors
/// [`DataError`] names the file, what was expected and what was found; `Empty` where there is no picture.
pub fn open(data: &DataRef, options: &OpenOptions<'_>) -> Result<Box<dyn Dataset>, DataError> {
    let limit = options.limit.unwrap_or(usize::MAX);
    Ok(match data {
        DataRef::Npz(path) => Box::new(npz::open(path, limit)?),
        DataRef::Folder(dir) => Box::new(folder::open(dir, options.class_names, limit)?),
        DataRef::Cifar10 { dir, split } => Box::new(cifar::TEN.open(dir, *split, limit)?),
        DataRef::Cifar100 { dir, split } => Box::new(cifar::HUNDRED.open(dir, *split, limit)?),
        DataRef::TinyImageNet { dir, split } => {
            Box::new(tiny_imagenet::open(dir, *split, options.class_names, limit)?)
        }
        DataRef::Shapes { split, count } => {
            Box::new(drawn::open(*split, count.unwrap_or(usize::MAX).min(limit))?)
        }
    })
}
