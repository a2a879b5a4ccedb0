//! Which studies may stand side by side, and what keeps the others apart.

use std::collections::{BTreeMap, BTreeSet};

use offramp_models::Sha256;

use super::Study;

/// A study and the letter that it goes by.
#[derive(Clone, Copy)]
pub struct Member<'a> {
    /// Its place in the report.
    pub index: usize,
    /// The study.
    pub study: &'a Study,
}

impl Member<'_> {
    /// `A` for the first; numbers where letters end.
    pub fn letter(&self) -> String {
        match u8::try_from(self.index).ok().filter(|index| *index < 26) {
            Some(index) => char::from(b'A' + index).to_string(),
            None => (self.index + 1).to_string(),
        }
    }

    /// A prefix for ids.
    pub fn id(&self) -> String {
        format!("{}-", self.letter().to_lowercase())
    }

    /// The names of its networks.
    pub fn networks(&self) -> String {
        let names: Vec<&str> =
            self.study.stored.provenance.networks.iter().map(|one| one.name.as_str()).collect();
        if names.is_empty() { "no network".into() } else { names.join(", ") }
    }
}

/// All studies, numbered.
pub fn members(studies: &[Study]) -> Vec<Member<'_>> {
    studies.iter().enumerate().map(|(index, study)| Member { index, study }).collect()
}

/// The studies in groups whose numbers may be compared: all in one, or each alone.
pub fn groups<'a>(members: &[Member<'a>]) -> Vec<Vec<Member<'a>>> {
    if alike(members, |study| (identities(study), data(study))) {
        vec![members.to_vec()]
    } else {
        members.iter().map(|member| vec![*member]).collect()
    }
}

/// What a reader of several studies must know before comparing them.
pub fn warnings(members: &[Member<'_>]) -> Vec<String> {
    if members.len() < 2 {
        return Vec::new();
    }
    let mut warnings = Vec::new();
    let told = |of: &dyn Fn(&Member<'_>) -> String| {
        let each: Vec<String> = members.iter().map(|one| format!("{}: {}", one.letter(), of(one))).collect();
        each.join("; ")
    };
    if !alike(members, identities) {
        let networks = told(&|one| one.networks());
        warnings.push(format!(
            "These studies are of different networks ({networks}). They stand one after the other: a number of one is \
             not to be compared with a number of another."
        ));
    }
    if !alike(members, data) {
        let data = told(&|one| one.study.stored.provenance.data.clone());
        warnings.push(format!("These studies are of different data ({data})."));
    }
    let mut named: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for network in members.iter().flat_map(|one| &one.study.stored.provenance.networks) {
        named.entry(&network.name).or_default().insert(network.identity.to_string());
    }
    for (name, identities) in named.into_iter().filter(|(_, identities)| identities.len() > 1) {
        let short: Vec<String> =
            identities.iter().map(|identity| identity.chars().take(12).collect()).collect();
        warnings.push(format!("“{name}” is the name of different networks here: {}.", short.join(", ")));
    }
    warnings
}

fn alike<T: PartialEq>(members: &[Member<'_>], of: fn(&Study) -> T) -> bool {
    let mut all = members.iter().map(|member| of(member.study));
    let first = all.next();
    all.all(|one| Some(one) == first)
}

fn identities(study: &Study) -> BTreeSet<String> {
    study.stored.provenance.networks.iter().map(|network| network.identity.to_string()).collect()
}

fn data(study: &Study) -> Sha256 {
    study.stored.provenance.data_sha256
}
