//! Policies as JSON: the file that `calibrate` writes and bundles carry (schema version 1).

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use offramp_models::partial::Partial;
use offramp_models::{Sha256, regular};
use serde::{Deserialize, Serialize};

use super::{Fallback, PolicySpec, Rule};
use crate::confidence::{Measure, Threshold};

/// The schema version that this build reads and writes.
pub const SCHEMA_VERSION: u32 = 1;

/// A policy and where its numbers came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyFile {
    /// Always [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The policy.
    #[serde(flatten)]
    pub policy: PolicySpec,
    /// What the policy was calibrated on; `None` for one written by hand.
    pub calibration: Option<Calibration>,
}

/// The data and the demand that thresholds were chosen for, and what they reach there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Digest of the whole data set that the images are the first of, so that nobody judges the policy on any of it.
    pub data_sha256: Sha256,
    /// Images used.
    pub images: usize,
    /// What had to hold.
    pub constraint: Constraint,
    /// Fraction of the images labelled rightly.
    pub accuracy: f64,
    /// Mean MACs spent over the MACs of the final exit.
    pub macs_fraction: f64,
}

/// What a calibrated policy has to keep to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Constraint {
    /// Accuracy lost against the final exit.
    MaxAccuracyDrop {
        /// The loss allowed, in [0, 1].
        limit: f64,
        /// Whether the loss is a fraction of the final exit's accuracy, not a difference.
        relative: bool,
    },
    /// Mean MACs over the MACs of the final exit.
    MaxMacs {
        /// The fraction allowed, in [0, 1].
        limit: f64,
    },
    /// Mean latency.
    MaxLatency {
        /// Seconds allowed.
        limit_s: f64,
    },
    /// Mean energy.
    MaxEnergy {
        /// Joules allowed.
        limit_j: f64,
    },
}

/// A policy file that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyFileError {
    /// The file could not be read.
    #[error("cannot read policy {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file could not be written.
    #[error("cannot write policy {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not JSON, or not of a policy's form.
    #[error("{} is not a policy of schema version {SCHEMA_VERSION}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What does not hold.
        source: serde_json::Error,
    },
    /// Written for another reader.
    #[error("policy {} has schema version {found}, this build reads {SCHEMA_VERSION}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: u64,
    },
}

impl PolicyFile {
    /// A policy that nobody calibrated.
    pub fn by_hand(policy: PolicySpec) -> Self {
        Self { schema_version: SCHEMA_VERSION, policy, calibration: None }
    }

    /// Reads a policy; [`PolicySpec::fit`] tells whether it fits a network.
    ///
    /// # Errors
    /// `Read`, `Form` or `Version`.
    pub fn read(path: &Path) -> Result<Self, PolicyFileError> {
        let form = |source| PolicyFileError::Form { path: path.into(), source };
        let text =
            regular::read(path).map_err(|source| PolicyFileError::Read { path: path.into(), source })?;
        // The version first, so that a newer file is told apart from a broken one.
        let value: serde_json::Value = serde_json::from_slice(&text).map_err(form)?;
        match value.get("schema_version").and_then(serde_json::Value::as_u64) {
            Some(found) if found != u64::from(SCHEMA_VERSION) => {
                Err(PolicyFileError::Version { path: path.into(), found })
            }
            _ => serde_json::from_value(value).map_err(form),
        }
    }

    /// Writes the policy in full or not at all.
    ///
    /// # Errors
    /// `Write` when the folder cannot be written to.
    pub fn write(&self, path: &Path) -> Result<(), PolicyFileError> {
        let written = || {
            if std::fs::metadata(path).is_ok_and(|there| !there.is_file()) {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
            }
            let mut text = serde_json::to_vec_pretty(self)?;
            text.push(b'\n');
            let (partial, mut file) = Partial::file(path)?;
            file.write_all(&text)?;
            partial.publish(path)
        };
        written().map_err(|source| PolicyFileError::Write { path: path.into(), source })
    }

    /// Whether the thresholds were chosen on images of the data set whose digest is `data`, which then cannot judge them.
    pub fn calibrated_on(&self, data: Sha256) -> bool {
        self.calibration.as_ref().is_some_and(|calibration| calibration.data_sha256 == data)
    }
}

/// A policy as its JSON has it: flat, with keys that do not apply empty or null.
#[derive(Serialize, Deserialize)]
pub(super) struct Form {
    kind: Kind,
    thresholds: Vec<Threshold>,
    patience: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exit: Option<usize>,
    fallback: Fallback,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    MaxSoftmax,
    Entropy,
    Margin,
    Patience,
    Fixed,
}

/// Keys that do not make a policy.
#[derive(Debug, thiserror::Error)]
pub(super) enum FormError {
    #[error("a policy of kind {kind} needs \"{key}\"")]
    Missing { kind: &'static str, key: &'static str },
    #[error("a policy of kind {kind} takes no \"{key}\"")]
    Idle { kind: &'static str, key: &'static str },
}

