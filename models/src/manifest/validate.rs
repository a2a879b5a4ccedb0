//! What a manifest must satisfy before anything trusts it.

use std::collections::HashSet;
use std::path::{Component, Path};

use super::{Manifest, SCHEMA_VERSION};
use crate::{DType, TensorSpec};

/// A manifest that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Not JSON, or not of the manifest's form.
    #[error("not a bundle manifest of schema version {SCHEMA_VERSION}")]
    Form(#[source] serde_json::Error),
    /// Written for another reader.
    #[error("the manifest has schema version {found}, this build reads {SCHEMA_VERSION}")]
    Version {
        /// The version found.
        found: u64,
    },
    /// A name that cannot be part of a file name.
    #[error(
        "the network's name is {found:?}, expected letters, digits, \".\", \"_\" and \"-\", a letter or digit first"
    )]
    Name {
        /// The name.
        found: String,
    },
    /// A list that may not be empty is.
    #[error("the manifest lists no {what}")]
    Empty {
        /// `exits` or `segments`.
        what: &'static str,
    },
    /// A number that counts positions does not.
    #[error("{what} {position} says it is number {found}")]
    Index {
        /// `exit` or `segment`.
        what: &'static str,
        /// Position in the list.
        position: usize,
        /// What its `index` says.
        found: usize,
    },
    /// An exit names a segment that does not produce it.
    #[error("exit {exit} expects segment {segment} to output \"{logits}\", which it does not")]
    NoLogits {
        /// The exit.
        exit: usize,
        /// The segment that it names.
        segment: usize,
        /// The tensor that it names.
        logits: String,
    },
    /// Segments of exits do not rise.
    #[error("exit {exit} is computed by segment {found}, expected segment {exit}: one segment per exit")]
    ExitOrder {
        /// The exit.
        exit: usize,
        /// The segment that it names.
        found: usize,
    },
    /// A segment takes what nothing before it gives.
    #[error(
        "segment {segment} takes \"{tensor}\", which neither the input nor an earlier segment gives in that form"
    )]
    Unfed {
        /// The segment.
        segment: usize,
        /// The tensor.
        tensor: String,
    },
    /// Two tensors of one name.
    #[error("segment {segment} outputs \"{tensor}\" a second time")]
    Twice {
        /// The segment.
        segment: usize,
        /// The tensor.
        tensor: String,
    },
    /// A path that leaves the bundle.
    #[error("the file \"{file}\" does not lie inside the bundle")]
    Outside {
        /// The path.
        file: String,
    },
    /// A tensor whose shape does not fit its use.
    #[error("{tensor} cannot be {what}, expected {expected}")]
    Shape {
        /// The tensor with its type and shape.
        tensor: Box<TensorSpec>,
        /// What it is used as.
        what: &'static str,
        /// What would fit.
        expected: &'static str,
    },
    /// Per-channel numbers or class names of the wrong count.
    #[error("{what} has {found} entries, expected {expected}")]
    Count {
        /// The list.
        what: &'static str,
        /// Entries expected.
        expected: usize,
        /// Entries found.
        found: usize,
    },
    /// A cost that does not follow from the segments.
    #[error("{field} of {of} {index} is {found}, expected {expected}: {why}")]
    Cost {
        /// `macs`, `params` or `boundary_bytes`.
        field: &'static str,
        /// `exit` or `segment`.
        of: &'static str,
        /// Which one.
        index: usize,
        /// What follows from the segments.
        expected: u64,
        /// What the manifest says.
        found: u64,
        /// Where the expected number comes from.
        why: &'static str,
    },
    /// A cost beyond what can be counted.
    #[error("{field} up to segment {segment} come to more than 2^53, with {found} of it there")]
    TooMuch {
        /// `macs`, `params` or `boundary_bytes`.
        field: &'static str,
        /// The segment.
        segment: usize,
        /// What it adds.
        found: u64,
    },
    /// A fraction that is not that of the costs.
    #[error(
        "macs_fraction of exit {exit} is {found}, expected {expected}: its macs over those of the final exit"
    )]
    Fraction {
        /// The exit.
        exit: usize,
        /// What follows from the costs.
        expected: f64,
        /// What the manifest says.
        found: f64,
    },
    /// A number outside its range.
    #[error("{what} is {found}, expected {expected}")]
    Range {
        /// The number.
        what: &'static str,
        /// What was found.
        found: f64,
        /// The range.
        expected: &'static str,
    },
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// [`ManifestError`] names the first thing that does not hold.
    pub fn from_json(text: &[u8]) -> Result<Self, ManifestError> {
        // The version first, so that a newer file is told apart from a broken one.
        let value: serde_json::Value = serde_json::from_slice(text).map_err(ManifestError::Form)?;
        if let Some(found) = value.get("schema_version").and_then(serde_json::Value::as_u64)
            && found != u64::from(SCHEMA_VERSION)
        {
            return Err(ManifestError::Version { found });
        }
        let manifest: Self = serde_json::from_value(value).map_err(ManifestError::Form)?;
        manifest.validate()?;
        Ok(manifest)
    }

    /// Checks that exits, segments and files fit together.
    ///
    /// # Errors
    /// [`ManifestError`] names the first thing that does not hold.
    pub fn validate(&self) -> Result<(), ManifestError> {
        Self::check_name(&self.name)?;
        self.validate_input()?;
        self.validate_segments()?;
        self.validate_exits()?;
        self.validate_costs()?;
        let data = self.segments.iter().filter_map(|segment| segment.data.as_ref().map(|data| &data.file));
        let files = self.segments.iter().map(|segment| &segment.file);
        for file in files.chain(data).chain(self.extras.iter().map(|extra| &extra.file)) {
            let plain = |part| matches!(part, Component::Normal(_));
            if file.is_empty() || file.contains('\\') || !Path::new(file).components().all(plain) {
                return Err(ManifestError::Outside { file: file.clone() });
            }
        }
        Ok(())
    }

    /// Whether a network may be called `name`.
    ///
    /// # Errors
    /// `Name` for what cannot be part of a file name.
    pub fn check_name(name: &str) -> Result<(), ManifestError> {
        let first = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !first || !name.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-".contains(&c)) {
            return Err(ManifestError::Name { found: name.to_owned() });
        }
        Ok(())
    }

    fn validate_input(&self) -> Result<(), ManifestError> {
        let input = &self.input;
        let refused = |expected| {
            Err(ManifestError::Shape {
                tensor: Box::new(input.spec()),
                what: "the network's input",
                expected,
            })
        };
        if !matches!(input.dtype, DType::Float32 | DType::Uint8) {
            return refused("float32 or uint8");
        }
        let (channels, height, width) = input.chw();
        if input.shape.len() != 4 || channels.min(height).min(width) == 0 {
            return refused("a batch and three known extents");
        }
        if input.shape[0].is_some_and(|batch| batch == 0) || channels.max(height).max(width) > 1 << 16 {
            return refused("extents from 1 to 65536");
        }
        validate_extents(&input.spec())?;
        for (what, numbers) in [("mean", &input.mean), ("std", &input.std)] {
            let found = numbers.as_ref().map_or(channels, Vec::len);
            if found != channels {
                return Err(ManifestError::Count { what, expected: channels, found });
            }
        }
        if input.mean.is_some() != input.std.is_some() {
            return Err(ManifestError::Count { what: "the pair of mean and std", expected: 2, found: 1 });
        }
        let finite = |what, values: &[f32], positive: bool, expected| match values
            .iter()
            .find(|value| !value.is_finite() || (positive && **value <= 0.0))
        {
            Some(found) => Err(ManifestError::Range { what, found: f64::from(*found), expected }),
            None => Ok(()),
        };
        finite("range", &input.range, false, "finite")?;
        let [black, white] = input.range;
        if black >= white {
            let (what, expected) = ("white in range", "above black");
            return Err(ManifestError::Range { what, found: f64::from(white), expected });
        }
        finite("mean", input.mean.as_deref().unwrap_or_default(), false, "finite")?;
        finite("std", input.std.as_deref().unwrap_or_default(), true, "above 0")?;
        if let Some(names) = &self.classes.names
            && names.len() != self.classes.count
        {
            let (expected, found) = (self.classes.count, names.len());
            return Err(ManifestError::Count { what: "classes.names", expected, found });
        }
        Ok(())
    }

    fn validate_segments(&self) -> Result<(), ManifestError> {
        if self.segments.is_empty() {
            return Err(ManifestError::Empty { what: "segments" });
        }
        let mut known: HashSet<TensorSpec> = HashSet::from([self.input.spec()]);
        let mut names: HashSet<&str> = HashSet::from([self.input.name.as_str()]);
        for (position, segment) in self.segments.iter().enumerate() {
            if segment.index != position {
                return Err(ManifestError::Index { what: "segment", position, found: segment.index });
            }
            if let Some(unfed) = segment.inputs.iter().find(|spec| !known.contains(spec)) {
                return Err(ManifestError::Unfed { segment: position, tensor: unfed.name.clone() });
            }
            for output in &segment.outputs {
                validate_extents(output)?;
                if !names.insert(&output.name) {
                    return Err(ManifestError::Twice { segment: position, tensor: output.name.clone() });
                }
                known.insert(output.clone());
            }
        }
        Ok(())
    }

    fn validate_exits(&self) -> Result<(), ManifestError> {
        if self.exits.is_empty() {
            return Err(ManifestError::Empty { what: "exits" });
        }
        let expected = self.segments.len();
        if self.exits.len() != expected {
            return Err(ManifestError::Count { what: "exits", expected, found: self.exits.len() });
        }
        for (position, exit) in self.exits.iter().enumerate() {
            if exit.index != position {
                return Err(ManifestError::Index { what: "exit", position, found: exit.index });
            }
            if exit.segment != position {
                return Err(ManifestError::ExitOrder { exit: position, found: exit.segment });
            }
            let outputs = &self.segments[exit.segment].outputs;
            let Some(logits) = outputs.iter().find(|spec| spec.name == exit.logits) else {
                let (segment, logits) = (exit.segment, exit.logits.clone());
                return Err(ManifestError::NoLogits { exit: position, segment, logits });
            };
            if logits.dtype != DType::Float32
                || logits.shape != [self.input.fixed_batch(), Some(self.classes.count)]
                || self.classes.count == 0
            {
                let (what, expected) = ("an exit's logits", "float32 [batch, classes]");
                return Err(ManifestError::Shape { tensor: Box::new(logits.clone()), what, expected });
            }
            if !(0.0..=1.0).contains(&exit.macs_fraction) {
                let (what, expected) = ("macs_fraction", "a number in [0, 1]");
                return Err(ManifestError::Range { what, found: exit.macs_fraction, expected });
            }
        }
        Ok(())
    }
}

/// Elements of the largest tensor at a cut: sizes in bytes then fit in 64 bits.
const MOST_ELEMENTS: u64 = 1 << 40;

fn validate_extents(tensor: &TensorSpec) -> Result<(), ManifestError> {
    let known = || tensor.shape.iter().map(|extent| extent.unwrap_or(1) as u64);
    let elements = known().try_fold(1, u64::checked_mul);
    if known().any(|extent| extent == 0) || elements.is_none_or(|elements| elements > MOST_ELEMENTS) {
        let (what, expected) = ("a tensor at a cut", "extents above 0 and at most 2^40 elements");
        return Err(ManifestError::Shape { tensor: Box::new(tensor.clone()), what, expected });
    }
    Ok(())
}
