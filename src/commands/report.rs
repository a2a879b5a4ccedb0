//! `offramp report`: studies as one HTML file.

use std::path::{Path, PathBuf};

use clap::Args;
use offramp_offload::experiment;
use offramp_runtime::bench::record;
use offramp_study::report::{self, StoredError, Study};
use serde_json::json;

use crate::output;
use crate::status::{Status, hint};

/// Show what studies and benches found in one HTML file that needs no network
#[derive(Args)]
#[command(
    after_help = "Examples:\n  offramp study shapes.toml -o runs/shapes && offramp report runs/shapes -o shapes.html\n  \
                        offramp report runs/desk runs/jetson -o both.html"
)]
pub struct Report {
    /// Folders of finished studies, or of `bench -o`; those of the same networks and data stand side by side
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    /// The file to write
    #[arg(short, long, value_name = "FILE.html")]
    output: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Report {
    pub fn run(self) -> anyhow::Result<Status> {
        let studies = self.folders.iter().map(|folder| Study::read(folder)).collect::<Result<Vec<_>, _>>();
        let studies = studies.map_err(advise)?;
        let written = report::write(&studies, &self.output)?;
        if self.json {
            return output::json(&json!({
                "schema_version": 1,
                "file": self.output,
                "bytes": written.bytes,
                "tables": written.tables,
                "figures": written.figures,
                "specimens": written.specimens,
            }))
            .map(|()| Status::Done);
        }
        output::text(format!(
            "{}: {} tables, {} figures, {} pictures, {} bytes",
            self.output.display(),
            written.tables,
            written.figures,
            written.specimens,
            written.bytes
        ))?;
        Ok(Status::Done)
    }
}

fn advise(error: StoredError) -> anyhow::Error {
    const AGAIN: &str = "run `offramp bench .. -o DIR` of this version again";
    let of_bench = |path: &Path| path.ends_with(experiment::FILE) || path.ends_with(record::FILE);
    let advice = match &error {
        StoredError::Missing { .. } => {
            "`offramp study CONFIG.toml -o DIR` makes a study, and goes on with one that was stopped; `offramp bench .. -o DIR` keeps a bench or \
             an offload experiment"
        }
        StoredError::Impossible { .. } => AGAIN,
        StoredError::Truncated { path, .. }
        | StoredError::Form { path, .. }
        | StoredError::Version { path, .. }
        | StoredError::Fault { path, .. }
            if of_bench(path) =>
        {
            AGAIN
        }
        StoredError::Truncated { .. } => {
            "`offramp study CONFIG.toml -o DIR` goes on with a study that was stopped"
        }
        StoredError::Form { .. } | StoredError::Version { .. } | StoredError::Fault { .. } => {
            "run `offramp study` of this version again; rows that are there are kept"
        }
        _ => return error.into(),
    };
    hint(error, advice)
}
