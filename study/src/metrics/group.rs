//! Comparisons that share a figure.

use std::collections::HashSet;

use super::Comparison;

/// Comparisons of one network, in the order given.
pub(super) struct Group<'c, 'a> {
    /// What they share, for a title.
    pub title: String,
    /// The same, for a file name; no two groups share one.
    pub slug: String,
    pub members: Vec<&'c Comparison<'a>>,
}

/// By network and policy.
pub(super) fn by_deployment<'c, 'a>(comparisons: &'c [Comparison<'a>]) -> Vec<Group<'c, 'a>> {
    group(comparisons.iter(), |of| format!("{}, {}", of.given().network, of.given().policy_name))
}

/// By network, every set once: for what no policy changes.
pub(super) fn by_network<'c, 'a>(comparisons: &'c [Comparison<'a>]) -> Vec<Group<'c, 'a>> {
    group(without_policies(comparisons).into_iter(), |of| of.given().network.to_owned())
}

/// The first comparison of every network and set.
pub(super) fn without_policies<'c, 'a>(comparisons: &'c [Comparison<'a>]) -> Vec<&'c Comparison<'a>> {
    let mut seen = HashSet::new();
    let key = |of: &Comparison<'a>| (of.given().network, of.given().set, of.given().surrogate);
    comparisons.iter().filter(|comparison| seen.insert(key(comparison))).collect()
}

fn group<'c, 'a: 'c>(
    comparisons: impl Iterator<Item = &'c Comparison<'a>>,
    title: impl Fn(&Comparison<'a>) -> String,
) -> Vec<Group<'c, 'a>> {
    let (mut groups, mut slugs) = (Vec::<Group<'c, 'a>>::new(), Slugs::default());
    for comparison in comparisons {
        let title = title(comparison);
        if let Some(group) = groups.iter_mut().find(|group| group.title == title) {
            group.members.push(comparison);
        } else {
            let slug = slugs.of(&title);
            groups.push(Group { title, slug, members: vec![comparison] });
        }
    }
    groups
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
