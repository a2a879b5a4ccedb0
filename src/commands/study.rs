//! `offramp study`: networks, attacks, corruptions and policies, every one against every other, in a folder.

use std::path::PathBuf;

use clap::Args;
use indicatif::ProgressBar;
use offramp_exporter::ExportError;
use offramp_models::dataset::DataError;
use offramp_study::campaign::{Campaign, CampaignError, Config, Event, Finished, FolderError, Phase};
use serde_json::json;

use crate::backends::BackendFlags;
use crate::output;
use crate::status::{Status, hint};

/// Craft, replay and compare: a whole study from one file, in a folder that can be gone on with
///
/// Everything that is done is in DIR when it is complete; stopped at any moment, the same command goes on where it was.
#[derive(Args)]
#[command(after_help = "Examples:\n  offramp study studies/shapes.toml -o shapes.study\n  \
                        offramp report shapes.study -o shapes.html")]
pub struct Study {
    /// What to study; docs/study.md tells its keys
    #[arg(value_name = "CONFIG.toml")]
    config: PathBuf,
    /// The study's folder; one that is there is gone on with
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backend: BackendFlags,
}

impl Study {
    pub fn run(self) -> anyhow::Result<Status> {
        let config = Config::read(&self.config)?;
        let candidates = self.backend.candidates(None)?;
        let bar = output::progress(1, "study");
        let ran = candidates.first_that_runs(CampaignError::refused_by_backend, |backend| {
            let campaign = Campaign {
                config: &config,
                dir: &self.output,
                backend,
                threads: self.backend.thread_count(),
                producer: concat!("offramp ", env!("CARGO_PKG_VERSION")),
            };
            campaign.run(&mut |event| {
                show(&bar, event);
                true
            })
        });
        bar.finish_and_clear();
        let (finished, candidate) = ran.map_err(explain)?;
        let backend = &finished.provenance.backend;
        output::note(format!(
            "backend: {} {} {} ({})",
            backend.name, backend.provider, backend.version, candidate.why
        ));
        self.print(&finished)?;
        Ok(Status::Done)
    }

    fn print(&self, finished: &Finished) -> anyhow::Result<()> {
        let folder = self.output.display();
        if self.json {
            return output::json(&json!({
                "schema_version": 1,
                "folder": self.output,
                "provenance": finished.provenance,
                "rows": finished.rows,
                "returns": finished.returns,
                "skipped": finished.skipped,
                "tables": finished.findings.tables().map(|table| &table.name).collect::<Vec<_>>(),
            }));
        }
        output::text(finished.text().trim_end())?;
        output::note(format!("written: {folder}/rows.jsonl, {folder}/tables/, {folder}/findings.json"));
        Ok(())
    }
}

fn show(bar: &ProgressBar, event: Event<'_>) {
    bar.set_length(event.of as u64);
    bar.set_position(event.done as u64);
    let what = match event.phase {
        Phase::Open => "opening",
        Phase::Policies => "calibrating",
        Phase::Craft => "crafting",
        Phase::Record => "recording",
        Phase::Row => "comparing",
        Phase::Confirm => "confirming",
    };
    match event.step {
        Some([done, of]) => bar.set_message(format!("{what} {done}/{of}")),
        None => bar.set_message(what),
    }
}

/// Adds what helps to an error of a campaign.
fn explain(error: CampaignError) -> anyhow::Error {
    let advice = match &error {
        CampaignError::Folder(FolderError::Other { what, .. }) if what == "the backend" => {
            "rows of two backends do not mix: go on with --backend as before, or choose another folder"
        }
        CampaignError::Folder(FolderError::Other { .. } | FolderError::Removed { .. }) => {
            "a study may only grow: choose another folder for another one"
        }
        CampaignError::Folder(FolderError::Foreign { .. }) => "choose a new folder",
        CampaignError::Folder(FolderError::Row { .. }) => {
            "cut the file before that line: the rows from there on are made again"
        }
        CampaignError::Folder(FolderError::Recording(_) | FolderError::Arrays { .. }) => {
            "delete it: what is missing is made again"
        }
        CampaignError::Folder(FolderError::Form { path, .. }) if !path.ends_with("study.json") => {
            "delete it: what is missing is made again"
        }
        CampaignError::Split { source, .. } if matches!(**source, ExportError::OneOutput { .. }) => {
            "`static = true` takes a network with one output; `exits` names inner tensors"
        }
        CampaignError::Shapes { .. } => "a study for each, or `transfer = false`",
        CampaignError::Data(DataError::Size { .. }) => {
            "only folders of images are resized and cropped: give the pictures as a folder, or bring them to that size"
        }
        CampaignError::CalibrationIsTest { .. } => {
            "shapes:calibration, or cifar10:DIR#train, are other images"
        }
        _ => return error.into(),
    };
    hint(error, advice)
}
