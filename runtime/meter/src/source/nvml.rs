//! NVIDIA graphics processors: the energy counter where there is one, else power at a moment.

mod library;

use std::path::Path;
use std::time::Duration;

use super::{Found, board};
use crate::probe::{Lost, Probe, Sample};
use crate::{Description, Joules, MeterError, NotMeasured, Quantity, Rail, TotalRule, Watts};

use library::{Code, Gpus, Library};

/// How often the counter moves on data centre processors.
/// Source: ml.energy, "Thermally stable profiling for accurate GPU energy measurement".
const COUNTER_UPDATE: Duration = Duration::from_millis(100);

/// `GetPowerUsage` of Ampere and later, GA100 excepted, is a mean over a second.
/// Source: NVML reference, `nvmlDeviceGetPowerUsage`.
const AVERAGED: Duration = Duration::from_secs(1);

pub(super) fn find(library: Option<&Path>) -> Result<Found, MeterError> {
    let Some(path) = library else {
        return Err(NotMeasured::energy("NVML is not looked for beside a copied /sys").into());
    };
    let library = Library::open(path).map_err(|reason| NotMeasured::energy(reason.to_string()))?;
    Ok(of(Box::new(library))?)
}

/// What one processor gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Counter,
    Instant,
    Usage,
}

fn of(gpus: Box<dyn Gpus>) -> Result<Found, NotMeasured> {
    let count =
        gpus.count().map_err(|code| NotMeasured::energy(format!("NVML counts no processors: {code}")))?;
    let (mut rails, mut sources) = (Vec::new(), Vec::new());
    let mut refusals = Vec::new();
    for gpu in 0..count {
        match best(gpus.as_ref(), gpu) {
            Ok(source) => {
                rails.push(rail(gpus.as_ref(), gpu, source));
                sources.push((gpu, source));
            }
            Err(code) => refusals.push(format!("processor {gpu} tells no energy and no power: {code}")),
        }
    }
    if rails.is_empty() {
        let why = if count == 0 { "NVML finds no processor".to_owned() } else { refusals.join("; ") };
        return Err(NotMeasured::energy(why));
    }
    board::tell_apart(&mut rails);
    let mut notes = refusals;
    if sources.iter().any(|(_, source)| *source != Source::Counter) {
        notes.push(
            "A100 and H100 measure power a quarter of the time only: vary the phase, measure long".to_owned(),
        );
    }
    let names: Vec<_> = rails.iter().map(|rail| rail.name.as_str()).collect();
    let rule = TotalRule::sum_of(&names, &rails, "NVML: processors are separate boards");
    let total = rule.map_err(|error| NotMeasured::energy(error.to_string()));
    let sampled = sources.iter().any(|(_, source)| *source != Source::Counter);
    let period = if sampled { Duration::from_millis(20) } else { Duration::from_secs(1) };
    let description = Description { source: "nvml".to_owned(), rails, total, period, notes };
    Ok(Found { description, probe: Box::new(Processors { gpus, sources }) })
}

fn best(gpus: &dyn Gpus, gpu: u32) -> Result<Source, Code> {
    let counter = gpus.energy_mj(gpu).map(|_| Source::Counter);
    counter
        .or_else(|_| gpus.instant_mw(gpu).map(|_| Source::Instant))
        .or_else(|_| gpus.usage_mw(gpu).map(|_| Source::Usage))
}

fn rail(gpus: &dyn Gpus, gpu: u32, source: Source) -> Rail {
    let name = gpus.name(gpu).map_or_else(|_| format!("gpu{gpu}"), |name| format!("gpu{gpu} {name}"));
    let (function, quantity) = match source {
        Source::Counter => ("nvmlDeviceGetTotalEnergyConsumption", Quantity::Counter),
        Source::Instant => ("NVML_FI_DEV_POWER_INSTANT", Quantity::Power),
        Source::Usage => ("nvmlDeviceGetPowerUsage", Quantity::Power),
    };
    Rail {
        update: Some(COUNTER_UPDATE),
        time_constant: match source {
            Source::Counter => Some(Duration::ZERO),
            Source::Instant => None,
            Source::Usage => Some(AVERAGED),
        },
        step: (quantity == Quantity::Power).then_some(Watts(1e-3)),
        counter_range: None::<Joules>,
        plausible: [Watts(0.0), Watts(5000.0)],
        ..Rail::new(name, function, quantity)
    }
}

