//! `--input DATA` to an opened data set.

use clap::Args;
use offramp_models::Manifest;
use offramp_models::dataset::{self, DataRef, Dataset, OpenOptions};

use crate::status::hint;

/// Pictures to run.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Input")]
pub struct InputFlags {
    /// FILE.npz, a folder of images, cifar10:DIR, cifar100:DIR, tiny-imagenet:DIR, shapes:SPLIT or shapes:SPLIT:N; a published
    /// data set means its test images (Tiny ImageNet: val), with #train after DIR its training images
    #[arg(long, value_name = "DATA")]
    pub input: DataRef,
    /// Take only the first N images
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
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
pub fn open(data: &DataRef, limit: Option<usize>, manifest: &Manifest) -> anyhow::Result<Box<dyn Dataset>> {
    let options = OpenOptions { class_names: manifest.classes.names.as_deref(), limit };
    let opened = dataset::open(data, &options)?;
    opened.check_labels(manifest.classes.count)?;
    let (_, height, width) = manifest.input.chw();
    opened.check_size(height, width).map_err(|error| {
        hint(
            error,
            "only folders of images are resized and cropped: give the pictures as a folder, or bring them to that size",
        )
    })?;
    Ok(opened)
}
