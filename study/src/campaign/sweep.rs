//! Methods of a campaign: a list in place of a value stands for one method per element.

use serde::{Deserialize as _, Serialize};
use toml::{Table, Value};

use crate::adversarial::Labels;
use crate::attack::EarlyStart;
use crate::method::{Kind, Method, Target};

/// An attack of a campaign, for every seed and every network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MethodSpec {
    /// Its name in rows and files: the method and the settings that are not as published.
    pub label: String,
    /// The attack; its seed is the campaign's.
    pub method: Method,
    /// Whose labels it is about.
    pub labels: Labels,
    /// The policy that it knows, by name; the first of the campaign without.
    pub policy: Option<String>,
}

/// A method that makes no attack.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SweepError {
    /// Keys that nobody knows, or values of another kind.
    #[error("method {number}")]
    Form {
        /// Which, counted from 1.
        number: usize,
        /// Why not.
        source: Box<toml::de::Error>,
    },
    /// A number or ratio that is none.
    #[error("method {number}: {key} is a number or a ratio like \"8/255\", got {found}")]
    Ratio {
        /// Which, counted from 1.
        number: usize,
        /// The key.
        key: String,
        /// What is there.
        found: String,
    },
    /// The seed of one method.
    #[error("method {number} has a seed: seeds are the study's, `seeds = [0, 1]`")]
    Seed {
        /// Which, counted from 1.
        number: usize,
    },
    /// The same method twice.
    #[error("{label} is there twice")]
    Twice {
        /// The method.
        label: String,
    },
}

/// Keys whose values may be written as ratios.
const RATIOS: [&str; 5] = ["epsilon", "step", "alpha", "c", "learning_rate"];

/// All methods of `tables`, in their order; of lists, that of the last key by name changes fastest.
///
/// # Errors
/// [`SweepError`] names the table.
pub(super) fn methods(tables: &[Table]) -> Result<Vec<MethodSpec>, SweepError> {
    let mut methods: Vec<MethodSpec> = Vec::new();
    for (position, table) in tables.iter().enumerate() {
        let number = position + 1;
        if table.contains_key("seed") {
            return Err(SweepError::Seed { number });
        }
        for single in expand(table) {
            let spec = spec(single, number)?;
            if methods.iter().any(|other| other.label == spec.label) {
                return Err(SweepError::Twice { label: spec.label });
            }
            methods.push(spec);
        }
    }
    Ok(methods)
}

/// One table per combination of listed values.
fn expand(table: &Table) -> Vec<Table> {
    let mut tables = vec![Table::new()];
    for (key, value) in table {
        let choices = match value {
            Value::Array(list) if !(key == "exits" && list.iter().all(Value::is_integer)) => list.as_slice(),
            single => std::slice::from_ref(single),
        };
        let with = |table: &Table, choice: &Value| {
            let mut table = table.clone();
            table.insert(key.clone(), choice.clone());
            table
        };
        tables =
            tables.iter().flat_map(|table| choices.iter().map(move |choice| with(table, choice))).collect();
    }
    tables
}

fn spec(mut table: Table, number: usize) -> Result<MethodSpec, SweepError> {
    let form = |source| SweepError::Form { number, source: Box::new(source) };
    for key in RATIOS {
        if let Some(value) = table.get_mut(key) {
            let refused =
                |found: &Value| SweepError::Ratio { number, key: key.to_owned(), found: found.to_string() };
            *value = Value::Float(ratio(value).ok_or_else(|| refused(value))?);
        }
    }
    let labels =
        table.remove("labels").map(Labels::deserialize).transpose().map_err(form)?.unwrap_or_default();
    let policy = table.remove("policy").map(String::deserialize).transpose().map_err(form)?;
    let method = Method::deserialize(Value::Table(table)).map_err(form)?;
    let mut label = method.label();
    if labels == Labels::Predicted {
        label.push_str(" predicted");
    }
    if let Some(policy) = &policy {
        label = format!("{label} policy {policy}");
    }
    Ok(MethodSpec { label, method, labels, policy })
}

/// A number, or a ratio of two in a string.
fn ratio(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(*number),
        Value::Integer(number) => Some(*number as f64),
        Value::String(text) => {
            let (above, below) = text.split_once('/').unwrap_or((text, "1"));
            let (above, below) = (above.trim().parse::<f64>().ok()?, below.trim().parse::<f64>().ok()?);
            Some(above / below).filter(|ratio| ratio.is_finite())
        }
        _ => None,
    }
}

impl MethodSpec {
    /// Whether another seed gives another set.
    pub fn draws(&self) -> bool {
        match self.method.kind {
            Kind::Fgsm | Kind::MiFgsm => false,
            Kind::Pgd => self.method.random_start,
            Kind::Deepsloth => !self.method.universal,
            Kind::Early => self.method.early().start == EarlyStart::Noise,
        }
    }

