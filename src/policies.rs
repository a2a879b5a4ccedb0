//! Policy flags to a policy.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What may stop an image early.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Policy")]
pub struct PolicyFlags {
    /// Confidence that decides [default: the bundle's policies/default.json, else max-softmax at 0.9]
    #[arg(long, value_enum)]
    pub policy: Option<Kind>,
    /// One threshold for all exits but the final one, in [0, 1]
    #[arg(long, value_name = "T", conflicts_with_all = ["thresholds", "patience"])]
    pub threshold: Option<f32>,
    /// One threshold per exit but the final one, in [0, 1]
    #[arg(long, value_name = "T0,T1,..", value_delimiter = ',', conflicts_with = "patience")]
    pub thresholds: Option<Vec<f32>>,
    /// Stop when the K latest exits predict the same label
    #[arg(long, value_name = "K")]
    pub patience: Option<usize>,
    /// Read the policy from a file that `calibrate` wrote
    #[arg(long, value_name = "FILE", conflicts_with_all = ["policy", "threshold", "thresholds", "patience"])]
    pub policy_file: Option<PathBuf>,
    /// What answers when nothing is confident [default: final]
    #[arg(long, value_enum)]
    pub fallback: Option<FallbackKind>,
    /// Always stop at exit K
    #[arg(long, value_name = "K")]
    pub exit: Option<usize>,
}

/// Kinds of confidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Largest softmax probability
    MaxSoftmax,
    /// 1 - H / ln C
    Entropy,
    /// Largest minus second largest softmax probability
    Margin,
    /// The latest exits agree (--patience K)
    Patience,
}

/// What answers when nothing is confident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FallbackKind {
    /// The final exit
    Final,
    /// The most confident of all exits, at the full cost
    MostConfident,
}
