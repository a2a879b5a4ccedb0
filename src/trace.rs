//! `--trace FILE`: a line per image, in a file that appears when it is complete.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use offramp_models::partial::Partial;
use offramp_runtime::executor::Outcome;
use offramp_runtime::trace::TraceWriter;

/// A trace that appears under its name when it is complete. A pipe or terminal is written to as it is.
pub struct TraceFile {
    writer: TraceWriter<BufWriter<File>>,
    path: PathBuf,
    /// What appears as `path` at the end.
    partial: Option<Partial>,
}

impl TraceFile {
    /// A trace that will be at `path`.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let special = std::fs::metadata(path).is_ok_and(|there| !there.is_file());
        let opened = match special {
            true => File::create(path).map(|file| (None, file)),
            false => Partial::file(path).map(|(partial, file)| (Some(partial), file)),
        };
        let (partial, file) = opened.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { writer: TraceWriter::new(BufWriter::new(file)), path: path.to_owned(), partial })
    }

    /// Writes one line.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&mut self, outcome: &Outcome<'_>, label: Option<usize>) -> anyhow::Result<()> {
        self.writer.write(outcome, label).with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Lets the file appear.
    ///
    /// # Errors
    /// When the file cannot be written or renamed.
    pub fn finish(self) -> anyhow::Result<()> {
        let failed = || format!("cannot write {}", self.path.display());
        self.writer.finish().with_context(failed)?;
        match self.partial {
            Some(partial) => partial.publish(&self.path).with_context(failed),
            None => Ok(()),
        }
    }
}
