//! Data sets as `.npz` archives that numpy loads.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::npy::Header;
use super::picture::for_le_bytes;
use super::{Chw, DataError, Dataset, Picture, Samples};
use crate::partial::Partial;
use crate::preprocess::Resampler;

/// What to write of a data set.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExportOptions {
    /// At most this many images, the first ones.
    pub limit: Option<usize>,
    /// Brings every image to this shape as preprocessing does; without it, all must have the shape of the first.
    pub shape: Option<Chw>,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Number of images.
    pub images: usize,
    /// Shape of each.
    pub shape: Chw,
    /// Whether there are labels too.
    pub labelled: bool,
    /// Images that had another size and were resized and cropped.
    pub resized: usize,
}

/// Writes `data` to `path`: `x`, uint8 or float32 like the images, `[N, C, H, W]`; `y`, int64, where there are labels.
///
/// Nothing is compressed, and the same images give the same bytes. The file appears when it is complete.
///
/// # Errors
/// `Uneven` for images of different shapes or types, `Channels` for one that cannot have the shape asked for, `Write`;
/// and what [`Dataset::read`] says.
pub fn export_npz(data: &dyn Dataset, path: &Path, options: &ExportOptions) -> Result<Exported, DataError> {
    let images = data.len().min(options.limit.unwrap_or(usize::MAX));
    if images == 0 {
        return Err(DataError::Empty { what: data.describe() });
    }
    let failed = |source| DataError::Write { path: path.to_owned(), source };
    // The finished file is renamed into place, which would put it where a device or pipe was.
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
    }
    let (partial, file) = Partial::file(path).map_err(failed)?;
    let mut writer = Writer::new(&file).map_err(failed)?;

    let mut feed =
        Feed { data, shape: options.shape, resampler: Resampler::default(), picture: Picture::default() };
    let (first, mut resized) =
        feed.image(0).map(|(picture, resized)| (picture.clone(), usize::from(resized)))?;
    let shape = first.shape();
    let extents = vec![images, shape.channels, shape.height, shape.width];
    writer.array("x", descr(first.samples()), extents, size(first.samples())).map_err(failed)?;
    writer.samples(first.samples()).map_err(failed)?;
    for image in 1..images {
        let (picture, changed) = feed.image(image)?;
        if picture.shape() != shape || descr(picture.samples()) != descr(first.samples()) {
            return Err(DataError::Uneven { image, expected: shape, found: picture.shape() });
        }
        writer.samples(picture.samples()).map_err(failed)?;
        resized += usize::from(changed);
    }

    let labels: Option<Vec<usize>> = (0..images).map(|image| data.label(image)).collect();
    if let Some(labels) = &labels {
        writer.array("y", "<i8", vec![images], 8).map_err(failed)?;
        for label in labels {
            writer.zip.write_all(&(*label as i64).to_le_bytes()).map_err(failed)?;
        }
    }
    writer.finish().map_err(failed)?;
    file.sync_all().map_err(failed)?;
    partial.publish(path).map_err(failed)?;
    Ok(Exported { images, shape, labelled: labels.is_some(), resized })
}

/// Pictures in the shape that was asked for.
struct Feed<'a> {
    data: &'a dyn Dataset,
    shape: Option<Chw>,
    resampler: Resampler,
    picture: Picture,
}

impl Feed<'_> {
    /// The picture, and whether it was resized or cropped.
    fn image(&mut self, image: usize) -> Result<(&Picture, bool), DataError> {
        self.data.read(image, &mut self.picture)?;
        let Some(expected) = self.shape else { return Ok((&self.picture, false)) };
        let resized =
            (self.picture.shape().height, self.picture.shape().width) != (expected.height, expected.width);
        match self.resampler.bring_to(&self.picture, expected) {
            Ok(picture) => Ok((picture, resized)),
            Err(source) => Err(DataError::Channels { image, expected, source }),
        }
    }
}

struct Writer<'a> {
    zip: ZipWriter<BufWriter<&'a File>>,
}

impl<'a> Writer<'a> {
    fn new(file: &'a File) -> io::Result<Self> {
        Ok(Self { zip: ZipWriter::new(BufWriter::with_capacity(1 << 18, file)) })
    }

    fn array(&mut self, name: &str, descr: &str, shape: Vec<usize>, size: u64) -> io::Result<()> {
        let bytes = shape.iter().fold(size, |bytes, extent| bytes.saturating_mul(*extent as u64));
        // Archives get no time stamp of their own, so that the same images give the same bytes.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(zip::DateTime::DEFAULT)
            .large_file(bytes > 1 << 31);
        self.zip.start_file(format!("{name}.npy"), options)?;
        Header { descr: descr.to_owned(), shape }.write(&mut self.zip)
    }

    fn samples(&mut self, samples: &Samples) -> io::Result<()> {
        match samples {
            Samples::U8(samples) => self.zip.write_all(samples),
            Samples::F32(samples) => {
                let mut written = Ok(());
                for_le_bytes(samples, |bytes| {
                    if written.is_ok() {
                        written = self.zip.write_all(bytes);
                    }
                });
                written
            }
        }
    }

    fn finish(self) -> io::Result<()> {
        self.zip.finish()?.flush()
    }
}

const fn descr(samples: &Samples) -> &'static str {
    match samples {
        Samples::U8(_) => "|u1",
        Samples::F32(_) => "<f4",
    }
}

const fn size(samples: &Samples) -> u64 {
    match samples {
        Samples::U8(_) => 1,
        Samples::F32(_) => 4,
    }
}
