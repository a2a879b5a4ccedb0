//! Which rails may be added.

use serde::Serialize;

use crate::Rail;

/// Rails whose sum stands for the whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TotalRule {
    /// What the sum is called: `VDD_IN`, `module(VDD_GPU_SOC+VDD_CPU_CV+VIN_SYS_5V0)`.
    pub domain: String,
    /// The rails that are added; none contains another.
    pub rails: Vec<String>,
    /// Who says that this is the whole.
    pub source: String,
}

/// Rails that make no total.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TotalError {
    /// No rail is named.
    #[error("a total of no rails")]
    Nothing,
    /// A rail that the meter does not have, or has more than once.
    #[error("there is no rail {rail:?} among {}", known.join(", "))]
    Unknown {
        /// What was asked for.
        rail: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A rail that is named twice.
    #[error("rail {rail:?} would be added twice")]
    Twice {
        /// Its name.
        rail: String,
    },
    /// A rail that another one contains.
    #[error("rail {part:?} lies within {whole:?}: adding both counts its energy twice")]
    Overlap {
        /// The part.
        part: String,
        /// The whole.
        whole: String,
    },
}

impl TotalRule {
    /// The sum of `names` out of `rails`; `source` says who vouches for it.
    ///
    /// # Errors
    /// [`TotalError`] when a rail is not there, named twice, or lies within another, directly or not.
    pub fn sum_of(names: &[&str], rails: &[Rail], source: impl Into<String>) -> Result<Self, TotalError> {
        for (at, name) in names.iter().enumerate() {
            if rails.iter().filter(|rail| rail.name == *name).count() != 1 {
                let known = rails.iter().map(|rail| rail.name.clone()).collect();
                return Err(TotalError::Unknown { rail: (*name).to_owned(), known });
            }
            if names[..at].contains(name) {
                return Err(TotalError::Twice { rail: (*name).to_owned() });
            }
            if let Some(whole) = containers(name, rails).into_iter().find(|whole| names.contains(whole)) {
                return Err(TotalError::Overlap { part: (*name).to_owned(), whole: whole.to_owned() });
            }
        }
        let domain = match names {
            [] => return Err(TotalError::Nothing),
            [one] => (*one).to_owned(),
            several => several.join("+"),
        };
        let rails = names.iter().map(|name| (*name).to_owned()).collect();
        Ok(Self { domain, rails, source: source.into() })
    }

    /// The same rule under a name that says what it covers.
    #[must_use]
    pub fn called(mut self, domain: impl Into<String>) -> Self {
        self.domain = domain.into();
        self
    }
}

/// Everything that `name` lies within, from the inside out; as many steps as there are rails, should they go round.
fn containers<'a>(name: &str, rails: &'a [Rail]) -> Vec<&'a str> {
    let parent = |name: &str| rails.iter().find(|rail| rail.name == name)?.within.as_deref();
    let outwards = std::iter::successors(parent(name), |inner| parent(inner));
    outwards.take(rails.len()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Quantity;

    fn nested() -> Vec<Rail> {
        let rail = |name: &str, within: Option<&str>| Rail {
            within: within.map(str::to_owned),
            ..Rail::new(name, "", Quantity::Counter)
        };
        vec![
            rail("psys", None),
            rail("package-0", Some("psys")),
            rail("core", Some("package-0")),
            rail("dram", None),
        ]
    }

    #[test]
    fn overlapping_domains_are_never_added() {
        for names in [["package-0", "core"], ["core", "package-0"], ["psys", "core"], ["core", "psys"]] {
            let error = TotalRule::sum_of(&names, &nested(), "").unwrap_err();
            assert!(matches!(error, TotalError::Overlap { .. }), "{names:?}: {error}");
        }
        let apart = TotalRule::sum_of(&["package-0", "dram"], &nested(), "a test").unwrap();
        assert_eq!(apart.domain, "package-0+dram");
    }

    #[test]
    fn a_total_names_rails_that_are_there_once() {
        let refused = |names: &[&str]| TotalRule::sum_of(names, &nested(), "").unwrap_err().to_string();
        insta::assert_snapshot!(refused(&["VDD_IN"]), @r#"there is no rail "VDD_IN" among psys, package-0, core, dram"#);
        insta::assert_snapshot!(refused(&["dram", "dram"]), @r#"rail "dram" would be added twice"#);
        insta::assert_snapshot!(refused(&["core", "psys"]), @r#"rail "core" lies within "psys": adding both counts its energy twice"#);
        insta::assert_snapshot!(refused(&[]), @"a total of no rails");
        let twins = [nested(), nested()].concat();
        assert!(matches!(TotalRule::sum_of(&["dram"], &twins, ""), Err(TotalError::Unknown { .. })));
    }

    #[test]
    fn rails_that_contain_each_other_end_the_search() {
        let mut rails = nested();
        rails[0].within = Some("core".to_owned());
        assert!(matches!(TotalRule::sum_of(&["psys"], &rails, ""), Err(TotalError::Overlap { .. })));
    }
}
