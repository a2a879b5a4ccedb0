//! A campaign in lines for people.

use std::fmt::Write as _;

use super::{Finished, Row};
use crate::metrics::confirmation::Figures as Point;

impl Finished {
    /// A line per row, and how well predictions held.
    pub fn text(&self) -> String {
        let width = |of: fn(&Row) -> &str, least: usize| {
            self.rows.iter().map(|row| of(row).len()).max().unwrap_or(0).max(least)
        };
        let widths = [
            width(|row| &row.target.name, 7),
            width(|row| &row.input.label, 5),
            width(|row| &row.policy.name, 6),
        ];
        let [network, input, policy] = widths;
        let mut text = format!(
            "{:network$}  {:input$}  {:policy$}  {:>4}  {:>17}  {:>13}  {:>13}  {:>13}\n",
            "network", "input", "policy", "seed", "accuracy", "mean exit", "MACs", "efficacy"
        );
        for row in &self.rows {
            let seed = row.input.seed.map_or_else(|| "-".to_owned(), |seed| seed.to_string());
            let (target, label, name) = (&row.target.name, &row.input.label, &row.policy.name);
            let _ = write!(text, "{target:network$}  {label:input$}  {name:policy$}  {seed:>4}  ");
            let Some(figures) = &row.figures else {
                let _ = writeln!(text, "{}", row.skipped.as_deref().unwrap_or("no figures"));
                continue;
            };
            let accuracy = figures.accuracy.map_or_else(
                || "no labels".to_owned(),
                |[a, b]| format!("{:.1} % -> {:.1} %", a * 100.0, b * 100.0),
            );
            let [exit, macs, efficacy] =
                [figures.mean_exit, figures.macs_fraction, figures.efficacy].map(change);
            let _ = writeln!(text, "{accuracy:>17}  {exit:>13}  {macs:>13}  {efficacy:>13}");
        }
        for returns in &self.returns {
            let _ = writeln!(text, "\n{}: predicted by replay, then really run", returns.network.name);
            for point in &returns.confirmations {
                let error = |of: fn(&Point) -> Option<f64>, scale: f64| match (
                    of(&point.predicted),
                    of(&point.run),
                ) {
                    (Some(predicted), Some(run)) => format!("{:+.3}", (predicted - run) * scale),
                    _ => "unknown".to_owned(),
                };
                let _ = writeln!(
                    text,
                    "  {}: prediction error accuracy {} points, mean exit {}, MACs {} points, latency {} ms",
                    point.policy,
                    error(|point| point.accuracy, 100.0),
                    error(|point| point.mean_exit, 1.0),
                    error(|point| point.macs_fraction, 100.0),
                    error(|point| point.latency_s, 1e3)
                );
            }
        }
        for skipped in self.skipped.chunk_by(|a, b| a.network == b.network) {
            let methods: Vec<_> = skipped.iter().map(|skipped| skipped.method.as_str()).collect();
            if let [first, ..] = skipped {
                let _ = write!(
                    text,
                    "\nnot crafted on {}: {} ({})",
                    first.network,
                    methods.join(", "),
                    first.why
                );
            }
        }
        text
    }
}

fn change([benign, input]: [Option<f64>; 2]) -> String {
    match (benign, input) {
        (Some(benign), Some(input)) => format!("{benign:.2} -> {input:.2}"),
        _ => "unknown".to_owned(),
    }
}
