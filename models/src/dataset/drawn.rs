//! The built-in data set, drawn picture by picture.

use super::shapes::{self, Split};
use super::{Chw, DataError, Dataset, Picture};

const SHAPE: Chw = Chw { channels: 3, height: shapes::SIZE, width: shapes::SIZE };

struct Drawn {
    split: Split,
    labels: Vec<usize>,
    class_names: Vec<String>,
}

/// The first `limit` pictures of `split`.
pub(super) fn open(split: Split, limit: usize) -> Result<impl Dataset, DataError> {
    let images = split.len().min(limit);
    if images == 0 {
        return Err(DataError::Empty { what: format!("shapes:{split}") });
    }
    let labels = (0..images).map(|image| shapes::label(split, image)).collect();
    Ok(Drawn { split, labels, class_names: shapes::CLASS_NAMES.map(str::to_owned).to_vec() })
}

impl Dataset for Drawn {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn label(&self, image: usize) -> Option<usize> {
        self.labels.get(image).copied()
    }

    fn read(&self, image: usize, into: &mut Picture) -> Result<(), DataError> {
        if image >= self.len() {
            return Err(DataError::NoImage { image, images: self.len() });
        }
        if let Ok(samples) = into.fill_u8(SHAPE).try_into() {
            shapes::render(self.split, image, samples);
        }
        Ok(())
    }

    fn class_names(&self) -> Option<&[String]> {
        Some(&self.class_names)
    }

    fn size(&self) -> Option<(usize, usize)> {
        Some((SHAPE.height, SHAPE.width))
    }

    fn describe(&self) -> String {
        format!("shapes:{}: {} images of {SHAPE} uint8", self.split, self.len())
    }
}
