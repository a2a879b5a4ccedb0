//! Adversarial sets on disk.

use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use image::ExtendedColorType;
use offramp_models::dataset::ArchiveWriter;
use offramp_models::partial::Partial;

use super::place::unless_occupied;
use super::{AdversarialSet, SetManifest};

/// A set that cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Images of a number of channels that no picture has.
    #[error("an image of {channels} channels cannot be a PNG, only 1 to 4 can")]
    Channels {
        /// The number.
        channels: usize,
    },
    /// The archive and its manifest would be one file.
    #[error("{} would be both the set and its manifest, expected a set whose name ends in .npz", path.display())]
    OneFile {
        /// The file.
        path: PathBuf,
    },
    /// Something that a set does not replace is in the way.
    #[error("{} is in the way, expected {expected}", path.display())]
    Occupied {
        /// What is in the way.
        path: PathBuf,
        /// What may be there.
        expected: &'static str,
    },
    /// A picture cannot be encoded.
    #[error("cannot write {}", path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// Why.
        source: image::ImageError,
    },
}

/// Writes `set` to `path`: `x` uint8 [N, C, H, W]; `y` int64, the data's labels where all are known, else those attacked;
/// `index` int64 into the data. The file appears when it is complete.
///
/// # Errors
/// `File` names it.
pub fn write_npz(set: &AdversarialSet, path: &Path) -> Result<(), WriteError> {
    let write = || {
        let mut archive = ArchiveWriter::create(path)?;
        let shape = vec![set.images.len(), set.shape.channels, set.shape.height, set.shape.width];
        archive.array("x", "|u1", shape, 1)?;
        archive.bytes(&set.samples)?;
        archive.integers("y", set.labels().into_iter())?;
        archive.integers("index", set.images.iter().map(|image| image.index as i64))?;
        archive.finish()
    };
    write().map_err(|source| WriteError::File { path: path.to_owned(), source })
}

/// Writes `manifest` as JSON to `path`, whole or not at all.
///
/// # Errors
/// `File` names it.
pub fn write_manifest(manifest: &SetManifest, path: &Path) -> Result<(), WriteError> {
    let write = || {
        let (partial, file) = Partial::file(path)?;
        let mut writer = BufWriter::new(&file);
        serde_json::to_writer_pretty(&mut writer, manifest)?;
        writer.write_all(b"\n")?;
        writer.flush()?;
        file.sync_all()?;
        partial.publish(path)
    };
    write().map_err(|source| WriteError::File { path: path.to_owned(), source })
}

/// Writes every image of `set` into `folder` as `INDEX.png`, so named that byte order is the order of the set. The folder
/// appears when it is complete; one of an earlier set's pictures is replaced by it.
///
/// # Errors
/// `Channels`; `Occupied` for a folder with anything else in it; `File` or `Picture` naming the file.
pub fn write_pictures(set: &AdversarialSet, folder: &Path) -> Result<(), WriteError> {
    let channels = set.shape.channels;
    let colour = colour(channels)?;
    unless_occupied(folder)?;
    let failed = |source| WriteError::File { path: folder.to_owned(), source };
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent).map_err(failed)?;
    }
    let partial = Partial::folder(folder).map_err(failed)?;
    let (width, height) = (set.shape.width, set.shape.height);
    let mut pixels = vec![0; set.shape.samples()];
    for (image, planes) in set.images.iter().zip(set.samples.chunks_exact(set.shape.samples())) {
        for (channel, plane) in planes.chunks_exact(width * height).enumerate() {
            for (sample, pixel) in plane.iter().zip(pixels.iter_mut().skip(channel).step_by(channels)) {
                *pixel = *sample;
            }
        }
        let name = format!("{:06}.png", image.index);
        image::save_buffer(partial.path().join(&name), &pixels, width as u32, height as u32, colour)
            .map_err(|source| WriteError::Picture { path: folder.join(name), source })?;
    }
    partial.open_to_readers().map_err(failed)?;
    let appeared = if folder.exists() { partial.replace(folder) } else { partial.publish(folder) };
    appeared.map_err(failed)
}

/// How images of so many channels are pictures.
pub(super) fn colour(channels: usize) -> Result<ExtendedColorType, WriteError> {
    match channels {
        1 => Ok(ExtendedColorType::L8),
        2 => Ok(ExtendedColorType::La8),
        3 => Ok(ExtendedColorType::Rgb8),
        4 => Ok(ExtendedColorType::Rgba8),
        _ => Err(WriteError::Channels { channels }),
    }
}

impl AdversarialSet {
    /// The data's labels where all are known, else those that were attacked.
    pub fn labels(&self) -> Vec<i64> {
        let known = self.images.iter().map(|image| image.label).collect::<Option<Vec<_>>>();
        let labels = known.unwrap_or_else(|| self.images.iter().map(|image| image.attacked).collect());
        labels.into_iter().map(|label| label as i64).collect()
    }
}
