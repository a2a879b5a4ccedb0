//! RQ1: whether sets crafted on one network fool another, from static to dynamic and back.
//!
//! A network of one exit is static, one of several is dynamic. Success is counted among the images that both networks
//! classify rightly when benign: an image that was wrong before shows nothing. The paper (§3.1) divides by all
//! adversarial examples; that figure stands beside it.

use std::collections::BTreeMap;
use std::fmt;

use super::Comparison;
use super::drawing::{axis, fraction_axis};
use super::group::Slugs;
use super::row::{
    NO_LABELS, absent, count, identity, identity_of, known, number, percent, share, text, word,
};
use crate::findings::{Axis, Cell, Figure, Mark, Series, Table};

/// From which kind of network to which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// Crafted on a static network, run on a dynamic one.
    StaticToDynamic,
    /// Crafted on a dynamic network, run on a static one.
    DynamicToStatic,
    /// Both static.
    StaticToStatic,
    /// Both dynamic.
    DynamicToDynamic,
}

impl Direction {
    const ALL: [Self; 4] =
        [Self::StaticToDynamic, Self::DynamicToStatic, Self::StaticToStatic, Self::DynamicToDynamic];

    fn of(surrogate: &Comparison<'_>, target: &Comparison<'_>) -> Self {
        match (surrogate.exits() > 1, target.exits() > 1) {
            (false, true) => Self::StaticToDynamic,
            (true, false) => Self::DynamicToStatic,
            (false, false) => Self::StaticToStatic,
            (true, true) => Self::DynamicToDynamic,
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StaticToDynamic => "S2D",
            Self::DynamicToStatic => "D2S",
            Self::StaticToStatic => "S2S",
            Self::DynamicToDynamic => "D2D",
        })
    }
}

/// What a set crafted on one network does to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// From where to where.
    pub direction: Direction,
    /// Images with a label.
    pub labelled: usize,
    /// Labelled images of the set that the target gets wrong, right before or not.
    pub wrong: usize,
    /// Images that both networks classify rightly when benign.
    pub both_right: usize,
    /// Of those, the images whose adversarial version the target gets wrong.
    pub fooled: usize,
    /// Of `both_right`, the images whose adversarial version the surrogate gets wrong.
    pub surrogate_fooled: usize,
    /// Of those, the images whose adversarial version the target gets wrong too.
    pub both_fooled: usize,
}

impl Transfer {
    /// Counts images, by the answers of both networks under their policies.
    pub fn of(surrogate: &Comparison<'_>, target: &Comparison<'_>) -> Self {
        let mut found = Self {
            direction: Direction::of(surrogate, target),
            labelled: 0,
            wrong: 0,
            both_right: 0,
            fooled: 0,
            surrogate_fooled: 0,
            both_fooled: 0,
        };
        for (there, here) in surrogate.images().zip(target.images()) {
            let (Some([there_before, there_after]), Some([before, after])) = (there.right(), here.right())
            else {
                continue;
            };
            let both_right = there_before && before;
            found.labelled += 1;
            found.wrong += usize::from(!after);
            found.both_right += usize::from(both_right);
            found.fooled += usize::from(both_right && !after);
            found.surrogate_fooled += usize::from(both_right && !there_after);
            found.both_fooled += usize::from(both_right && !there_after && !after);
        }
        found
    }

    /// Fraction of the images right on both networks that the set makes wrong on the target; `None` without any.
    pub fn success(&self) -> Option<f64> {
        share(self.fooled, self.both_right)
    }
}

/// The run of `target`'s set on the network that it was crafted on, the same images: under the policy of the same name
/// if there is one, else under the first.
pub(super) fn surrogate_run<'c, 'a>(
    comparisons: &'c [Comparison<'a>],
    target: &Comparison<'_>,
) -> Option<&'c Comparison<'a>> {
    let wanted = target.given();
    let runs = || {
        comparisons.iter().filter(|run| {
            let given = run.given();
            given.set == wanted.set
                && given.network == wanted.surrogate
                && given.surrogate == wanted.surrogate
                && given.benign.labels() == wanted.benign.labels()
        })
    };
    runs().find(|run| run.given().policy_name == wanted.policy_name).or_else(|| runs().next())
}

fn crossings<'c, 'a>(comparisons: &'c [Comparison<'a>]) -> Vec<(&'c Comparison<'a>, Option<Transfer>)> {
    let foreign = comparisons.iter().filter(|run| run.given().network != run.given().surrogate);
    let crossing = |target| (target, surrogate_run(comparisons, target).map(|run| Transfer::of(run, target)));
    foreign.map(crossing).collect()
}

const NOT_RUN: &str = "the set was not run on the network it was crafted on";
const NEVER_BOTH: &str = "no image is right on both networks";
const NEVER_FOOLED: &str = "no image fools the network it was crafted on";

