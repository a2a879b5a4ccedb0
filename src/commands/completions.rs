//! `offramp completions`: scripts that complete the command line in a shell.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::status::Status;

/// Print a completion script for a shell.
#[derive(Args)]
#[command(
    after_help = "Example:\n  offramp completions bash > ~/.local/share/bash-completion/completions/offramp"
)]
pub struct Completions {
    /// The shell.
    shell: Shell,
    /// Print one JSON object that holds the script.
    #[arg(long)]
    json: bool,
}

impl Completions {
    pub fn run(self) -> anyhow::Result<Status> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut crate::Arguments::command(), "offramp", &mut script);
        let script = String::from_utf8_lossy(&script);
        if self.json {
            let shell = self.shell.to_string();
            let object = serde_json::json!({"schema_version": 1, "shell": shell, "script": script});
            crate::output::json(&object)?;
        } else {
            crate::output::text(script.trim_end())?;
        }
        Ok(Status::Done)
    }
}
