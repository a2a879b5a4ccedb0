//! The processor that this program runs on.

use std::num::NonZero;

/// What the engines' choices depend on.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Processor {
    /// The architecture, `x86_64` say.
    pub architecture: &'static str,
    /// The maker's name of it, where the system tells.
    pub brand: Option<String>,
    /// Instruction sets, sorted, in the system's words.
    pub features: Vec<String>,
    /// Threads that this process may run at once.
    pub threads: usize,
}

impl Processor {
    /// The processor of this machine. Source: `/proc/cpuinfo`, where there is one.
    pub fn here() -> Self {
        let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |names: &[&str]| {
            let mut lines = text.lines().filter_map(|line| line.split_once(':'));
            lines.find(|(name, _)| names.contains(&name.trim())).map(|(_, value)| value.trim().to_owned())
        };
        let features = field(&["flags", "Features"]).unwrap_or_default();
        let mut features: Vec<String> = features.split_whitespace().map(str::to_owned).collect();
        features.sort_unstable();
        Self {
            architecture: std::env::consts::ARCH,
            brand: field(&["model name", "CPU part"]),
            features,
            threads: std::thread::available_parallelism().map_or(1, NonZero::get),
        }
    }
}

/// One line, as reports name a machine.
impl std::fmt::Display for Processor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { architecture, brand, threads, .. } = self;
        let brand = brand.as_deref().unwrap_or("of unknown make");
        write!(f, "{architecture} {brand}, {threads} threads, {}", std::env::consts::OS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_processor_with_sorted_features() {
        let here = Processor::here();
        assert!(here.threads >= 1);
        assert!(here.features.is_sorted());
        assert_eq!(here, Processor::here());
    }
}
