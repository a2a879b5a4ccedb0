//! Campaigns: networks, attacks, corruptions, policies and seeds, every one against every other, in a folder that can be
//! gone on with.
//!
//! A campaign crafts every set once, records the logits of every exit of every network on every input once, and makes
//! its rows from recordings. Each of these is a unit under a key of all that determines it, and appears in the folder
//! when it is complete: killed at any moment, the campaign goes on where it was and gives the same rows.

mod cell;
mod config;
mod craft;
mod driver;
mod error;
mod figures;
mod folder;
mod measure;
mod network;
mod plan;
mod policy;
mod record;
mod row;
mod rows;
mod sets;
mod specimen;
pub mod store;
mod summary;
mod sweep;
mod text;
mod work;

pub use config::{
    Config, ConfigError, CorruptionSpec, DataSpec, LatencySpec, ModelSpec, NetworkSource, NetworkSpec,
};
pub use driver::{Campaign, Event, Finished, Phase};
pub use error::{CampaignError, FolderError, ProbeError};
pub use folder::{STUDY_VERSION, StudyFile};
pub use measure::{Confirmation, Returns};
pub use network::Network;
pub use plan::{Plan, PlannedInput, PlannedSet, Skipped, Source};
pub use policy::{PolicyChoice, PolicyTable};
pub use row::{Figures, InputKind, Measured, Row, RowExit, RowInput, RowPolicy};
pub use sweep::{MethodSpec, SweepError};
