//! An adversarial set in lines for people.

use std::fmt::Write as _;

use super::{SetManifest, Summary};

impl SetManifest {
    /// What the set does, as a table.
    pub fn table(&self) -> String {
        let Summary { images, exits, accuracy, mean_exit, attackable, success, size } = &self.summary;
        let percent = |fraction: f64| format!("{:.1} %", fraction * 100.0);
        let mut text = format!(
            "{} on {}: {images} images, labels: {}\n\n",
            self.method.kind.name(),
            self.surrogate.name,
            self.labels.name()
        );
        let _ = writeln!(
            text,
            "exit   accuracy: benign   adversarial   as stored   leave here: benign   as stored"
        );
        for exit in exits {
            let cells =
                exit.accuracy.map_or(["-".to_owned(), "-".to_owned(), "-".to_owned()], |a| a.map(percent));
            let _ = writeln!(
                text,
                "{:>4} {:>18} {:>13} {:>11} {:>20} {:>11}",
                exit.exit, cells[0], cells[1], cells[2], exit.count[0], exit.count[1]
            );
        }
        if let Some([benign, stored]) = accuracy {
            let _ =
                writeln!(text, "\naccuracy under the policy: {} -> {}", percent(*benign), percent(*stored));
        }
        let _ = writeln!(text, "mean exit under the policy: {:.2} -> {:.2}", mean_exit[0], mean_exit[1]);
        if let (Some(attackable), Some([float, stored])) = (attackable, success) {
            let _ = writeln!(
                text,
                "success: {} of {attackable} attackable images before rounding, {} as stored",
                percent(*float),
                percent(*stored)
            );
        }
        let _ = writeln!(
            text,
            "perturbation as stored, mean (max): linf {:.4} ({:.4}), l2 {:.3} ({:.3}), l1 {:.1} ({:.1})",
            size.mean.linf, size.max.linf, size.mean.l2, size.max.l2, size.mean.l1, size.max.l1
        );
        text
    }
}
