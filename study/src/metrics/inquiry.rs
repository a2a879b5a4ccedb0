//! All questions at once: comparisons are asked set by set, and need not be kept.

use offramp_runtime::confidence::Measure;

use super::album::Album;
use super::confirmation::{self, Confirmed};
use super::early_attack::{self, Point, Tuning};
use super::group::without_policies;
use super::latency::{self, MeasuredLatency};
use super::policies::{self, PolicyReplay};
use super::returns::Ledger;
use super::summary::Glance;
use super::transfer::Rates;
use super::{Comparison, accuracy, change_of_exit, curve, early_success, efficacy, first_flip, transfer};
use crate::findings::{Cell, Figure, Findings, Table, Topic};

/// Answers so far.
pub struct Inquiry {
    networks: Vec<String>,
    measure: Measure,
    /// One per entry of [`TABLES`]; `None` before the first set.
    tables: [Option<Table>; TABLES.len()],
    early_attack: Option<Table>,
    by_alpha: Vec<Point>,
    albums: [Album; 6],
    glance: Glance,
    rates: Rates,
    returns: Ledger,
}

/// What was measured by running, beside the recordings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Runs<'a> {
    /// Latency on benign images and on sets, in turns.
    pub latencies: &'a [MeasuredLatency<'a>],
    /// Predictions that were confirmed.
    pub confirmed: &'a [Confirmed],
    /// Policies replayed on benign images.
    pub replays: &'a [PolicyReplay],
}

/// Tables whose rows are of one set each.
const TABLES: [fn(&[Comparison<'_>], Measure) -> Table; 10] = [
    |sets, _| accuracy::table(sets),
    |sets, _| accuracy::by_exit(sets),
    |sets, _| transfer::table(sets),
    |sets, _| change_of_exit::table(sets),
    |sets, _| first_flip::table(sets),
    |sets, _| first_flip::by_exit(sets),
    |sets, _| early_success::table(sets),
    |sets, _| early_success::transfer_table(sets),
    |sets, _| efficacy::table(sets),
    curve::table,
];

impl Inquiry {
    /// Nothing asked yet. Tables have `networks` in this order; accuracy against cost is by thresholds on `measure`.
    pub fn new(networks: Vec<String>, measure: Measure) -> Self {
        let albums = [
            accuracy::plate(),
            change_of_exit::plate(),
            change_of_exit::exits_plate(),
            first_flip::plate(),
            efficacy::plate(),
            curve::plate(measure),
        ];
        Self {
            networks,
            measure,
            tables: [const { None }; TABLES.len()],
            early_attack: None,
            by_alpha: Vec::new(),
            albums: albums.map(Album::new),
            glance: Glance::default(),
            rates: Rates::default(),
            returns: Ledger::default(),
        }
    }

    /// Asks all questions of one set: `comparisons` are all networks that ran it under all their policies. `early` is the
    /// Early Attack that crafted it, if one did.
    pub fn add(&mut self, comparisons: &[Comparison<'_>], early: Option<Tuning<'_>>) {
        for (table, of) in self.tables.iter_mut().zip(TABLES) {
            append(table, of(comparisons, self.measure));
        }
        // Success is about labels, which no policy changes: the first policy stands for all.
        let own = comparisons.iter().find(|of| of.given().network == of.given().surrogate);
        if let (Some(early), Some(comparison)) = (early, own) {
            let setting = early.on(comparison);
            append(&mut self.early_attack, early_attack::table(&[setting]));
            self.by_alpha.extend(setting.point());
        }
        let once = without_policies(comparisons);
        for album in &mut self.albums {
            if album.by_policy() {
                comparisons.iter().for_each(|comparison| album.add(comparison));
            } else {
                once.iter().for_each(|comparison| album.add(comparison));
            }
        }
        for comparison in comparisons {
            self.glance.add(comparison);
            self.returns.add(comparison);
        }
        self.rates.add(comparisons);
    }

    /// The answers, with what was measured by `runs`; no pictures.
    pub fn finish(self, runs: Runs<'_>) -> Findings {
        let networks = &self.networks;
        let sorted = |mut table: Table| {
            table.rows.sort_by_key(|row| networks.iter().position(|name| is(row.first(), name)));
            table
        };
        let listed =
            |tables: Vec<Option<Table>>| tables.into_iter().flatten().map(sorted).collect::<Vec<_>>();
        let [
            right,
            right_by_exit,
            transfer,
            change,
            flip,
            flip_by_exit,
            early,
            early_transfer,
            efficacy,
            cost,
        ] = self.tables;
        let [accuracies, changes, exits, flips, efficacies, curves] =
            self.albums.map(|album| album.figures(networks));
        let [mut changes, mut further] = changes;
        let [first, rest] = exits;
        changes.extend(first);
        further.extend(rest);
        let none = || [Vec::new(), Vec::new()];
        let alone = |figures: Vec<Figure>| [figures, Vec::new()];
        let (latencies, replays) = (runs.latencies, runs.replays);
        let mut topics = vec![
            Topic::new("Accuracy", accuracies, listed(vec![right, right_by_exit])),
            Topic::new(
                "Transfer between networks",
                alone(self.rates.figures()),
                [vec![self.rates.by_direction()], listed(vec![transfer])].concat(),
            ),
            Topic::new("Exits taken, and how they change", [changes, further], listed(vec![change])),
            Topic::new("The first exit to change its label", flips, listed(vec![flip, flip_by_exit])),
            Topic::new(
                "Early exits fooled, the final label kept",
                alone(early_attack::figures(&self.by_alpha)),
                listed(vec![self.early_attack, early, early_transfer]),
            ),
            Topic::new("Efficacy", efficacies, listed(vec![efficacy])),
            Topic::new("Accuracy against cost", curves, listed(vec![cost])),
            Topic::new("What exits cost and save", none(), listed(vec![Some(self.returns.table())])),
            Topic::new("Latency", none(), vec![latency::table(latencies), latency::by_exit(latencies)]),
            Topic::new(
                "Policies",
                alone(policies::figures(replays)),
                vec![
                    confirmation::table(runs.confirmed),
                    policies::front_table(replays),
                    policies::table(replays),
                ],
            ),
        ];
        topics.retain(|topic| !topic.is_empty());
        let summary = Some(self.glance.table()).filter(|table| !table.rows.is_empty());
        Findings { summary, topics, specimens: Vec::new() }
    }
}

fn is(cell: Option<&Cell>, name: &str) -> bool {
    matches!(cell, Some(Cell::Text(text)) if text == name)
}

/// `more` below `table`.
fn append(table: &mut Option<Table>, more: Table) {
    match table {
        Some(table) => table.rows.extend(more.rows),
        None => *table = Some(more),
    }
}
