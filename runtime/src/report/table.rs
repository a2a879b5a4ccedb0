//! A report for people.

use std::fmt::{self, Write as _};

use super::{OffloadReport, Report};
use crate::statistics::Latency;

impl Report {
    /// The report as plain text: what ran, a row per exit, and what the run came to.
    pub fn table(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_table(&mut text);
        text
    }

    fn write_table(&self, text: &mut String) -> fmt::Result {
        let backend = &self.backend;
        writeln!(text, "{} on {} {} {}", self.bundle.name, backend.name, backend.provider, backend.version)?;
        writeln!(text, "policy: {}", self.policy)?;
        writeln!(text)?;
        writeln!(text, "exit  images      %  accuracy  mean ms   p50 ms   p90 ms   p99 ms   max ms")?;
        for exit in &self.exits {
            row(text, &exit.exit, exit.count, self.images, exit.accuracy, exit.latency_s)?;
        }
        row(text, &"all", self.images, self.images, self.accuracy, self.latency_s)?;
        writeln!(text)?;
        if let Some(mean) = self.mean_exit {
            writeln!(text, "mean exit: {mean:.3}")?;
        }
        if let Some(fraction) = self.macs_fraction {
            writeln!(text, "MACs spent: {fraction:.4} of the final exit's")?;
        }
        if let Some(resized) = self.preprocessing.as_ref().and_then(|done| done.resized).filter(|n| *n > 0) {
            writeln!(text, "images resized and centre-cropped: {resized} of {}", self.images)?;
        }
        if let Some(seconds) = self.compaction_s {
            writeln!(text, "compacting batches: {:.3} ms", seconds * 1e3)?;
        }
        if let Some(misses) = self.deadline_misses {
            writeln!(text, "deadlines missed: {misses}")?;
        }
        if let Some(offload) = &self.offload {
            let OffloadReport { sent, by_peer, by_device, degraded, sent_bytes, .. } = offload;
            writeln!(text, "sent to a peer: {sent} of {} images, {sent_bytes} bytes", self.images)?;
            write!(text, "answered by the peer {by_peer}, by the device {by_device}, degraded {degraded}")?;
            writeln!(
                text,
                "{}",
                if *degraded > 0 { " (counted at the exit whose answer it was)" } else { "" }
            )?;
        }
        if let Some(energy) = self.energy_j {
            writeln!(text, "energy: {:.3} J", energy.0)?;
        }
        self.not_measured.iter().try_for_each(|missing| writeln!(text, "{missing}"))
    }
}

fn row(
    text: &mut String,
    exit: &dyn fmt::Display,
    count: usize,
    images: usize,
    accuracy: Option<f64>,
    latency: Option<Latency>,
) -> fmt::Result {
    let share = percent((images > 0).then(|| count as f64 / images as f64));
    write!(text, "{exit:>4}  {count:>6}  {share:>5}  {:>8}", percent(accuracy))?;
    let seconds = latency.map(|latency| [latency.mean, latency.p50, latency.p90, latency.p99, latency.max]);
    match seconds {
        Some(seconds) => seconds.iter().try_for_each(|seconds| write!(text, "  {:>7.3}", seconds * 1e3))?,
        None => (0..5).try_for_each(|_| write!(text, "  {:>7}", "-"))?,
    }
    writeln!(text)
}

fn percent(fraction: Option<f64>) -> String {
    fraction.map_or_else(|| "-".to_owned(), |fraction| format!("{:.1}", fraction * 100.0))
}
