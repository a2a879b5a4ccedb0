//! The name of a data set on the command line.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::shapes;

/// What `--input DATA` names.
///
/// `FILE.npz`, a folder, `cifar10:DIR`, `cifar100:DIR`, `tiny-imagenet:DIR` or `shapes:SPLIT[:N]`. A folder of a
/// published data set means its test images (Tiny ImageNet: `val`, whose labels are published); `#train` after it
/// means its training images.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DataRef {
    /// Arrays `x` and `y`.
    Npz(PathBuf),
    /// Images, flat or one folder per class.
    Folder(PathBuf),
    /// CIFAR-10, binary or Python version.
    Cifar10 {
        /// The folder that holds its files, or the folder that it was unpacked in.
        dir: PathBuf,
        /// Which images.
        split: PublishedSplit,
    },
    /// CIFAR-100, binary or Python version, with its fine labels.
    Cifar100 {
        /// The folder that holds its files, or the folder that it was unpacked in.
        dir: PathBuf,
        /// Which images.
        split: PublishedSplit,
    },
    /// Tiny ImageNet.
    TinyImageNet {
        /// The folder that holds its files, or the folder that it was unpacked in.
        dir: PathBuf,
        /// Which images.
        split: PublishedSplit,
    },
    /// The built-in data set.
    Shapes {
        /// Which images.
        split: shapes::Split,
        /// The first so many of them, all without.
        count: Option<usize>,
    },
}

/// A split of a published data set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PublishedSplit {
    /// Images to train on.
    Train,
    /// Images to judge by.
    #[default]
    Test,
}

/// Text that names no data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataRefError {
    /// Nothing, or nothing after the colon.
    #[error("\"{text}\" names no file or folder")]
    NoPath {
        /// The text.
        text: String,
    },
    /// A split that the built-in data set does not have.
    #[error("shapes has no split \"{found}\", expected train, calibration or test")]
    Split {
        /// What was found.
        found: String,
    },
    /// A number of images that is none.
    #[error("\"{found}\" is not a number of images, expected 1 to {most}")]
    Count {
        /// What was found.
        found: String,
        /// Images in the split.
        most: usize,
    },
}

impl FromStr for DataRef {
    type Err = DataRefError;

    fn from_str(text: &str) -> Result<Self, DataRefError> {
        if let Some(rest) = text.strip_prefix("shapes:") {
            return shapes_ref(rest);
        }
        let published = |rest: &str, train: &str, test: &str| {
            let (dir, split) = if let Some(dir) = rest.strip_suffix(train) {
                (dir, PublishedSplit::Train)
            } else {
                (rest.strip_suffix(test).unwrap_or(rest), PublishedSplit::Test)
            };
            Ok((path(dir, text)?, split))
        };
        if let Some(rest) = text.strip_prefix("cifar10:") {
            let (dir, split) = published(rest, "#train", "#test")?;
            return Ok(Self::Cifar10 { dir, split });
        }
        if let Some(rest) = text.strip_prefix("cifar100:") {
            let (dir, split) = published(rest, "#train", "#test")?;
            return Ok(Self::Cifar100 { dir, split });
        }
        if let Some(rest) = text.strip_prefix("tiny-imagenet:") {
            let (dir, split) = published(rest, "#train", "#val")?;
            return Ok(Self::TinyImageNet { dir, split });
        }
        let path = path(text, text)?;
        let npz = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npz"));
        Ok(if npz { Self::Npz(path) } else { Self::Folder(path) })
    }
}

fn path(path: &str, text: &str) -> Result<PathBuf, DataRefError> {
    match path {
        "" => Err(DataRefError::NoPath { text: text.to_owned() }),
        path => Ok(PathBuf::from(path)),
    }
}

fn shapes_ref(rest: &str) -> Result<DataRef, DataRefError> {
    let (name, count) = match rest.split_once(':') {
        Some((name, count)) => (name, Some(count)),
        None => (rest, None),
    };
    let Some(&(_, split)) = shapes::Split::ALL.iter().find(|(known, _)| *known == name) else {
        return Err(DataRefError::Split { found: name.to_owned() });
    };
    let number = |text: &str| match text.parse() {
        Ok(count) if (1..=split.len()).contains(&count) => Ok(count),
        _ => Err(DataRefError::Count { found: text.to_owned(), most: split.len() }),
    };
    Ok(DataRef::Shapes { split, count: count.map(number).transpose()? })
}

impl fmt::Display for DataRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let published = |f: &mut fmt::Formatter<'_>, name, dir: &Path, split| match split {
            PublishedSplit::Train => write!(f, "{name}:{}#train", dir.display()),
            PublishedSplit::Test => write!(f, "{name}:{}", dir.display()),
        };
        match self {
            Self::Npz(path) | Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Cifar10 { dir, split } => published(f, "cifar10", dir, *split),
            Self::Cifar100 { dir, split } => published(f, "cifar100", dir, *split),
            Self::TinyImageNet { dir, split } => published(f, "tiny-imagenet", dir, *split),
            Self::Shapes { split, count } => {
                write!(f, "shapes:{split}")?;
                count.map_or(Ok(()), |count| write!(f, ":{count}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> DataRef {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_printed_is_read_back() {
        for text in [
            "a/b.npz",
            "B.NPZ",
            "pictures",
            "cifar10:/data/c",
            "cifar100:d#train",
            "tiny-imagenet:x y",
            "tiny-imagenet:t#train",
            "shapes:test",
            "shapes:calibration:12",
        ] {
            assert_eq!(parsed(text).to_string(), text);
        }
    }

    #[test]
    fn test_images_are_meant_where_nothing_is_said() {
        assert_eq!(parsed("cifar10:c"), parsed("cifar10:c#test"));
        assert_eq!(parsed("tiny-imagenet:c"), parsed("tiny-imagenet:c#val"));
    }

    #[test]
    fn text_that_names_no_data_is_refused() {
        let message = |text: &str| text.parse::<DataRef>().unwrap_err().to_string();
        assert_eq!(message(""), "\"\" names no file or folder");
        assert_eq!(message("cifar10:#train"), "\"cifar10:#train\" names no file or folder");
        assert_eq!(message("shapes:val"), "shapes has no split \"val\", expected train, calibration or test");
        assert_eq!(message("shapes:test:0"), "\"0\" is not a number of images, expected 1 to 2000");
        assert_eq!(message("shapes:test:many"), "\"many\" is not a number of images, expected 1 to 2000");
    }
}
