//! Recordings on disk: numpy archives that anybody can read.
//!
//! `logits` float32 `[images, exits, classes]`; `labels` int64 `[images]`, -1 where unknown; `data_sha256` and `key` uint8 `[32]`:
//! digest of the images run, and what the recording is of. The same recording gives the same bytes.

use std::path::Path;

use offramp_models::Sha256;
use offramp_models::dataset::{ArchiveReader, ArchiveWriter, DataError};
use offramp_runtime::recording::{Recording, RecordingError};

use super::FolderError;

/// Writes `recording`, which is of `key`, to `path`, whole or not at all.
///
/// # Errors
/// `Write` names the file.
pub fn write(recording: &Recording, key: Sha256, path: &Path) -> Result<(), FolderError> {
    let write = || {
        let (images, exits, classes) = (recording.images(), recording.exits(), recording.classes());
        let mut archive = ArchiveWriter::create(path)?;
        archive.array("logits", "<f4", vec![images, exits, classes], 4)?;
        for image in 0..images {
            archive.floats(recording.logits(image).unwrap_or_default())?;
        }
        let label = |label: &Option<usize>| label.map_or(-1, |label| label as i64);
        archive.integers("labels", recording.labels().iter().map(label))?;
        for (name, digest) in [("data_sha256", recording.data_sha256()), ("key", key)] {
            archive.array(name, "|u1", vec![32], 1)?;
            archive.bytes(&digest.bytes())?;
        }
        archive.finish()
    };
    write().map_err(|source| FolderError::Write { path: path.to_owned(), source })
}

/// Reads the recording of `key` at `path`; `None` where there is none.
///
/// # Errors
/// `Recording` or `Arrays` for a file that is none, `Key` for a recording of something else.
pub fn read(path: &Path, key: Sha256) -> Result<Option<Recording>, FolderError> {
    if !path.is_file() {
        return Ok(None);
    }
    let refused = |error: DataError| FolderError::Recording(Box::new(error));
    let mut archive = ArchiveReader::open(path).map_err(refused)?;
    let found = digest(&archive.integers("key").map_err(refused)?);
    if found != Some(key) {
        let found = found.map_or_else(|| "that is none".to_owned(), |found| found.to_string());
        return Err(FolderError::Key { path: path.to_owned(), expected: key, found });
    }
    let (shape, logits) = archive.floats("logits").map_err(refused)?;
    let labels = archive.integers("labels").map_err(refused)?;
    let labels: Vec<_> = labels.into_iter().map(|label| usize::try_from(label).ok()).collect();
    let data = archive.integers("data_sha256").map_err(refused)?;
    let arrays = |source| FolderError::Arrays { path: path.to_owned(), source };
    let &[_, exits, classes] = shape.as_slice() else {
        let found = logits.len();
        return Err(arrays(RecordingError::Length { images: labels.len(), exits: 0, classes: 0, found }));
    };
    let data = digest(&data).unwrap_or_else(|| Sha256::of(b""));
    Recording::new(exits, classes, logits, labels, data).map(Some).map_err(arrays)
}

fn digest(bytes: &[i128]) -> Option<Sha256> {
    let bytes = bytes.iter().map(|byte| u8::try_from(*byte).ok()).collect::<Option<Vec<_>>>()?;
    Some(Sha256::from_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording() -> Recording {
        let logits = vec![0.5, -1.0, 2.0, 3.25, f32::MIN_POSITIVE, 0.1, 7.0, -8.0];
        Recording::new(2, 2, logits, vec![Some(1), None], Sha256::of(b"data")).unwrap()
    }

    #[test]
    fn a_recording_is_read_back_as_it_was_written_and_always_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b, key) = (folder.path().join("a.npz"), folder.path().join("b.npz"), Sha256::of(b"key"));
        write(&recording(), key, &a).unwrap();
        write(&recording(), key, &b).unwrap();
        assert_eq!(read(&a, key).unwrap(), Some(recording()));
        assert_eq!(std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());
        assert_eq!(read(&folder.path().join("none.npz"), key).unwrap(), None);
    }

    #[test]
    fn a_recording_of_something_else_or_a_broken_one_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        write(&recording(), Sha256::of(b"key"), &path).unwrap();
        assert!(matches!(read(&path, Sha256::of(b"other")), Err(FolderError::Key { .. })));
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(matches!(read(&path, Sha256::of(b"key")), Err(FolderError::Recording(_))));
    }
}
