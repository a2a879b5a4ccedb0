//! Findings as one HTML file: tables, figures and pictures of one study or several, with what they were made of.
//!
//! The file needs no network, no fonts and no scripts; it follows the reader's light or dark scheme, a phone's width and
//! paper. It knows nothing of networks: [`Stored`] is all it gets. What is long is folded, and unfolded on paper.

pub(crate) mod check;
mod comparison;
mod environment;
mod layout;
pub(crate) mod number;
mod page;
mod part;
mod specimen;
mod stored;
mod table;

use std::io;
use std::path::{Path, PathBuf};

use offramp_models::partial::write_whole;
use offramp_offload::experiment;
use offramp_runtime::bench::record;

use crate::plot::PlotError;
use crate::plot::text::legal;
use crate::{bench, offload};

pub use check::Fault;
pub(crate) use stored::versioned;
pub use stored::{FILE, SCHEMA_VERSION, Stored, StoredError};

/// One study in a report.
#[derive(Clone, Debug)]
pub struct Study {
    /// Its folder, as the reader is told it.
    pub folder: String,
    /// What it found.
    pub stored: Stored,
}

/// A report that cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A study cannot be read.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// No study at all.
    #[error("a report needs the findings of at least one study")]
    Empty,
    /// The same findings under two names: side by side they would seem to confirm each other.
    #[error("{first} and {second} hold the same findings")]
    Twice {
        /// A folder.
        first: String,
        /// Another, or the same again.
        second: String,
    },
    /// A figure cannot be drawn.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// A picture cannot be encoded.
    #[error("cannot encode picture {index} of set {set:?}")]
    Picture {
        /// The set.
        set: String,
        /// Index in the data.
        index: usize,
        /// Why.
        source: image::ImageError,
    },
    /// The file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What a report holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Size of the file in bytes.
    pub bytes: usize,
    /// Tables of all studies.
    pub tables: usize,
    /// Figures of all studies.
    pub figures: usize,
    /// Pictures of all studies.
    pub specimens: usize,
}

impl Study {
    /// Reads the study in `folder`, or the offload experiment or the bench where there is no study.
    ///
    /// # Errors
    /// Whatever [`Stored::read`] says.
    pub fn read(folder: &Path) -> Result<Self, StoredError> {
        let stored = match Stored::read(folder) {
            Err(StoredError::Missing { .. }) if folder.join(experiment::FILE).exists() => {
                offload::read(folder)?
            }
            Err(StoredError::Missing { .. }) if folder.join(record::FILE).exists() => bench::read(folder)?,
            read => read?,
        };
        Ok(Self { folder: folder.display().to_string(), stored })
    }
}

/// The report on `studies` as HTML. Studies of the same networks and data stand side by side; others, one after the other,
/// and the report says so.
///
/// # Errors
/// `Empty`, `Twice`, `Plot` or `Picture`.
pub fn html(studies: &[Study]) -> Result<String, ReportError> {
    if studies.is_empty() {
        return Err(ReportError::Empty);
    }
    for (index, study) in studies.iter().enumerate() {
        if let Some(twin) = studies.iter().take(index).find(|twin| twin.stored == study.stored) {
            return Err(ReportError::Twice { first: twin.folder.clone(), second: study.folder.clone() });
        }
    }
    // Last, and over everything: no text of any file may hold what HTML may not.
    Ok(page::page(studies)?.into_string().chars().map(legal).collect())
}

/// Writes the report on `studies` to `file`, whole or not at all.
///
/// # Errors
/// Those of [`html`], and `Write`.
pub fn write(studies: &[Study], file: &Path) -> Result<Written, ReportError> {
    let html = html(studies)?;
    write_whole(file, html.as_bytes())
        .map_err(|source| ReportError::Write { path: file.to_owned(), source })?;
    let count = |of: fn(&Study) -> usize| studies.iter().map(of).sum();
    Ok(Written {
        bytes: html.len(),
        tables: count(|study| study.stored.findings.tables().count()),
        figures: count(|study| study.stored.findings.figures().count()),
        specimens: count(|study| study.stored.findings.specimens.len()),
    })
}

/// `count` of `what`, whose plural ends in `s`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
