//! RQ1: whether sets crafted on one network fool another, from static to dynamic and back.
//!
//! A network of one exit is static, one of several is dynamic. Success is counted among the images that both networks
//! classify rightly when benign: an image that was wrong before shows nothing. The paper (§3.1) divides by all
//! adversarial examples; that figure stands beside it.

use std::fmt;

use super::Comparison;
use super::drawing::{axis, beside_benign, density, fraction_axis};
use super::group::{Slugs, by_deployment};
use super::row::{
    NO_LABELS, absent, count, identity, identity_of, known, number, percent, share, text, word,
};
use crate::findings::{Axis, Figure, Mark, Series, Table};

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

/// Mean success by direction over the pairs that have one.
pub fn by_direction(comparisons: &[Comparison<'_>]) -> Table {
    let crossings = crossings(comparisons);
    let rows = Direction::ALL.into_iter().filter_map(|direction| {
        let found = crossings.iter().filter_map(|(_, found)| found.filter(|of| of.direction == direction));
        let rates: Vec<f64> = found.filter_map(|found| found.success()).collect();
        let mean = offramp_runtime::statistics::mean(&rates)?;
        let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
        let most = rates.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let figures = [mean, least, most].map(|rate| known(Some(rate), NEVER_BOTH));
        Some([vec![word(&direction.to_string()), number(rates.len())], figures.to_vec()].concat())
    });
    Table {
        name: "transfer-by-direction".into(),
        title: "RQ1: static to dynamic, and back".into(),
        caption: "Success as in transfer; mean, least and most over the runs of each direction, every run \
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

/// Success by pair of networks as bars, one figure per policy; a series per direction, the mean over the sets of each
/// pair.
pub fn figures(comparisons: &[Comparison<'_>]) -> Vec<Figure> {
    let crossings = crossings(comparisons);
    let mut policies: Vec<&str> = Vec::new();
    for (target, _) in &crossings {
        let policy = target.given().policy_name;
        if !policies.contains(&policy) {
            policies.push(policy);
        }
    }
    let mut slugs = Slugs::default();
    let figures = policies.into_iter().filter_map(|policy| {
        let of_policy = crossings.iter().filter(|(target, _)| target.given().policy_name == policy);
        let mut pairs: Vec<(Direction, String, Vec<f64>)> = Vec::new();
        for (target, found) in of_policy {
            let Some(found) = found else { continue };
            let Some(rate) = found.success() else { continue };
            let name = format!("{} to {}", target.given().surrogate, target.given().network);
            match pairs
                .iter_mut()
                .find(|(direction, pair, _)| (*direction, pair.as_str()) == (found.direction, name.as_str()))
            {
                Some((.., rates)) => rates.push(rate),
                None => pairs.push((found.direction, name, vec![rate])),
            }
        }
        pairs.sort_by_key(|pair| pair.0);
        let series = Direction::ALL.into_iter().filter_map(|direction| {
            let pairs = pairs.iter().enumerate().filter(|(_, (of, ..))| *of == direction);
            let mean = |rates: &[f64]| rates.iter().sum::<f64>() / rates.len() as f64;
            let points: Vec<_> = pairs.map(|(at, (_, _, rates))| [at as f64, mean(rates)]).collect();
            (!points.is_empty()).then(|| Series { name: direction.to_string(), mark: Mark::Bar, points })
        });
        let series: Vec<Series> = series.collect();
        let names = pairs.iter().map(|(_, name, _)| name.clone()).collect();
        (!series.is_empty()).then(|| Figure {
            name: format!("transfer-success-{}", slugs.of(policy)),
            title: format!("Transfer between networks: {policy}"),
            caption: "Of the images that both networks classify rightly when benign, the fraction that the \
                      target gets wrong; the mean over the sets of each pair. S: static, one exit. D: \
                      dynamic, several."
                .into(),
            x: Axis { categories: Some(names), ..axis("Crafted on, run on") },
            y: fraction_axis("Success"),
            series,
        })
    });
    figures.collect()
}

/// RQ1's density of exit numbers: where benign and adversarial images leave, a figure per dynamic network and policy.
///
/// Source: the project's paper, appendix A.
pub fn exit_figures(comparisons: &[Comparison<'_>]) -> Vec<Figure> {
    let groups = by_deployment(comparisons).into_iter().filter_map(|group| {
        let dynamic = group.members.into_iter().filter(|of| of.exits() > 1 && !of.is_empty());
        let series = beside_benign(dynamic, |of, name, which| density(name, 0, &of.run(which).counts));
        (!series.is_empty()).then(|| Figure {
            name: format!("exit-density-{}", group.slug),
            title: format!("Exits taken: {}", group.title),
            caption: "Density of the exit where computing stops under the policy: at every exit the \
                      fraction of images that leave there, straight between them; the area is 1."
                .into(),
            x: axis("Exit"),
            y: axis("Density"),
            series,
        })
    });
    groups.collect()
}
