//! Data that cannot be used.

use std::io;
use std::path::PathBuf;

use super::{Chw, NpyError, PickleError, PictureError};

/// Data that cannot be used, or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A name of a form that no reader takes.
    #[error("{} is neither a .npz file nor a folder", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
    },
    /// A folder without the files of a published data set.
    #[error("{} does not hold {what}, expected {expected}", dir.display())]
    Layout {
        /// The folder.
        dir: PathBuf,
        /// The data set.
        what: &'static str,
        /// Files that would show it.
        expected: &'static str,
    },
    /// There is nothing to run on.
    #[error("{what} holds no images")]
    Empty {
        /// The data set.
        what: String,
    },
    /// A number beyond the last image.
    #[error("there is no image {image}, the data set has {images}")]
    NoImage {
        /// The image asked for.
        image: usize,
        /// Images in the data set.
        images: usize,
    },
    /// Not a zip archive, or a broken one.
    #[error("{} is not a readable .npz archive", path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// Why.
        source: zip::result::ZipError,
    },
    /// An array that must be there is not.
    #[error("{} has no array \"{array}\"", path.display())]
    NoArray {
        /// The file.
        path: PathBuf,
        /// The array.
        array: String,
    },
    /// An array of the wrong form.
    #[error("array \"{array}\" of {} cannot be used", path.display())]
    Array {
        /// The file.
        path: PathBuf,
        /// The array.
        array: String,
        /// Why.
        source: NpyError,
    },
    /// Not one label per image.
    #[error("{what} has {images} images and {labels} labels")]
    Labels {
        /// The data set.
        what: String,
        /// Images.
        images: usize,
        /// Labels.
        labels: usize,
    },
    /// A label that no class has.
    #[error("image {image} has label {found}, expected {}", expected_label(*classes))]
    Label {
        /// The image.
        image: usize,
        /// Its label.
        found: i128,
        /// Number of classes where it is known.
        classes: Option<usize>,
    },
    /// Samples that are no pictures.
    #[error("image {image} of {what} cannot be used")]
    Picture {
        /// The data set.
        what: String,
        /// The image.
        image: usize,
        /// Why.
        source: PictureError,
    },
    /// A file that is no image, or a broken one.
    #[error("{} is not a readable image", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// Why.
        source: image::ImageError,
    },
    /// A class that the network does not know.
    #[error("class \"{class}\" of {} is none of the network's {known} class names", dir.display())]
    Class {
        /// The data set.
        dir: PathBuf,
        /// The class.
        class: String,
        /// Names that the network knows.
        known: usize,
    },
    /// A folder that is neither flat nor one of class folders.
    #[error(
        "{} holds both the image \"{file}\" and the folder \"{folder}\", expected images or one folder per class",
        dir.display()
    )]
    Mixed {
        /// The folder.
        dir: PathBuf,
        /// An image in it.
        file: String,
        /// A folder in it.
        folder: String,
    },
    /// A file whose length does not fit its records.
    #[error("{} has {found} bytes, expected a multiple of {record} above 0", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// Bytes of an image and its labels.
        record: u64,
        /// Bytes found.
        found: u64,
    },
    /// A pickle of the wrong form.
    #[error("{} is not a published CIFAR batch", path.display())]
    Pickle {
        /// The file.
        path: PathBuf,
        /// Why.
        source: PickleError,
    },
    /// A line of a text file of the wrong form.
    #[error("line {line} of {} is {found:?}, expected {expected}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from one.
        line: usize,
        /// What would fit.
        expected: &'static str,
        /// The line's beginning.
        found: String,
    },
    /// Pictures of one size where a network takes another.
    #[error("{what}: pictures of height {} and width {}, the network takes {} and {}", found.0, found.1, expected.0, expected.1)]
    Size {
        /// The data set.
        what: String,
        /// Height and width of its pictures.
        found: (usize, usize),
        /// Height and width of the network's input.
        expected: (usize, usize),
    },
    /// Images of different shapes where one array must hold them.
    #[error("image {image} is {found}, expected {expected} like image 0")]
    Uneven {
        /// The image.
        image: usize,
        /// Shape of the first image.
        expected: Chw,
        /// Its shape.
        found: Chw,
    },
    /// An image that cannot be brought to the shape that was asked for.
    #[error("image {image} cannot be brought to {expected}")]
    Channels {
        /// The image.
        image: usize,
        /// The shape.
        expected: Chw,
        /// Why.
        source: crate::preprocess::PreprocessError,
    },
}

fn expected_label(classes: Option<usize>) -> String {
    match classes {
        Some(classes) => format!("0 to {}", classes.saturating_sub(1)),
        None => "0 or above".to_owned(),
    }
}
