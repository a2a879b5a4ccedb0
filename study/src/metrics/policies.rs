//! Policy replay: every policy tried on one recording, and those that none beats.

use offramp_runtime::policy::{Fallback, Rule};
use offramp_runtime::replay::Replay;

use super::curve::shown;
use super::drawing::fraction_axis;
use super::group::Slugs;
use super::row::{
    NO_IMAGES, NO_LABELS, NO_MACS, absent, count, decimals, known, number, percent, text, word,
};
use super::sweep::{Candidate, Family, sweep};
use crate::findings::{Cell, Figure, Mark, Series, Table};

/// Policies replayed on one recording.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyReplay {
    /// The network.
    pub network: String,
    /// The images: `benign`, or a set's name.
    pub images: String,
    /// Every policy tried.
    pub candidates: Vec<Candidate>,
    /// Places in `candidates` of those that none beats, the cheapest first.
    pub front: Vec<usize>,
}

impl PolicyReplay {
    /// Replays every policy of `families` on `images` of `network`; `macs` are cumulative, one entry per exit.
    pub fn new(
        [network, images]: [&str; 2],
        replay: &Replay,
        macs: &[u64],
        families: &[Family],
        fallback: Fallback,
    ) -> Self {
        let candidates = sweep(replay, macs, families, fallback);
        let front = front(&candidates);
        Self { network: network.to_owned(), images: images.to_owned(), candidates, front }
    }

    /// The policies that none beats, the cheapest first.
    pub fn best(&self) -> impl Iterator<Item = &Candidate> {
        self.front.iter().filter_map(|at| self.candidates.get(*at))
    }
}

/// Places of the candidates that no other beats: none is at least as right and at most as costly, and better in one of
/// the two. The cheapest first; of equals the first. Those without accuracy or cost are none.
pub fn front(candidates: &[Candidate]) -> Vec<usize> {
    let figures = candidates.iter().enumerate().filter_map(|(at, candidate)| {
        Some((at, candidate.evaluation.macs_fraction?, candidate.evaluation.accuracy?))
    });
    let mut figures: Vec<_> = figures.collect();
    figures.sort_by(|a, b| a.1.total_cmp(&b.1).then(b.2.total_cmp(&a.2)).then(a.0.cmp(&b.0)));
    let mut best = f64::NEG_INFINITY;
    figures.retain(|(_, _, accuracy)| {
        let better = *accuracy > best;
        best = best.max(*accuracy);
        better
    });
    figures.into_iter().map(|(at, ..)| at).collect()
}

/// Every policy tried, a row each.
pub fn table(replays: &[PolicyReplay]) -> Table {
    let rows = replays.iter().flat_map(|replay| {
        replay.candidates.iter().enumerate().map(move |(at, candidate)| {
            let mut row = row(replay, candidate);
            row.push(word(if replay.front.contains(&at) { "yes" } else { "no" }));
            row
        })
    });
    let columns = columns().into_iter().chain([text("pareto", "On the front")]);
    Table {
        name: "policy-replay".into(),
        title: "Every policy, replayed".into(),
        caption: CAPTION.into(),
        columns: columns.collect(),
        rows: rows.collect(),
    }
}

/// The policies that none beats, a row each.
pub fn front_table(replays: &[PolicyReplay]) -> Table {
    let rows = replays.iter().flat_map(|replay| replay.best().map(move |candidate| row(replay, candidate)));
    Table {
        name: "policy-front".into(),
        title: "Policies that none beats".into(),
        caption: format!(
            "{CAPTION} Listed are those for which no other is at least as accurate and at most as costly, \
             and better in one of the two."
        ),
        columns: columns(),
        rows: rows.collect(),
    }
}

/// Accuracy over cost, a figure per recording: a line per family, and the front.
pub fn figures(replays: &[PolicyReplay]) -> Vec<Figure> {
    let mut slugs = Slugs::default();
    let drawn = replays.iter().filter_map(|replay| {
        let mut series: Vec<Series> = Vec::new();
        for candidate in &replay.candidates {
            let Some(point) = point(candidate) else { continue };
            let name = family(&candidate.policy.rule);
            match series.iter_mut().find(|series| series.name == name) {
                Some(series) => series.points.push(point),
                None => series.push(Series { name: name.to_owned(), mark: Mark::Line, points: vec![point] }),
            }
        }
        for series in &mut series {
            series.points.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
            series.points.dedup();
        }
        let best = replay.best().filter_map(point).collect();
        series.push(Series { name: "none better".into(), mark: Mark::Point, points: best });
        let slug = slugs.of(&format!("{}-{}", replay.network, replay.images));
        (series.len() > 1).then(|| Figure {
            name: format!("policy-replay-{slug}"),
            title: format!("Policies on {}: {}", replay.network, replay.images),
            caption: CAPTION.into(),
            x: fraction_axis("MACs over those of the final exit"),
            y: fraction_axis("Accuracy"),
            series,
        })
    });
    drawn.collect()
}

const CAPTION: &str = "Evaluated offline on the logits of every exit, recorded once; MACs are means over \
                       those of the final exit.";

fn columns() -> Vec<crate::findings::Column> {
    vec![
        text("network", "Network"),
        text("images", "Images"),
        text("family", "Family"),
        text("policy", "Policy"),
        decimals("parameter", "Threshold or patience", 5),
        percent("accuracy", "Accuracy"),
        percent("macs_fraction", "MACs"),
        decimals("mean_exit", "Mean exit", 2),
        count("image_count", "Images replayed"),
    ]
}

fn row(replay: &PolicyReplay, candidate: &Candidate) -> Vec<Cell> {
    let Candidate { policy, evaluation } = candidate;
    let parameter = match &policy.rule {
        Rule::Confidence { thresholds, .. } => thresholds.first().map(|threshold| shown(*threshold)),
        Rule::Patience { patience } => Some(*patience as f64),
        _ => None,
    };
    vec![
        word(&replay.network),
        word(&replay.images),
        word(family(&policy.rule)),
        word(&policy.to_string()),
        parameter.map_or_else(|| absent("the policy has none"), Cell::Number),
        known(evaluation.accuracy, NO_LABELS),
        known(evaluation.macs_fraction, NO_MACS),
        known(evaluation.mean_exit, NO_IMAGES),
        number(evaluation.images),
    ]
}

fn family(rule: &Rule) -> &'static str {
    match rule {
        Rule::Confidence { measure, .. } => measure.name(),
        Rule::Patience { .. } => "patience",
        _ => "fixed",
    }
}

fn point(candidate: &Candidate) -> Option<[f64; 2]> {
    Some([candidate.evaluation.macs_fraction?, candidate.evaluation.accuracy?])
}
