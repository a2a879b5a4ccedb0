//! Results for people.

use std::fmt::{self, Write as _};

use super::{Cell, LinkName, NotTried, Tried, Verdict};
use crate::link::Shape;

impl Cell {
    /// The cell as plain text: a row for every way on every input, and what is best.
    pub fn table(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_table(&mut text);
        text
    }

    fn write_table(&self, text: &mut String) -> fmt::Result {
        match &self.link {
            Some(link) => write!(text, "link {link}")?,
            None => write!(text, "the link that there is")?,
        }
        match self.device_scale {
            1.0 => writeln!(text)?,
            times => writeln!(text, ", device emulated {times} times slower")?,
        }
        let mut inputs: Vec<&str> = self.tried.iter().map(|tried| tried.input.as_str()).collect();
        inputs.extend(self.not_tried.iter().map(|not| not.input.as_str()));
        let mut seen = Vec::new();
        for input in inputs {
            if seen.contains(&input) {
                continue;
            }
            seen.push(input);
            writeln!(text, "{input}")?;
            writeln!(
                text,
                "   after  mean ms   p50 ms   p99 ms  late  sent %  peer device degraded  bytes/image  accuracy"
            )?;
            for tried in self.tried.iter().filter(|tried| tried.input == *input) {
                row(text, tried)?;
            }
            for NotTried { way, why, .. } in self.not_tried.iter().filter(|not| not.input == *input) {
                writeln!(text, "{:>8}  not tried: {why}", way.to_string())?;
            }
            let Some(Verdict { best, auto_over_best, .. }) =
                self.verdicts.iter().find(|one| one.input == *input)
            else {
                continue;
            };
            write!(text, "  best fixed: {best}")?;
            if let Some(ratio) = auto_over_best {
                write!(
                    text,
                    "; auto takes {:.3} of its time ({:.3} to {:.3})",
                    ratio.estimate, ratio.low, ratio.high
                )?;
            }
            writeln!(text)?;
        }
        Ok(())
    }
}

fn row(text: &mut String, tried: &Tried) -> fmt::Result {
    let ms = |seconds: f64| format!("{:.3}", seconds * 1e3);
    let latency = tried.latency_s.map(|latency| [latency.mean, latency.p50, latency.p99].map(ms));
    let [mean, p50, p99] = latency.unwrap_or_default();
    let (peer, device, degraded) =
        tried.offload.as_ref().map_or((0, 0, 0), |sent| (sent.by_peer, sent.by_device, sent.degraded));
    let accuracy = tried.accuracy.map_or("-".to_owned(), |accuracy| format!("{:.2} %", accuracy * 100.0));
    writeln!(
        text,
        "{:>8} {mean:>8} {p50:>8} {p99:>8} {:>5} {:>7.1} {peer:>5} {device:>6} {degraded:>8} {:>12.0} {accuracy:>9}",
        tried.way.to_string(),
        tried.late,
        tried.sent() * 100.0,
        tried.bytes_per_image()
    )
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = |f: &mut fmt::Formatter<'_>, shape: &Shape| {
            match shape.rate_bps {
                Some(rate) => write!(f, "{} Mbit/s", rate as f64 / 1e6)?,
                None => f.write_str("unlimited")?,
            }
            write!(f, ", {} ms", shape.delay_ms)?;
            if shape.jitter_ms > 0.0 { write!(f, " and {} ms jitter", shape.jitter_ms) } else { Ok(()) }
        };
        write!(f, "{} (", self.name)?;
        shape(f, &self.up)?;
        if self.down != self.up {
            f.write_str(" up, ")?;
            shape(f, &self.down)?;
            f.write_str(" down")?;
        } else {
            f.write_str(" each way")?;
        }
        match self.events {
            0 => f.write_str(")"),
            1 => f.write_str(", 1 change)"),
            events => write!(f, ", {events} changes)"),
        }
    }
}
