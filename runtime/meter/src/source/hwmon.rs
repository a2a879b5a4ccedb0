//! The kernel's hardware monitoring: power and energy files, and chips whose voltage and current make power.
//!
//! Units: `in<i>_input` mV, `curr<i>_input` mA, `power<i>_input` uW, `energy<i>_input` uJ.
//! Source: kernel documentation, `hwmon/sysfs-interface`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Found, board, tree, unreadable};
use crate::probe::{Channel, Files, NumberFile};
use crate::{Description, MeterError, NotMeasured, Quantity, Rail, Watts};

/// What a data sheet says about a chip whose driver leaves power to be computed.
struct Sheet {
    chip: &'static str,
    /// Voltage and current channels that belong together.
    pairs: &'static [(u32, u32)],
    volt_step_mv: f64,
    /// One step of the voltage over the shunt, in microvolts.
    shunt_step_uv: f64,
    offset_steps: f64,
    gain: f64,
}

/// Sources: TI SBOS576A (INA3221: 8 mV, 40 uV, offset 80 uV at most, gain 0.25 % at most); channels 4 to 7 of its driver
/// are shunt voltages and their sum, not rails.
const SHEETS: [Sheet; 1] = [Sheet {
    chip: "ina3221",
    pairs: &[(1, 1), (2, 2), (3, 3)],
    volt_step_mv: 8.0,
    shunt_step_uv: 40.0,
    offset_steps: 2.0,
    gain: 0.0025,
}];

/// One hwmon folder.
pub(super) struct Chip {
    pub folder: PathBuf,
    pub name: String,
}

/// Everything with power or energy.
pub(super) fn find(sys: &Path) -> Result<Found, MeterError> {
    let chips = chips(sys);
    let names: Vec<_> = chips.iter().map(|chip| chip.name.clone()).collect();
    open("hwmon", &chips)?.ok_or_else(|| {
        let why = if names.is_empty() {
            format!("{} has no sensors", sys.join("class/hwmon").display())
        } else {
            format!("no sensor has power or energy: {}", names.join(", "))
        };
        NotMeasured::energy(why).into()
    })
}

/// Folders of `class/hwmon`, else of the drivers that have no class there, each once.
pub(super) fn chips(sys: &Path) -> Vec<Chip> {
    let mut folders = tree::entries(&sys.join("class/hwmon"));
    if folders.is_empty() {
        let devices = ["ina3221", "ina238", "ina2xx"]
            .iter()
            .flat_map(|driver| tree::entries(&sys.join("bus/i2c/drivers").join(driver)));
        folders = devices.flat_map(|device| tree::entries(&device.join("hwmon"))).collect();
    }
    let named = folders.into_iter().filter_map(|folder| {
        let name = tree::text(&folder.join("name"))?;
        // What a USB supply has agreed to give is no measurement.
        (!name.starts_with("ucsi")).then_some(Chip { folder, name })
    });
    named.collect()
}

