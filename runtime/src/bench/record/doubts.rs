//! What makes windows doubtful, told once for all of them.

use super::Energy;

/// A rule by which windows do not count, or a flag of windows that do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// Whether such windows do not count.
    pub rejects: bool,
    /// The rule or the flag, as the first window has it.
    pub what: String,
    /// Whether others have other numbers in it.
    pub numbers_differ: bool,
    /// How many windows.
    pub windows: usize,
}

impl Energy {
    /// Causes that no bound is known for, which the intervals of some load leave out; each once.
    pub fn not_bounded(&self) -> Vec<&str> {
        let mut causes: Vec<&str> =
            self.loads.iter().flat_map(|load| &load.not_bounded).map(String::as_str).collect();
        causes.sort_unstable();
        causes.dedup();
        causes
    }

    /// Rules first, each with what is like it but for numbers; idle windows are among the windows.
    pub fn doubts(&self) -> Vec<Doubt> {
        let mut found: Vec<(String, Doubt)> = Vec::new();
        let mut note = |rejects: bool, what: &str| {
            let kind: String = what.chars().filter(|one| !one.is_ascii_digit() && *one != '.').collect();
            match found.iter_mut().find(|(known, doubt)| *known == kind && doubt.rejects == rejects) {
                Some((_, doubt)) => {
                    doubt.windows += 1;
                    doubt.numbers_differ |= doubt.what != what;
                }
                None => {
                    let what = what.to_owned();
                    found.push((kind, Doubt { rejects, what, numbers_differ: false, windows: 1 }));
                }
            }
        };
        for rule in self.idle_rejected.iter().flatten() {
            note(true, &format!("idle: {rule}"));
        }
        for window in &self.windows {
            window.rejected.iter().for_each(|rule| note(true, rule));
            window.flags.iter().for_each(|flag| note(false, flag));
        }
        found.sort_by_key(|(_, doubt)| !doubt.rejects);
        found.into_iter().map(|(_, doubt)| doubt).collect()
    }
}

impl std::fmt::Display for Doubt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let windows = if self.windows == 1 { "window" } else { "windows" };
        let verb = if self.rejects { "not counted" } else { "flagged" };
        let one = if self.numbers_differ { ", one of them" } else { "" };
        write!(f, "{} {windows} {verb}{one}: {}", self.windows, self.what)
    }
}