    /// Whether the attack looks at the deployed policy.
    pub fn knows_policy(&self) -> bool {
        self.method.exits == Some(Target::Policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Result<Vec<String>, SweepError> {
        let table: Table = text.parse().unwrap();
        Ok(methods(&[table])?.into_iter().map(|spec| spec.label).collect())
    }

    #[test]
    fn lists_stand_for_every_combination() {
        let found =
            labels("method = \"pgd\"\nepsilon = [\"4/255\", 0.1]\nexits = [\"final\", \"avg\", [0, 2]]")
                .unwrap();
        let expected = [
            "pgd epsilon 4/255 exits final",
            "pgd epsilon 4/255 exits avg",
            "pgd epsilon 4/255 exits [0,2]",
            "pgd epsilon 0.1 exits final",
            "pgd epsilon 0.1 exits avg",
            "pgd epsilon 0.1 exits [0,2]",
        ];
        assert_eq!(found, expected);
        assert_eq!(labels("method = \"fgsm\"\nexits = [0, 2]").unwrap(), ["fgsm exits [0,2]"]);
    }

    #[test]
    fn pieces_of_the_early_attack_are_listed_and_named_as_other_settings() {
        let found = labels(
            "method = \"early\"\nmode = \"as-coded\"\nrivals = [\"all\", 10]\nkeep = [\"first\", \"first-after=200\"]",
        );
        let expected = [
            "early as-coded rivals all keep first",
            "early as-coded rivals 10 keep first",
            "early as-coded rivals all keep first-after=200",
            "early as-coded rivals 10 keep first-after=200",
        ];
        assert_eq!(found.unwrap(), expected);
        let text = "method = \"early\"
            start = \"image\"
            distance = [\"squared-normalised\", \"squared\", \"norm\"]
            loss_exits = \"all\"
            rounding = true
            learning_rate = \"1/100\"
            alpha = 20";
        let rest = "loss exits all rounding on learning rate 0.01 alpha 20";
        let of = |distance| format!("early start image distance {distance} {rest}");
        assert_eq!(labels(text).unwrap(), ["squared-normalised", "squared", "norm"].map(of));
    }

    #[test]
    fn what_is_held_while_alpha_changes_is_the_mode_and_all_that_is_set_beside_it() {
        let text = "method = \"early\"\nalpha = [1, 20]\nstart = \"image\"\nc = 5";
        let series = methods(&[text.parse().unwrap()]).unwrap();
        let series: Vec<_> = series.iter().map(|spec| spec.method.series()).collect();
        assert_eq!(series, ["as-coded start image c 5"; 2]);
    }

    #[test]
    fn a_method_without_pieces_is_written_as_before_there_were_any() {
        let written = |text: &str| {
            serde_json::to_string(&methods(&[text.parse().unwrap()]).unwrap()[0].method).unwrap()
        };
        let early = "method = \"early\"\nmode = \"improved\"\nalpha = 1";
        assert_eq!(written(early), "{\"method\":\"early\",\"alpha\":1.0,\"mode\":\"improved\",\"seed\":0}");
        let pieces = format!("{early}\nkeep = \"first-after=7\"\nrivals = 3\nrounding = false");
        assert_eq!(
            written(&pieces),
            "{\"method\":\"early\",\"alpha\":1.0,\"mode\":\"improved\",\"rivals\":3,\
             \"keep\":\"first-after=7\",\"rounding\":false,\"seed\":0}"
        );
    }

    #[test]
    fn what_makes_no_method_is_refused_by_name() {
        let message = |text| labels(text).unwrap_err().to_string();
        assert_eq!(
            message("method = \"pgd\"\nepsilon = \"8/0\""),
            "method 1: epsilon is a number or a ratio like \"8/255\", got \"8/0\""
        );
        assert_eq!(
            message("method = \"fgsm\"\nseed = 3"),
            "method 1 has a seed: seeds are the study's, `seeds = [0, 1]`"
        );
        assert_eq!(message("method = [\"fgsm\", \"fgsm\"]"), "fgsm is there twice");
        assert_eq!(message("method = \"pgd\"\nepsilonn = 1"), "method 1");
    }

    #[test]
    fn only_methods_that_draw_are_crafted_for_every_seed() {
        let draws = |text: &str| methods(&[text.parse().unwrap()]).unwrap()[0].draws();
        assert!(!draws("method = \"pgd\""));
        assert!(draws("method = \"pgd\"\nrandom_start = true"));
        assert!(draws("method = \"early\""));
        assert!(!draws("method = \"early\"\nmode = \"improved\""));
        assert!(draws("method = \"early\"\nmode = \"improved\"\nstart = \"noise\""));
        assert!(!draws("method = \"early\"\nstart = \"image\""));
    }
}
