//! Events of long-running commands to stderr.

use std::io;

use clap::{Args, ValueEnum};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, registry};

/// What is told on stderr, and how.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Logs")]
pub struct LogFlags {
    /// Lines for people, or one JSON object a line
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// The least important that is told; debug tells every request that is refused
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = LogLevel::Info)]
    log_level: LogLevel,
}

/// How an event is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// How important an event is.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

impl LogFlags {
    /// Lines for people about what goes wrong, for commands without these flags.
    pub const WARNINGS: Self = Self { log_format: LogFormat::Text, log_level: LogLevel::Warn };

    /// Tells events from now on. Where stderr cannot be written, nothing is told and nothing else happens.
    pub fn install(self) {
        let level = match self.log_level {
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
        };
        // What the transport's crates tell is of use to their authors only.
        let ours = Targets::new().with_target("offramp", level).with_default(level.min(LevelFilter::WARN));
        // The library would otherwise tell its own errors on stderr, and panic when that cannot be written.
        let lines = fmt::layer().with_writer(io::stderr).log_internal_errors(false).with_ansi(false);
        let events = registry().with(ours);
        // Fails where events are told already.
        let _told = match self.log_format {
            LogFormat::Text => events.with(lines.with_target(false)).try_init(),
            LogFormat::Json => events.with(lines.json().flatten_event(true)).try_init(),
        };
    }
}
