//! Adversarial sets on disk.

use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use image::ExtendedColorType;
use offramp_models::dataset::ArchiveWriter;
use offramp_models::partial::Partial;

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

/// Writes every image of `set` into `folder` as `INDEX.png`, so named that byte order is the order of the set.
///
/// # Errors
/// `Channels`, or `File` or `Picture` naming the file.
pub fn write_pictures(set: &AdversarialSet, folder: &Path) -> Result<(), WriteError> {
    let channels = set.shape.channels;
    let colour = match channels {
        1 => ExtendedColorType::L8,
        2 => ExtendedColorType::La8,
        3 => ExtendedColorType::Rgb8,
        4 => ExtendedColorType::Rgba8,
        _ => return Err(WriteError::Channels { channels }),
    };
    std::fs::create_dir_all(folder).map_err(|source| WriteError::File { path: folder.to_owned(), source })?;
    let (width, height) = (set.shape.width, set.shape.height);
    let mut pixels = vec![0; set.shape.samples()];
    for (image, planes) in set.images.iter().zip(set.samples.chunks_exact(set.shape.samples())) {
        for (channel, plane) in planes.chunks_exact(width * height).enumerate() {
            for (sample, pixel) in plane.iter().zip(pixels.iter_mut().skip(channel).step_by(channels)) {
                *pixel = *sample;
            }
        }
        let path = folder.join(format!("{:06}.png", image.index));
        image::save_buffer(&path, &pixels, width as u32, height as u32, colour)
            .map_err(|source| WriteError::Picture { path, source })?;
    }
    Ok(())
}

impl AdversarialSet {
    /// The data's labels where all are known, else those that were attacked.
    pub fn labels(&self) -> Vec<i64> {
        let known = self.images.iter().map(|image| image.label).collect::<Option<Vec<_>>>();
        let labels = known.unwrap_or_else(|| self.images.iter().map(|image| image.attacked).collect());
        labels.into_iter().map(|label| label as i64).collect()
    }
}
