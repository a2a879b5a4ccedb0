//! Image files, decoded when they are asked for.

use std::io::BufReader;
use std::path::{Path, PathBuf};

use image::{ColorType, DynamicImage, ImageFormat, ImageReader};

use super::{Chw, DataError, Dataset, Picture};
use crate::regular;

/// Extensions of the formats that are compiled in, lower case.
const EXTENSIONS: [&str; 5] = ["bmp", "jpeg", "jpg", "png", "webp"];

/// Files in a fixed order.
pub(super) struct Files {
    /// The data set, for reports.
    pub name: String,
    /// The files.
    pub paths: Vec<PathBuf>,
    /// One label per file, or none at all.
    pub labels: Option<Vec<usize>>,
    /// By label.
    pub class_names: Option<Vec<String>>,
    /// Files that were left out because they are no images by their names.
    pub ignored: usize,
    /// Height and width of every picture, where the data set was published in one.
    pub size: Option<(usize, usize)>,
}

/// Whether the name ends like that of an image.
pub(super) fn is_image(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension)))
}

impl Dataset for Files {
    fn len(&self) -> usize {
        self.paths.len()
    }

    fn label(&self, image: usize) -> Option<usize> {
        self.labels.as_ref()?.get(image).copied()
    }

    fn read(&self, image: usize, into: &mut Picture) -> Result<(), DataError> {
        let images = self.len();
        let path = self.paths.get(image).ok_or(DataError::NoImage { image, images })?;
        let failed = |source| DataError::Read { path: path.clone(), source };
        let mut reader = ImageReader::new(BufReader::new(regular::open(path).map_err(failed)?));
        if let Ok(format) = ImageFormat::from_path(path) {
            reader.set_format(format);
        }
        let reader = reader.with_guessed_format().map_err(failed)?;
        let decoded = reader.decode().map_err(|source| DataError::Image { path: path.clone(), source })?;
        spread(decoded, into);
        Ok(())
    }

    fn class_names(&self) -> Option<&[String]> {
        self.class_names.as_deref()
    }

    fn size(&self) -> Option<(usize, usize)> {
        self.size
    }

    fn describe(&self) -> String {
        let mut text = format!("{}: {} image files", self.name, self.len());
        match &self.class_names {
            Some(names) if self.labels.is_some() => text += &format!(" of {} classes", names.len()),
            _ => text += ", no labels",
        }
        if self.ignored > 0 {
            text += &format!(", {} other files ignored", self.ignored);
        }
        text
    }
}

/// Turns pixels into planes: grey into one, colour into three. Alpha is dropped, not blended.
fn spread(decoded: DynamicImage, into: &mut Picture) {
    let (height, width) = (decoded.height() as usize, decoded.width() as usize);
    let (channels, pixels) = match decoded.color() {
        ColorType::L8 | ColorType::La8 | ColorType::L16 | ColorType::La16 => {
            (1, decoded.into_luma8().into_raw())
        }
        _ => (3, decoded.into_rgb8().into_raw()),
    };
    let samples = into.fill_u8(Chw { channels, height, width });
    for (channel, plane) in samples.chunks_exact_mut((height * width).max(1)).enumerate() {
        for (sample, pixel) in plane.iter_mut().zip(pixels.chunks_exact(channels)) {
            *sample = pixel[channel];
        }
    }
}
