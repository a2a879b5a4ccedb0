//! The headline: what each network does as it is, and under the worst that was crafted.

use super::row::{NO_IMAGES, NO_LABELS, NO_MACS, count, decimals, known, number, percent, text, word};
use super::{Comparison, accuracy};
use crate::findings::{Cell, Table};

/// Three rows per network, under the first policy that it is compared with: its benign images, the input that costs it
/// most accuracy, and the input that makes it compute most. Of equals the first.
#[derive(Clone, Debug, Default)]
pub struct Glance(Vec<Seen>);

#[derive(Clone, Debug)]
struct Seen {
    network: String,
    policy: String,
    benign: Vec<Cell>,
    wrong: Worst,
    late: Worst,
}

/// What is worst so far, and by how much.
#[derive(Clone, Debug, Default)]
struct Worst(Option<(f64, Vec<Cell>)>);

impl Worst {
    fn see(&mut self, by: Option<f64>, row: impl FnOnce() -> Vec<Cell>) {
        if let Some(by) = by.filter(|by| self.0.as_ref().is_none_or(|(worst, _)| by > worst)) {
            self.0 = Some((by, row()));
        }
    }
}

impl Glance {
    /// Adds a comparison, if it is under its network's first policy.
    pub fn add(&mut self, comparison: &Comparison<'_>) {
        let given = comparison.given();
        let at = self.0.iter().position(|seen| seen.network == given.network).unwrap_or(self.0.len());
        if at == self.0.len() {
            self.0.push(Seen {
                network: given.network.to_owned(),
                policy: given.policy_name.to_owned(),
                benign: row(comparison, "benign", None),
                wrong: Worst::default(),
                late: Worst::default(),
            });
        }
        let seen = &mut self.0[at];
        if seen.policy != given.policy_name {
            return;
        }
        let run = comparison.adversarial();
        seen.wrong
            .see(run.accuracy.map(|accuracy| -accuracy), || row(comparison, "most wrong", Some(given.set)));
        // A network with one exit always computes all of itself.
        let late = run.mean_exit.filter(|_| comparison.exits() > 1);
        seen.late.see(late, || row(comparison, "latest exit", Some(given.set)));
    }

    /// The table, networks in the order of their first comparisons.
    pub fn table(self) -> Table {
        let rows = self.0.into_iter().flat_map(|seen| {
            let worst = [seen.wrong.0, seen.late.0].into_iter().flatten().map(|(_, row)| row);
            std::iter::once(seen.benign).chain(worst)
        });
        Table {
            name: "summary".into(),
            title: "At a glance".into(),
            caption: "Each network under its first policy: on the images as they are, on the input that costs it most \
                      accuracy, and on the one that makes it compute most."
                .into(),
            columns: vec![
                text("network", "Network"),
                text("policy", "Policy"),
                text("case", "Case"),
                text("set", "Input"),
                percent("accuracy", "Accuracy"),
                percent("final_accuracy", "at the final exit"),
                decimals("mean_exit", "Mean exit", 2),
                percent("macs_fraction", "MACs"),
                count("images", "Images"),
            ],
            rows: rows.collect(),
        }
    }
}

/// The benign side without a set, else the set's.
fn row(comparison: &Comparison<'_>, case: &str, set: Option<&str>) -> Vec<Cell> {
    let (given, side) = (comparison.given(), usize::from(set.is_some()));
    let evaluation = [comparison.benign(), comparison.adversarial()][side];
    let at_final = accuracy::at_exit(comparison, comparison.exits() - 1)[side];
    vec![
        word(given.network),
        word(given.policy_name),
        word(case),
        word(set.unwrap_or("as they are")),
        known(evaluation.accuracy, NO_LABELS),
        known(at_final, NO_LABELS),
        known(evaluation.mean_exit, NO_IMAGES),
        known(evaluation.macs_fraction, NO_MACS),
        number(comparison.len()),
    ]
}
