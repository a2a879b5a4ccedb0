//! Policy flags to a policy.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use offramp_models::{Bundle, Sha256};
use offramp_runtime::confidence::{Measure, Threshold};
use offramp_runtime::policy::{Fallback, Policy, PolicyFile, PolicySpec, Rule};

use crate::status::{hint, usage};

/// Name of the policy that a bundle brings along.
const DEFAULT: &str = "policies/default.json";

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
    /// Whose label is returned when nothing is confident [default: final]
    #[arg(long, value_enum)]
    pub fallback: Option<FallbackKind>,
    /// Always stop at exit K
    #[arg(long, value_name = "K",
          conflicts_with_all = ["policy", "threshold", "thresholds", "patience", "policy_file", "fallback"])]
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

impl Kind {
    /// The confidence it reads, `None` for patience.
    pub fn measure(self) -> Option<Measure> {
        match self {
            Self::MaxSoftmax => Some(Measure::MaxSoftmax),
            Self::Entropy => Some(Measure::Entropy),
            Self::Margin => Some(Measure::Margin),
            Self::Patience => None,
        }
    }
}

/// Whose label is returned when nothing is confident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FallbackKind {
    /// The final exit's
    Final,
    /// The most confident exit's, at the full cost
    MostConfident,
}

impl From<FallbackKind> for Fallback {
    fn from(kind: FallbackKind) -> Self {
        match kind {
            FallbackKind::Final => Self::Final,
            FallbackKind::MostConfident => Self::MostConfident,
        }
    }
}

/// A policy, and where it is from.
pub struct Chosen {
    /// What was asked for.
    pub spec: PolicySpec,
    /// The same, for this network.
    pub policy: Box<dyn Policy + Send + Sync>,
    /// `asked for`, `policies/default.json` or `the default`.
    pub origin: String,
    /// Digest of the data it was calibrated on.
    pub calibrated_on: Option<Sha256>,
}

impl PolicyFlags {
    /// The policy for `bundle`.
    ///
    /// # Errors
    /// Status 2 for flags that contradict each other or do not fit the network; an error for a file that cannot be used.
    pub fn choose(&self, bundle: &Bundle) -> anyhow::Result<Chosen> {
        let exits = bundle.manifest().exits.len();
        let default = bundle.dir().join(DEFAULT);
        let (mut spec, origin, calibration) = if let Some(path) = &self.policy_file {
            let file = PolicyFile::read(path)?;
            (file.policy, path.display().to_string(), file.calibration)
        } else if let Some(exit) = self.exit {
            (PolicySpec::fixed(exit), "asked for".to_owned(), None)
        } else if let Some(rule) = self.rule()? {
            (PolicySpec { rule, fallback: Fallback::Final }, "asked for".to_owned(), None)
        } else if default.is_file() {
            let file = PolicyFile::read(&default)?;
            (file.policy, DEFAULT.to_owned(), file.calibration)
        } else {
            (PolicySpec::default(), "the default".to_owned(), None)
        };
        if let Some(fallback) = self.fallback {
            spec.fallback = fallback.into();
        }
        let policy = spec.fit(exits).map_err(|error| {
            let advice = format!("the network has {exits} exits, 0 to {}", exits.saturating_sub(1));
            hint(usage(error.to_string()), advice)
        })?;
        let calibrated_on = calibration.map(|calibration| calibration.data_sha256);
        Ok(Chosen { spec, policy, origin, calibrated_on })
    }

    fn rule(&self) -> anyhow::Result<Option<Rule>> {
        match (self.policy, self.patience) {
            (None | Some(Kind::Patience), Some(patience)) => return Ok(Some(Rule::Patience { patience })),
            (Some(Kind::Patience), None) => return Err(usage("--policy patience needs --patience K")),
            (Some(_), Some(_)) => return Err(usage("--patience goes with --policy patience only")),
            _ => {}
        }
        let numbers = match (self.threshold, &self.thresholds) {
            (Some(one), _) => vec![one],
            (None, Some(several)) => several.clone(),
            (None, None) if self.policy.is_none() => return Ok(None),
            (None, None) => vec![Threshold::DEFAULT.get()],
        };
        let thresholds: Result<Vec<_>, _> = numbers.into_iter().map(Threshold::new).collect();
        let thresholds = thresholds.map_err(|error| usage(error.to_string()))?;
        let measure = self.policy.and_then(Kind::measure).unwrap_or(Measure::MaxSoftmax);
        Ok(Some(Rule::Confidence { measure, thresholds }))
    }
}
