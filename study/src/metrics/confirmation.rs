//! How far what was predicted offline is from what really running it gives.

use offramp_runtime::replay::Evaluation;
use offramp_runtime::report::Report;
use serde::{Deserialize, Serialize};

use super::row::{absent, column, known, measured, text, word};
use crate::findings::{Cell, Format, Table};

/// Figures of one run, predicted or real; what is not known is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Fraction of the labelled images that are labelled rightly.
    pub accuracy: Option<f64>,
    /// Mean cumulative MACs over those of the final exit.
    pub macs_fraction: Option<f64>,
    /// Mean index of the exit.
    pub mean_exit: Option<f64>,
    /// Mean latency in seconds.
    pub latency_s: Option<f64>,
}

impl Figures {
    /// What `evaluation` predicts, the latency from the measured `seconds` until each exit.
    pub fn predicted(evaluation: &Evaluation, seconds: Option<&[f64]>) -> Self {
        let images: usize = evaluation.counts.iter().sum();
        let sum = |seconds: &[f64]| {
            evaluation.counts.iter().zip(seconds).map(|(count, seconds)| *count as f64 * seconds).sum::<f64>()
        };
        let seconds = seconds.filter(|seconds| images > 0 && seconds.len() == evaluation.counts.len());
        Self {
            accuracy: evaluation.accuracy,
            macs_fraction: evaluation.macs_fraction,
            mean_exit: evaluation.mean_exit,
            latency_s: seconds.map(|seconds| sum(seconds) / images as f64),
        }
    }
}

impl From<&Report> for Figures {
    fn from(report: &Report) -> Self {
        Self {
            accuracy: report.accuracy,
            macs_fraction: report.macs_fraction,
            mean_exit: report.mean_exit,
            latency_s: report.latency_s.map(|latency| latency.mean),
        }
    }
}

/// A policy predicted and run.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirmed {
    /// The network.
    pub network: String,
    /// The images: `benign`, or a set's name.
    pub images: String,
    /// The policy.
    pub policy: String,
    /// What replay said.
    pub predicted: Figures,
    /// What the run said.
    pub run: Figures,
}

/// Predicted, run, and the difference; a row per policy.
pub fn table(confirmed: &[Confirmed]) -> Table {
    let mut columns = vec![text("network", "Network"), text("images", "Images"), text("policy", "Policy")];
    let counted = |name: &str, head: &str, shown| {
        let part = |part: &str, head: String, shown| column(&format!("{name}_{part}"), &head, shown);
        [
            part("predicted", format!("{head}, predicted"), shown),
            part("run", "run".to_owned(), shown),
            part("error", "error".to_owned(), Format::Decimals(4)),
        ]
    };
    columns.extend(counted("accuracy", "Accuracy", Format::Percent));
    columns.extend(counted("macs_fraction", "MACs", Format::Percent));
    columns.extend(counted("mean_exit", "Mean exit", Format::Decimals(2)));
    columns.extend([
        measured("latency_predicted_s", "Latency, predicted", Format::Seconds),
        measured("latency_run_s", "run", Format::Seconds),
        measured("latency_error_s", "error", Format::Seconds),
        measured("latency_error_share", "of the run", Format::Percent),
    ]);
    let rows = confirmed.iter().map(|policy| {
        let mut row = [&*policy.network, &*policy.images, &*policy.policy].map(word).to_vec();
        let (predicted, run) = (policy.predicted, policy.run);
        row.extend(cells(predicted.accuracy, run.accuracy, "no labels"));
        row.extend(cells(predicted.macs_fraction, run.macs_fraction, "no images or no MACs"));
        row.extend(cells(predicted.mean_exit, run.mean_exit, "no images"));
        row.extend(cells(predicted.latency_s, run.latency_s, "latency was not measured"));
        let relative = predicted.latency_s.zip(run.latency_s).filter(|(_, run)| *run > 0.0);
        row.push(match relative {
            Some((predicted, run)) => Cell::Number(predicted / run - 1.0),
            None => absent("latency was not measured"),
        });
        row
    });
    Table {
        name: "prediction-error".into(),
        title: "Replay against really running it".into(),
        caption: "Predicted on recorded logits, and run through the segments; the error is predicted less \
                  run. Latency is predicted from the measured latency of each exit."
            .into(),
        columns,
        rows: rows.collect(),
    }
}

fn cells(predicted: Option<f64>, run: Option<f64>, why: &str) -> [Cell; 3] {
    let error = predicted.zip(run).map(|(predicted, run)| predicted - run);
    [predicted, run, error].map(|figure| known(figure, why))
}
