//! `--input DATA` to an opened data set.

use std::num::NonZeroUsize;

use clap::Args;
use offramp_models::Manifest;
use offramp_models::dataset::{self, DataRef, Dataset, OpenOptions};

use crate::status::hint;
use crate::{output, quantities};

/// What DATA means, for every flag and argument that takes it.
pub const DATA: &str = "\
Pictures, one of
  FILE.npz           arrays x (N,C,H,W; uint8, or float32 in [0,1]); y (int64), if known
  FOLDER             images, flat or in one sub-folder per class; resized and cropped to
                     the network's input. A sub-folder's label is its number in byte
                     order, or goes by name where the bundle has class names
  cifar10:DIR        as published, binary or Python; the test images
  cifar100:DIR       as published, binary or Python; the test images, with fine labels
  tiny-imagenet:DIR  as published; val, whose labels are published
  shapes:SPLIT[:N]   built in; train, calibration or test, of that the first N
DIR#train means the training images";

/// Pictures to run.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Input")]
pub struct InputFlags {
    /// Pictures: FILE.npz, FOLDER, cifar10:DIR, cifar100:DIR, tiny-imagenet:DIR or shapes:SPLIT (--help tells more)
    #[arg(long, value_name = "DATA", long_help = DATA)]
    pub input: DataRef,
    /// Take only the first N images
    #[arg(long, value_name = "N", value_parser = quantities::count)]
    pub limit: Option<NonZeroUsize>,
}

impl InputFlags {
    /// Opens the data set and holds its labels against the network's classes.
    ///
    /// # Errors
    /// When it cannot be read, is empty, has a label the network cannot predict or, folders apart, pictures of another size.
    pub fn open(&self, manifest: &Manifest) -> anyhow::Result<Box<dyn Dataset>> {
        open(&self.input, self.limit, manifest)
    }
}

/// Opens `data` for a network.
///
/// # Errors
/// As [`InputFlags::open`].
pub fn open(
    data: &DataRef,
    limit: Option<NonZeroUsize>,
    manifest: &Manifest,
) -> anyhow::Result<Box<dyn Dataset>> {
    let options =
        OpenOptions { class_names: manifest.classes.names.as_deref(), limit: limit.map(NonZeroUsize::get) };
    let opened = dataset::open(data, &options)?;
    opened.check_labels(manifest.classes.count)?;
    warn_of_numbered_folders(data, opened.as_ref(), manifest);
    let (_, height, width) = manifest.input.chw();
    opened.check_size(height, width).map_err(|error| {
        hint(
            error,
            "only folders of images are resized and cropped: give the pictures as a folder, or bring them to that size",
        )
    })?;
    Ok(opened)
}

/// Says on stderr when class folders are numbered in an order that cannot be the network's.
fn warn_of_numbered_folders(data: &DataRef, opened: &dyn Dataset, manifest: &Manifest) {
    let folders = opened.class_names().map_or(0, <[String]>::len);
    let classes = manifest.classes.count;
    if matches!(data, DataRef::Folder(_))
        && manifest.classes.names.is_none()
        && folders > 0
        && folders != classes
    {
        output::note(format!(
            "warning: {data} has {folders} class folders, the network {classes} classes: labels are the folders' numbers in byte \
             order and may be wrong; `split --classes FILE` gives the bundle names to go by"
        ));
    }
}