struct Processors {
    gpus: Box<dyn Gpus>,
    sources: Vec<(u32, Source)>,
}

impl Probe for Processors {
    fn read(&mut self, row: &mut [Result<Sample, Lost>]) {
        for ((gpu, source), entry) in self.sources.iter().zip(row) {
            let milli = match source {
                Source::Counter => self.gpus.energy_mj(*gpu),
                Source::Instant => self.gpus.instant_mw(*gpu).map(u64::from),
                Source::Usage => self.gpus.usage_mw(*gpu).map(u64::from),
            };
            *entry = milli.map_err(Lost::from).and_then(|milli| {
                let value = i64::try_from(milli).ok().and_then(|milli| milli.checked_mul(1000));
                Ok(Sample { value: value.ok_or(Lost::Implausible)?, step: Some(1000) })
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Processors of which each gives what its entry says.
    struct Fake(Vec<[Result<u64, Code>; 3]>);

    impl Gpus for Fake {
        fn count(&self) -> Result<u32, Code> {
            Ok(self.0.len() as u32)
        }

        fn name(&self, gpu: u32) -> Result<String, Code> {
            Ok(format!("Card {gpu}"))
        }

        fn energy_mj(&self, gpu: u32) -> Result<u64, Code> {
            self.0[gpu as usize][0]
        }

        fn instant_mw(&self, gpu: u32) -> Result<u32, Code> {
            self.0[gpu as usize][1].map(|value| value as u32)
        }

        fn usage_mw(&self, gpu: u32) -> Result<u32, Code> {
            self.0[gpu as usize][2].map(|value| value as u32)
        }
    }

    const NO: Result<u64, Code> = Err(Code::NOT_SUPPORTED);

    #[test]
    fn the_energy_counter_is_preferred_then_instant_power_then_the_mean() {
        let cards = vec![[Ok(5_000), Ok(1), Ok(2)], [NO, Ok(60_000), Ok(2)], [NO, NO, Ok(70_000)], [NO; 3]];
        let mut found = of(Box::new(Fake(cards))).unwrap();
        let origins: Vec<_> = found.description.rails.iter().map(|rail| rail.origin.as_str()).collect();
        assert_eq!(
            origins,
            ["nvmlDeviceGetTotalEnergyConsumption", "NVML_FI_DEV_POWER_INSTANT", "nvmlDeviceGetPowerUsage"]
        );
        assert_eq!(found.description.rails[2].time_constant, Some(Duration::from_secs(1)));
        let mut row = vec![Err(Lost::Failed); 3];
        found.probe.read(&mut row);
        let values: Vec<_> = row.iter().map(|entry| entry.unwrap().value).collect();
        assert_eq!(values, [5_000_000, 60_000_000, 70_000_000]);
    }

    #[test]
    fn a_processor_that_supports_nothing_is_not_measured() {
        let error = of(Box::new(Fake(vec![[NO; 3]]))).unwrap_err();
        insta::assert_snapshot!(error.why, @"processor 0 tells no energy and no power: not supported");
        insta::assert_snapshot!(of(Box::new(Fake(Vec::new()))).unwrap_err().why, @"NVML finds no processor");
    }

    #[test]
    fn a_library_that_is_not_there_is_a_reason_and_no_failure() {
        let error = find(Some(Path::new("libnvidia-ml-that-is-not-there.so"))).unwrap_err();
        assert!(matches!(&error, MeterError::NotMeasured(_)), "{error}");
        assert!(error.to_string().contains("libnvidia-ml-that-is-not-there.so"), "{error}");
    }
}
