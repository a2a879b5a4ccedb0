//! The headline: what each network does as it is, and under the worst that was crafted.

use super::row::{NO_IMAGES, NO_LABELS, NO_MACS, count, decimals, known, number, percent, text, word};
use super::{Comparison, accuracy};
use crate::findings::{Cell, Table};

/// Three rows per network, under the first policy it is compared with: its benign images, the input that costs it most
/// accuracy, and the input that makes it compute most.
pub fn table(comparisons: &[Comparison<'_>]) -> Table {
    let mut rows = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for comparison in comparisons {
        let given = comparison.given();
        if seen.contains(&given.network) {
            continue;
        }
        seen.push(given.network);
        let own = || {
            comparisons.iter().filter(|other| {
                other.given().network == given.network && other.given().policy_name == given.policy_name
            })
        };
        let figure = |value: Option<f64>| value.unwrap_or(f64::INFINITY);
        let wrong = own()
            .min_by(|a, b| figure(a.adversarial().accuracy).total_cmp(&figure(b.adversarial().accuracy)));
        let costly = own().max_by(|a, b| {
            let spent = |c: &Comparison<'_>| c.adversarial().mean_exit.unwrap_or(0.0);
            // Of equals the first, as `min_by` takes it.
            spent(a).total_cmp(&spent(b)).then(std::cmp::Ordering::Greater)
        });
        rows.push(row(comparison, "benign", None));
        rows.extend(wrong.map(|worst| row(worst, "most wrong", Some(worst.given().set))));
        // A network with one exit always computes all of itself.
        rows.extend(
            costly
                .filter(|_| comparison.exits() > 1)
                .map(|worst| row(worst, "latest exit", Some(worst.given().set))),
        );
    }
    Table {
        name: "summary".into(),
        title: "At a glance".into(),
        caption: "Each network under its first policy: on the images as they are, on the input that costs it most accuracy, and \
                  on the one that makes it compute most."
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
        rows,
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