impl Form {
    pub(super) fn spec(self) -> Result<PolicySpec, FormError> {
        let Self { kind, thresholds, patience, exit, fallback } = self;
        let by = |measure, thresholds| Ok(Rule::Confidence { measure, thresholds });
        let (key, name) = match kind {
            Kind::MaxSoftmax => ("thresholds", "max-softmax"),
            Kind::Entropy => ("thresholds", "entropy"),
            Kind::Margin => ("thresholds", "margin"),
            Kind::Patience => ("patience", "patience"),
            Kind::Fixed => ("exit", "fixed"),
        };
        let given = [
            ("thresholds", !thresholds.is_empty()),
            ("patience", patience.is_some()),
            ("exit", exit.is_some()),
        ];
        if let Some((idle, _)) = given.into_iter().find(|(given, present)| *present && *given != key) {
            return Err(FormError::Idle { kind: name, key: idle });
        }
        let missing = FormError::Missing { kind: name, key };
        let rule = match kind {
            Kind::MaxSoftmax => by(Measure::MaxSoftmax, thresholds),
            Kind::Entropy => by(Measure::Entropy, thresholds),
            Kind::Margin => by(Measure::Margin, thresholds),
            Kind::Patience => patience.map(|patience| Rule::Patience { patience }).ok_or(missing),
            Kind::Fixed => exit.map(|exit| Rule::Fixed { exit }).ok_or(missing),
        };
        Ok(PolicySpec { rule: rule?, fallback })
    }
}

impl From<PolicySpec> for Form {
    fn from(PolicySpec { rule, fallback }: PolicySpec) -> Self {
        let mut form =
            Self { kind: Kind::Fixed, thresholds: Vec::new(), patience: None, exit: None, fallback };
        match rule {
            Rule::Confidence { measure, thresholds } => {
                form.thresholds = thresholds;
                form.kind = match measure {
                    Measure::MaxSoftmax => Kind::MaxSoftmax,
                    Measure::Entropy => Kind::Entropy,
                    Measure::Margin => Kind::Margin,
                };
            }
            Rule::Patience { patience } => (form.kind, form.patience) = (Kind::Patience, Some(patience)),
            Rule::Fixed { exit } => form.exit = Some(exit),
        }
        form
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PolicyFile, PolicyFileError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.json");
        std::fs::write(&path, text).unwrap();
        PolicyFile::read(&path)
    }

    fn refusal(text: &str) -> String {
        use std::error::Error as _;
        let error = read(text).unwrap_err();
        let folder_free = error.to_string().replace(char::is_whitespace, " ");
        let message = folder_free.rsplit('/').next().unwrap_or_default().to_owned();
        error.source().map_or(message.clone(), |source| format!("{message}: {source}"))
    }

    fn calibrated() -> PolicyFile {
        let data_sha256 = Sha256::of(b"abc");
        let constraint = Constraint::MaxAccuracyDrop { limit: 0.01, relative: false };
        let calibration =
            Calibration { data_sha256, images: 500, constraint, accuracy: 0.925, macs_fraction: 0.41 };
        PolicyFile { calibration: Some(calibration), ..PolicyFile::by_hand(PolicySpec::default()) }
    }

    #[test]
    fn a_written_policy_has_the_pinned_keys() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&calibrated()).unwrap(), @r#"
        {
          "schema_version": 1,
          "kind": "max-softmax",
          "thresholds": [
            0.9
          ],
          "patience": null,
          "fallback": "final",
          "calibration": {
            "data_sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "images": 500,
            "constraint": {
              "kind": "max-accuracy-drop",
              "limit": 0.01,
              "relative": false
            },
            "accuracy": 0.925,
            "macs_fraction": 0.41
          }
        }
        "#);
    }

    #[test]
    fn every_kind_survives_writing_and_reading() {
        let rules = [
            Rule::Confidence { measure: Measure::Entropy, thresholds: vec![Threshold::DEFAULT; 3] },
            Rule::Confidence { measure: Measure::Margin, thresholds: vec![Threshold::ALWAYS] },
            Rule::Patience { patience: 2 },
            Rule::Fixed { exit: 4 },
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.json");
        let by_hand =
            rules.map(|rule| PolicyFile::by_hand(PolicySpec { rule, fallback: Fallback::MostConfident }));
        for file in by_hand.into_iter().chain([calibrated()]) {
            file.write(&path).unwrap();
            assert_eq!(PolicyFile::read(&path).unwrap(), file);
        }
    }

    #[test]
    fn the_data_that_a_policy_was_calibrated_on_are_recognised() {
        assert!(calibrated().calibrated_on(Sha256::of(b"abc")));
        assert!(!calibrated().calibrated_on(Sha256::of(b"test split")));
    }

    #[test]
    fn a_file_that_is_no_policy_is_named_with_the_reason() {
        let kind = |kind: &str, rest: &str| {
            let text = r#"{"schema_version":1,"fallback":"final","kind":"KIND",REST}"#;
            refusal(&text.replace("KIND", kind).replace("REST", rest))
        };
        insta::assert_snapshot!(
            refusal(r#"{"schema_version": 2}"#),
            @"policy.json has schema version 2, this build reads 1"
        );
        insta::assert_snapshot!(
            kind("patience", r#""thresholds":[]"#),
            @r#"policy.json is not a policy of schema version 1: a policy of kind patience needs "patience""#
        );
        insta::assert_snapshot!(
            kind("entropy", r#""thresholds":[0.5],"patience":2"#),
            @r#"policy.json is not a policy of schema version 1: a policy of kind entropy takes no "patience""#
        );
        insta::assert_snapshot!(
            kind("entropy", r#""thresholds":[1.5]"#),
            @"policy.json is not a policy of schema version 1: a threshold is a number from 0 to 1, got 1.5"
        );
        let missing = PolicyFile::read(Path::new("nowhere/policy.json")).unwrap_err();
        insta::assert_snapshot!(missing, @"cannot read policy nowhere/policy.json");
        let unwritable = calibrated().write(Path::new("nowhere/policy.json")).unwrap_err();
        insta::assert_snapshot!(unwritable, @"cannot write policy nowhere/policy.json");
    }
}
