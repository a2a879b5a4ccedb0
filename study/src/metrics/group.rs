//! Comparisons that differ in their policy only, and names for files.

use std::collections::HashSet;

use super::Comparison;

/// The first comparison of every network and set: for what no policy changes.
pub(super) fn without_policies<'c, 'a>(comparisons: &'c [Comparison<'a>]) -> Vec<&'c Comparison<'a>> {
    let mut seen = HashSet::new();
    let key = |of: &Comparison<'a>| (of.given().network, of.given().set, of.given().surrogate);
    comparisons.iter().filter(|comparison| seen.insert(key(comparison))).collect()
}

/// Titles as parts of file names, no two alike.
#[derive(Default)]
pub(super) struct Slugs(HashSet<String>);

impl Slugs {
    /// Lower-case letters, digits and single `-`; a number at the end where the same came before.
    pub fn of(&mut self, title: &str) -> String {
        let kept =
            title.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
        let kept: String = kept.collect();
        let plain = kept.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
        let (mut slug, mut number) = (plain.clone(), 1_u64);
        while !self.0.insert(slug.clone()) {
            number += 1;
            slug = format!("{plain}-{number}");
        }
        slug
    }
}
