//! Policy flags to a policy.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use offramp_models::dataset::DataRef;
use offramp_models::{Bundle, Causes, Manifest};
use offramp_runtime::confidence::{Measure, Threshold};
use offramp_runtime::policy::{Fallback, Policy, PolicyFile, PolicySpec, Rule};

use crate::status::usage;
use crate::{output, provenance, quantities};

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
    #[arg(long, value_name = "T", value_parser = quantities::threshold, conflicts_with_all = ["thresholds", "patience"])]
    pub threshold: Option<Threshold>,
    /// One threshold per exit but the final one, in [0, 1]
    #[arg(long, value_name = "T0,T1,..", value_delimiter = ',', value_parser = quantities::threshold,
          conflicts_with = "patience")]
    pub thresholds: Option<Vec<Threshold>>,
    /// Stop when the K latest exits predict the same label
    #[arg(long, value_name = "K", value_parser = quantities::count)]
    pub patience: Option<NonZeroUsize>,
    /// Read the policy from a file that `calibrate` wrote
    #[arg(long, value_name = "FILE", conflicts_with_all = ["policy", "threshold", "thresholds", "patience"])]
    pub policy_file: Option<PathBuf>,
    /// Whose label is returned when nothing is confident [default: final]
    #[arg(long, value_enum)]
    pub fallback: Option<FallbackKind>,
    /// Always stop at exit K
    #[arg(long, value_name = "K", value_parser = quantities::index,
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
    pub file: PolicyFile,
    /// The same, for this network.
    pub policy: Box<dyn Policy + Send + Sync>,
    /// `asked for`, `policies/default.json` or `the default`.
    pub origin: String,
}

impl Chosen {
    /// Says on stderr when `data` are no judge of this policy.
    pub fn warn_if_calibrated_on(&self, data: &DataRef, manifest: &Manifest) {
        if self.file.calibration.is_none() {
            return;
        }
        match provenance::digest(data, manifest) {
            Ok(digest) if self.file.calibrated_on(digest) => output::note(format!(
                "warning: the policy was calibrated on images of {data}; figures on these images prove nothing"
            )),
            Ok(_) => {}
            Err(error) => output::note(format!(
                "note: cannot tell whether the policy was calibrated on images of {data}: {}",
                Causes(&error)
            )),
        }
    }
}

impl PolicyFlags {
    /// The policy for `bundle`.
    ///
    /// # Errors
    /// Status 2 for flags that contradict each other or do not fit the network; an error for a file that cannot be used.
    pub fn choose(&self, bundle: &Bundle) -> anyhow::Result<Chosen> {
        let default = bundle.dir().join(DEFAULT);
        let asked = |policy| (PolicyFile::by_hand(policy), "asked for".to_owned());
        let (mut file, origin) = if let Some(path) = &self.policy_file {
            (PolicyFile::read(path)?, path.display().to_string())
        } else if let Some(exit) = self.exit {
            asked(PolicySpec::fixed(exit))
        } else if let Some(rule) = self.rule()? {
            asked(PolicySpec { rule, fallback: Fallback::Final })
        } else if default.is_file() {
            (PolicyFile::read(&default)?, DEFAULT.to_owned())
        } else {
            (PolicyFile::by_hand(PolicySpec::default()), "the default".to_owned())
        };
        if let Some(fallback) = self.fallback {
            file.policy.fallback = fallback.into();
        }
        let exits = bundle.manifest().exits.len();
        let policy = file.policy.fit(exits).map_err(|error| {
            let exits = format!("the network has {exits} exits, 0 to {}", exits.saturating_sub(1));
            let advice =
                if file.calibration.is_some() { format!("{exits}; {origin} is for another") } else { exits };
            usage(error.to_string(), advice)
        })?;
        Ok(Chosen { file, policy, origin })
    }

    fn rule(&self) -> anyhow::Result<Option<Rule>> {
        match (self.policy, self.patience) {
            (None | Some(Kind::Patience), Some(patience)) => {
                return Ok(Some(Rule::Patience { patience: patience.get() }));
            }
            (Some(Kind::Patience), None) => {
                return Err(usage(
                    "--policy patience needs --patience K",
                    "--patience 2 stops when two exits agree",
                ));
            }
            (Some(_), Some(_)) => {
                return Err(usage("--patience goes with --policy patience only", "leave one of the two out"));
            }
            _ => {}
        }
        let thresholds = match (self.threshold, &self.thresholds) {
            (Some(one), _) => vec![one],
            (None, Some(several)) => several.clone(),
            (None, None) if self.policy.is_none() => return Ok(None),
            (None, None) => vec![Threshold::DEFAULT],
        };
        let measure = self.policy.and_then(Kind::measure).unwrap_or(Measure::MaxSoftmax);
        Ok(Some(Rule::Confidence { measure, thresholds }))
    }
}