/// What sets do to networks that they were not crafted on; a row per such comparison.
pub fn table(comparisons: &[Comparison<'_>]) -> Table {
    let columns = [
        text("direction", "Direction"),
        count("images", "Labelled images"),
        percent("accuracy_benign", "Accuracy, benign"),
        percent("accuracy_adversarial", "adversarial"),
        count("both_right", "Right on both when benign"),
        percent("success", "Success, of those"),
        percent("success_of_fooling", "Success, of those that fool the surrogate"),
        percent("wrong", "Wrong, of all"),
    ];
    let rows = crossings(comparisons).into_iter().map(|(target, found)| {
        let accuracy = [target.benign().accuracy, target.adversarial().accuracy];
        let [benign, adversarial] = accuracy.map(|accuracy| known(accuracy, NO_LABELS));
        let cells = match found {
            None => {
                let unknown = || absent(NOT_RUN);
                let labelled = target.given().benign.labels().iter().flatten().count();
                let wrong = target.adversarial().accuracy.map(|accuracy| 1.0 - accuracy);
                vec![
                    unknown(),
                    number(labelled),
                    benign,
                    adversarial,
                    unknown(),
                    unknown(),
                    unknown(),
                    known(wrong, NO_LABELS),
                ]
            }
            Some(found) => {
                let why = if found.labelled == 0 { NO_LABELS } else { NEVER_BOTH };
                let never = if found.both_right == 0 { why } else { NEVER_FOOLED };
                vec![
                    word(&found.direction.to_string()),
                    number(found.labelled),
                    benign,
                    adversarial,
                    number(found.both_right),
                    known(found.success(), why),
                    known(share(found.both_fooled, found.surrogate_fooled), never),
                    known(share(found.wrong, found.labelled), NO_LABELS),
                ]
            }
        };
        [identity_of(target), cells].concat()
    });
    Table {
        name: "transfer".into(),
        title: "RQ1: do sets transfer between networks?".into(),
        caption: "Sets crafted white-box on one network and run on another, answers under their policies. \
                  A network of one exit is static (S), one of several dynamic (D). Success: of the images \
                  that both networks classify rightly when benign, those that the target gets wrong. The \
                  paper's rate (§3.1) is the last column: wrong answers over all adversarial images."
            .into(),
        columns: identity().into_iter().chain(columns).collect(),
        rows: rows.collect(),
    }
}

/// Rates of success of all sets on networks that they were not crafted on.
#[derive(Clone, Debug, Default)]
pub struct Rates(Vec<Rate>);

#[derive(Clone, Debug)]
struct Rate {
    policy: String,
    direction: Direction,
    /// Where from and where to.
    pair: String,
    success: f64,
}

impl Rates {
    /// Adds what crosses between networks in `comparisons`; those of one set come together.
    pub fn add(&mut self, comparisons: &[Comparison<'_>]) {
        let rates = crossings(comparisons).into_iter().filter_map(|(target, found)| {
            let (given, found) = (target.given(), found?);
            Some(Rate {
                policy: given.policy_name.to_owned(),
                direction: found.direction,
                pair: format!("{} to {}", given.surrogate, given.network),
                success: found.success()?,
            })
        });
        self.0.extend(rates);
    }

    /// Mean success by direction over the runs that have one.
    pub fn by_direction(&self) -> Table {
        let rows = Direction::ALL.into_iter().filter_map(|direction| {
            let of = self.0.iter().filter(|rate| rate.direction == direction);
            let rates: Vec<f64> = of.map(|rate| rate.success).collect();
            let mean = offramp_runtime::statistics::mean(&rates)?;
            let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
            let most = rates.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let figures = [mean, least, most].map(Cell::Number);
            Some([vec![word(&direction.to_string()), number(rates.len())], figures.to_vec()].concat())
        });
        Table {
            name: "transfer-by-direction".into(),
            title: "RQ1: static to dynamic, and back".into(),
            caption:
                "Success as in transfer; mean, least and most over the runs of each direction, every run \
                      with the same weight."
                    .into(),
            columns: vec![
                text("direction", "Direction"),
                count("runs", "Runs"),
                percent("mean_success", "Mean success"),
                percent("least_success", "Least"),
                percent("most_success", "Most"),
            ],
            rows: rows.collect(),
        }
    }

    /// Success by pair of networks as bars, one figure per policy; a series per direction, the mean over the sets of
    /// each pair.
    pub fn figures(&self) -> Vec<Figure> {
        let mut policies: Vec<&str> = Vec::new();
        for rate in &self.0 {
            if !policies.contains(&rate.policy.as_str()) {
                policies.push(&rate.policy);
            }
        }
        // What happens to dynamic networks first.
        let to = |policy: &&str| {
            self.0.iter().filter(|rate| rate.policy == **policy).map(|rate| rate.direction).min()
        };
        policies.sort_by_key(to);
        let mut slugs = Slugs::default();
        policies.into_iter().map(|policy| self.figure(policy, &slugs.of(policy))).collect()
    }

    fn figure(&self, policy: &str, slug: &str) -> Figure {
        let mut pairs: BTreeMap<(Direction, &str), Vec<f64>> = BTreeMap::new();
        for rate in self.0.iter().filter(|rate| rate.policy == policy) {
            pairs.entry((rate.direction, &rate.pair)).or_default().push(rate.success);
        }
        let series = Direction::ALL.into_iter().map(|direction| {
            let of = pairs.iter().enumerate().filter(|(_, ((of, _), _))| *of == direction);
            let mean = |rates: &[f64]| rates.iter().sum::<f64>() / rates.len() as f64;
            let points = of.map(|(at, (_, rates))| [at as f64, mean(rates)]).collect();
            Series { name: direction.to_string(), mark: Mark::Bar, points }
        });
        let series = series.filter(|series| !series.points.is_empty()).collect();
        let names = pairs.keys().map(|(_, pair)| (*pair).to_owned()).collect();
        Figure {
            name: format!("transfer-success-{slug}"),
            title: format!("Transfer between networks: {policy}"),
            caption: "Of the images that both networks classify rightly when benign, the fraction that the \
                      target gets wrong; the mean over the sets of each pair. S: static, one exit. D: \
                      dynamic, several."
                .into(),
            x: Axis { categories: Some(names), ..axis("Crafted on, run on") },
            y: fraction_axis("Success"),
            series,
        }
    }
}
