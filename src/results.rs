//! `-o DIR`: where results are kept that took long to come by.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;
use offramp_models::partial::Partial;

use crate::status::hint;

/// Where results go.
#[derive(Args)]
pub struct ResultFlags {
    /// Write what came out to DIR (bench.json, with --offload offload.json), for `offramp report`
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Replace results that are there
    #[arg(long, requires = "output")]
    force: bool,
}

impl ResultFlags {
    /// The folder, made if it is not there, in which a file called `name` can be written.
    ///
    /// # Errors
    /// When nothing can be written there, or results are there that are not to be replaced: better told now than after
    /// the measurement.
    pub fn folder(&self, name: &str) -> anyhow::Result<Option<&Path>> {
        let Some(folder) = self.output.as_deref() else { return Ok(None) };
        let path = folder.join(name);
        if !self.force && path.exists() {
            let there = anyhow!("{} is there", path.display());
            return Err(hint(there, "--force replaces it; or choose another folder"));
        }
        let writable = fs::create_dir_all(folder).and_then(|()| Partial::file(&path));
        writable.with_context(|| format!("cannot write into {}", folder.display()))?;
        Ok(Some(folder))
    }
}