/// Opens every rail of `chips`; `None` when there is none. A rail that cannot be opened is left out and noted, unless there is no
/// other.
pub(super) fn open(source: &str, chips: &[Chip]) -> Result<Option<Found>, MeterError> {
    let (mut rails, mut channels, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    let mut refused = None;
    for chip in chips {
        let before = rails.len();
        for (rail, channel) in rails_of(chip) {
            match channel {
                Ok(channel) => {
                    rails.push(rail);
                    channels.push(channel);
                }
                Err(why) => {
                    notes.push(format!("{} is left out: {why}", rail.name));
                    refused.get_or_insert(why);
                }
            }
        }
        if let Some(samples) =
            tree::number::<u32>(&chip.folder.join("samples")).filter(|_| rails.len() > before)
        {
            notes.push(format!("{} averages {samples} samples", chip.name));
        }
    }
    if rails.is_empty() {
        return refused.map_or(Ok(None), Err);
    }
    let total = board::settle(&mut rails, &mut notes);
    let period = period(&rails);
    let description = Description { source: source.to_owned(), rails, total, period, notes };
    Ok(Some(Found { description, probe: Box::new(Files::new(channels)) }))
}

/// 100 Hz, as fast as files behind I2C can be read; a second where there are only counters.
pub(super) fn period(rails: &[Rail]) -> Duration {
    let sampled = rails.iter().any(|rail| rail.quantity == Quantity::Power);
    if sampled { Duration::from_millis(10) } else { Duration::from_secs(1) }
}

/// A rail, and what its files are or why they cannot be opened.
type Opened = (Rail, Result<Channel, MeterError>);

fn rails_of(chip: &Chip) -> Vec<Opened> {
    let folder = &chip.folder;
    let (time_constant, update) = timing(folder);
    let timed = |rail: Rail| Rail { time_constant, update, ..rail };
    let direct = |path: &Path| open_file(path).map(|file| Channel::Direct { file, scale: 1, step: None });
    let mut found: Vec<Opened> = Vec::new();
    let counters = tree::indices(folder, "energy", "_input");
    for index in &counters {
        let path = folder.join(format!("energy{index}_input"));
        let rail = timed(Rail::new(label(chip, "energy", *index), origin(&path), Quantity::Counter));
        found.push((rail, direct(&path)));
    }
    for suffix in ["_input", "_average"] {
        for index in tree::indices(folder, "power", suffix) {
            let both = suffix == "_average" && folder.join(format!("power{index}_input")).exists();
            // A counter of the same channel loses nothing between samples.
            if both || counters.contains(&index) {
                continue;
            }
            let path = folder.join(format!("power{index}{suffix}"));
            let mut rail = timed(Rail::new(label(chip, "power", index), origin(&path), Quantity::Power));
            if suffix == "_average" {
                let interval = tree::number(&folder.join(format!("power{index}_average_interval")));
                rail.time_constant = interval.filter(can_be).map(Duration::from_millis);
                rail.update = rail.time_constant;
            }
            rail.plausible = [Watts(-10.0), Watts(10_000.0)];
            found.push((rail, direct(&path)));
        }
    }
    if let Some(sheet) = SHEETS.iter().find(|sheet| sheet.chip == chip.name && found.is_empty()) {
        for (volt, amp) in sheet.pairs {
            let named = |what: &str| folder.join(what);
            let (volts, amps) = (named(&format!("in{volt}_input")), named(&format!("curr{amp}_input")));
            let name = label(chip, "in", *volt);
            let off = tree::text(&named(&format!("in{volt}_enable"))).is_some_and(|text| text == "0");
            if off || name == "NC" || !volts.exists() || !amps.exists() {
                continue;
            }
            let shunt: Option<f64> = tree::number(&named(&format!("shunt{amp}_resistor")));
            let amp_step = shunt.filter(|ohms| *ohms > 0.0).map(|micro| sheet.shunt_step_uv / micro * 1e3);
            let rail = Rail {
                offset_steps: Some(sheet.offset_steps),
                gain: Some(sheet.gain),
                plausible: [Watts(-10.0), Watts(1000.0)],
                ..timed(Rail::new(name, origin(&amps), Quantity::Power))
            };
            let steps = amp_step.map(|amp_step| (sheet.volt_step_mv, amp_step));
            let both = open_file(&volts).and_then(|volts| Ok((volts, open_file(&amps)?)));
            found.push((rail, both.map(|(volts, amps)| Channel::Product { volts, amps, steps })));
        }
    }
    found
}

/// Time constant and time between new values of a chip's averaging filter.
///
/// `update_interval` is one whole averaging cycle in milliseconds, all `samples` of it. The filter takes the difference to
/// a new value divided by `samples`, so that cycle is its time constant.
/// Source: kernel documentation, `hwmon/ina3221`; TI SBOS576A.
fn timing(folder: &Path) -> (Option<Duration>, Option<Duration>) {
    let interval: Option<u64> = tree::number(&folder.join("update_interval"));
    let interval = interval.filter(can_be).map(Duration::from_millis);
    let samples: u32 = tree::number(&folder.join("samples")).unwrap_or(1);
    (interval, interval.map(|interval| interval / samples.max(1)))
}

/// Whether a filter can take so many milliseconds: an hour at most, or the file says something else.
fn can_be(interval_ms: &u64) -> bool {
    (1..=3_600_000).contains(interval_ms)
}

/// The label of a channel: its own, that of the chip's bus voltage, or a name that says where it is.
fn label(chip: &Chip, kind: &str, index: u32) -> String {
    let of = |file: String| tree::text(&chip.folder.join(file));
    of(format!("{kind}{index}_label"))
        .or_else(|| of(format!("in{index}_label")))
        .or_else(|| of(format!("curr{index}_label")))
        .unwrap_or_else(|| format!("{}.{kind}{index}", chip.name))
}

fn open_file(path: &Path) -> Result<NumberFile, MeterError> {
    NumberFile::open(path).map_err(|source| unreadable(path, source))
}

fn origin(path: &Path) -> String {
    path.display().to_string()
}
