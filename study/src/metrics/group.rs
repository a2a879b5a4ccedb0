//! Comparisons that share a figure.

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
    let mut seen = std::collections::HashSet::new();
    let key = |of: &Comparison<'a>| (of.given().network, of.given().set, of.given().surrogate);
    comparisons.iter().filter(|comparison| seen.insert(key(comparison))).collect()
}

fn group<'c, 'a: 'c>(
    comparisons: impl Iterator<Item = &'c Comparison<'a>>,
    title: impl Fn(&Comparison<'a>) -> String,
) -> Vec<Group<'c, 'a>> {
    let mut groups: Vec<Group<'c, 'a>> = Vec::new();
    for comparison in comparisons {
        let title = title(comparison);
        if let Some(group) = groups.iter_mut().find(|group| group.title == title) {
            group.members.push(comparison);
        } else {
            let slug = unused(slug(&title), |slug| groups.iter().any(|group| group.slug == slug));
            groups.push(Group { title, slug, members: vec![comparison] });
        }
    }
    groups
}

/// Lower-case letters, digits and single `-`.
pub(super) fn slug(title: &str) -> String {
    let kept = title.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    let kept: String = kept.collect();
    kept.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

fn unused(slug: String, taken: impl Fn(&str) -> bool) -> String {
    if !taken(&slug) {
        return slug;
    }
    let numbered = (2_u64..).map(|number| format!("{slug}-{number}"));
    numbered.into_iter().find(|slug| !taken(slug)).unwrap_or_default()
}
