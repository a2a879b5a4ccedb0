//! Figures of many sets, no more in each than a reader can tell apart.
//!
//! Sets are drawn apart by where they are from: crafted on the network itself, crafted on another, corrupted. Where there
//! are more than a figure holds, the set that changes most stands for its family; the caption says so, and names the table
//! that has all.

use super::Comparison;
use super::drawing::Which;
use super::group::Slugs;
use crate::findings::{Axis, Figure, MOST_SERIES, Mark, Series};

/// What the figures of one kind share.
pub(super) struct Plate {
    /// First part of their names.
    pub name: &'static str,
    /// First part of their titles.
    pub title: &'static str,
    /// How to read them.
    pub caption: String,
    /// The table that has every set.
    pub table: &'static str,
    /// Axes for a network of so many exits.
    pub axes: fn(usize) -> [Axis; 2],
    /// How sets are drawn.
    pub mark: Mark,
    /// Whether the benign images are drawn beside the sets.
    pub benign: bool,
    /// Whether every policy has a figure of its own.
    pub by_policy: bool,
    /// What the set does that stands for its family.
    pub telling: &'static str,
    /// How much of that a set does.
    pub weight: fn(&Comparison<'_>) -> f64,
    /// Points of one run; none where there is nothing to draw.
    pub points: Box<Draw>,
}

/// Points of one run of a comparison.
type Draw = dyn Fn(&Comparison<'_>, Which) -> Vec<[f64; 2]>;

/// Figures of one kind, gathered comparison by comparison.
pub(super) struct Album {
    plate: Plate,
    pages: Vec<Page>,
}

/// Sets of one origin on one network under one policy.
struct Page {
    network: String,
    policy: Option<String>,
    origin: Origin,
    exits: usize,
    benign: Vec<[f64; 2]>,
    sets: Vec<Set>,
}

struct Set {
    family: String,
    name: String,
    weight: f64,
    points: Vec<[f64; 2]>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Own,
    Foreign,
    Corrupted,
}

impl Origin {
    fn of(comparison: &Comparison<'_>) -> Self {
        let given = comparison.given();
        match (given.origin.crafted, given.surrogate == given.network) {
            (false, _) => Self::Corrupted,
            (true, true) => Self::Own,
            (true, false) => Self::Foreign,
        }
    }

    /// For a caption.
    fn sets(self) -> &'static str {
        match self {
            Self::Own => "Sets crafted on the network itself",
            Self::Foreign => "Sets crafted on other networks, under the first policy",
            Self::Corrupted => "Corrupted images, under the first policy",
        }
    }

    /// For a title.
    fn suffix(self) -> &'static str {
        match self {
            Self::Own => "",
            Self::Foreign => ", crafted elsewhere",
            Self::Corrupted => ", corrupted",
        }
    }
}

impl Album {
    pub fn new(plate: Plate) -> Self {
        Self { plate, pages: Vec::new() }
    }

    /// Whether policies are drawn apart; else one comparison per set is enough.
    pub fn by_policy(&self) -> bool {
        self.plate.by_policy
    }

    /// Draws the set of `comparison`, if there is anything to draw; under other policies than the network's first only what
    /// was crafted on the network itself.
    pub fn add(&mut self, comparison: &Comparison<'_>) {
        let points = (self.plate.points)(comparison, Which::Adversarial);
        if points.is_empty() {
            return;
        }
        let (given, origin) = (comparison.given(), Origin::of(comparison));
        let policy = self.plate.by_policy.then_some(given.policy_name);
        let name = if origin == Origin::Foreign { given.set } else { given.origin.label };
        let set = Set {
            family: given.origin.family.to_owned(),
            name: name.to_owned(),
            weight: (self.plate.weight)(comparison),
            points,
        };
        let first = self.pages.iter().find(|page| page.network == given.network);
        if origin != Origin::Own && first.is_some_and(|page| page.policy.as_deref() != policy) {
            return;
        }
        let same = |page: &&mut Page| {
            page.network == given.network && page.policy.as_deref() == policy && page.origin == origin
        };
        if let Some(page) = self.pages.iter_mut().find(same) {
            page.sets.push(set);
            return;
        }
        let benign =
            if self.plate.benign { (self.plate.points)(comparison, Which::Benign) } else { Vec::new() };
        self.pages.push(Page {
            network: given.network.to_owned(),
            policy: policy.map(str::to_owned),
            origin,
            exits: comparison.exits(),
            benign,
            sets: vec![set],
        });
    }

    /// What each of `networks` is told by first, and the rest.
    pub fn figures(mut self, networks: &[String]) -> [Vec<Figure>; 2] {
        let place = |page: &Page| networks.iter().position(|network| *network == page.network);
        // Stable: policies stay in their order.
        self.pages.sort_by_key(|page| (page.origin, place(page)));
        let (mut first, mut further) = (Vec::new(), Vec::new());
        let (mut slugs, mut told) = (Slugs::default(), Vec::new());
        for page in &self.pages {
            let figures = self.plate.figures(page, &mut slugs);
            if told.contains(&&page.network) {
                further.extend(figures);
            } else {
                told.push(&page.network);
                first.extend(figures);
            }
        }
        [first, further]
    }
}

impl Plate {
    fn figures(&self, page: &Page, slugs: &mut Slugs) -> Vec<Figure> {
        let room = MOST_SERIES - usize::from(!page.benign.is_empty());
        let shown = if page.sets.len() > room { one_of_each(&page.sets) } else { page.sets.iter().collect() };
        let policy = page.policy.as_ref().map_or_else(String::new, |policy| format!(", {policy}"));
        let whose = format!("{}{policy}{}", page.network, page.origin.suffix());
        let sets = page.origin.sets();
        let which = if shown.len() < page.sets.len() {
            let (telling, table) = (self.telling, self.table);
            let (of, all) = (shown.len(), page.sets.len());
            format!(
                "{sets}: {of} of {all}, of every method the one that {telling}. The table “{table}” has all."
            )
        } else {
            format!("{sets}.")
        };
        let parts = shown.len().div_ceil(room).max(1);
        let figure = |(part, sets): (usize, &[&Set])| {
            let benign = (!page.benign.is_empty()).then_some(("benign", &page.benign));
            let sets = sets.iter().map(|set| (set.name.as_str(), &set.points));
            let series = benign.into_iter().chain(sets).map(|(name, points)| Series {
                name: name.to_owned(),
                mark: self.mark,
                points: points.clone(),
            });
            let [x, y] = (self.axes)(page.exits);
            let number = if parts > 1 { format!(", {} of {parts}", part + 1) } else { String::new() };
            Figure {
                name: format!("{}-{}", self.name, slugs.of(&format!("{whose}{number}"))),
                title: format!("{}: {whose}{number}", self.title),
                caption: format!("{} {which}", self.caption),
                x,
                y,
                series: series.collect(),
            }
        };
        shown.chunks(shown.len().div_ceil(parts).max(1)).enumerate().map(figure).collect()
    }
}

/// Of every family the set of greatest weight, families in their order; of equals the first.
fn one_of_each(sets: &[Set]) -> Vec<&Set> {
    let mut chosen: Vec<&Set> = Vec::new();
    for set in sets {
        match chosen.iter_mut().find(|other| other.family == set.family) {
            Some(other) if set.weight > other.weight => *other = set,
            Some(_) => {}
            None => chosen.push(set),
        }
    }
    chosen
}
