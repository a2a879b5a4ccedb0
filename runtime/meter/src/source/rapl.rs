//! The processor's energy counters, by the kernel's power capping interface.
//!
//! `energy_uj` counts microjoules and goes round at `max_energy_range_uj`. A zone's parts are folders named after it
//! (`intel-rapl:0:1` lies in `intel-rapl:0`); `psys` contains the packages.
//! Source: kernel documentation, `power/powercap/powercap`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Found, board, tree, unreadable};
use crate::probe::{Channel, Files, NumberFile};
use crate::{Description, Joules, MeterError, NotMeasured, Quantity, Rail, TotalRule, Watts};

/// Many times what lies between two values of a counter.
const LOOK: Duration = Duration::from_millis(50);

struct Zone {
    /// `intel-rapl:0:1`.
    id: String,
    /// `package-0`, `core`.
    name: String,
    folder: PathBuf,
}

pub(super) fn find(sys: &Path) -> Result<Found, MeterError> {
    let places = [sys.join("class/powercap"), sys.join("devices/virtual/powercap/intel-rapl")];
    let zones = places.iter().map(|place| zones(place)).find(|zones| !zones.is_empty());
    let zones = zones.ok_or_else(|| {
        NotMeasured::energy(format!(
            "{} has no RAPL zones (no processor counters, or a virtual machine)",
            places[0].display()
        ))
    })?;
    let (mut rails, mut channels) = (Vec::new(), Vec::new());
    for zone in &zones {
        let path = zone.folder.join("energy_uj");
        let file = NumberFile::open(&path).map_err(|source| refused(&places[0], &path, source))?;
        let range: Option<f64> = tree::number(&zone.folder.join("max_energy_range_uj"));
        rails.push(Rail {
            counter_range: range.filter(|range| *range > 0.0).map(|range| Joules(range * 1e-6)),
            // Recalled, not in the kernel's documentation: about a millisecond between two values.
            update: Some(Duration::from_millis(1)),
            time_constant: Some(Duration::ZERO),
            plausible: [Watts(0.0), Watts(2000.0)],
            ..Rail::new(full_name(zone, &zones), path.display().to_string(), Quantity::Counter)
        });
        channels.push(Channel::Direct { file, scale: 1, step: Some(61) });
    }
    for (at, zone) in zones.iter().enumerate() {
        rails[at].within = whole(zone, &zones).map(|whole| full_name(whole, &zones));
    }
    board::tell_apart(&mut rails);
    let mut notes = Vec::new();
    let still = psys_stands_still(&zones);
    if still {
        notes.push("psys stands still while packages count: it is not wired, and no total".to_owned());
    }
    let total = total(&rails, still);
    if total.is_ok() && zones.iter().any(|zone| zone.name == "dram") {
        notes.push("memory has a rail of its own (dram), which the total leaves out".to_owned());
    }
    // Far below the time in which the smallest range goes round at the largest plausible power.
    let period = Duration::from_secs(1);
    let description = Description { source: "rapl".to_owned(), rails, total, period, notes };
    Ok(Found { description, probe: Box::new(Files::new(channels)) })
}

/// Every zone of `place` and, where parts are nested as folders, the zones inside.
fn zones(place: &Path) -> Vec<Zone> {
    let mut found: Vec<Zone> = Vec::new();
    let mut waiting = tree::entries(place);
    waiting.reverse();
    while let Some(folder) = waiting.pop() {
        let id = tree::name(&folder);
        // `intel-rapl-mmio` shows the same counters again.
        if !id.starts_with("intel-rapl:") || found.iter().any(|zone| zone.id == id) {
            continue;
        }
        let mut inside = tree::entries(&folder);
        inside.reverse();
        waiting.extend(inside);
        if let Some(name) = tree::text(&folder.join("name")) {
            found.push(Zone { id, name, folder });
        }
    }
    found.sort_by(|a, b| a.id.cmp(&b.id));
    found
}

/// The zone that `zone` lies in, by its name; packages lie in `psys`. `dram` is beside its package, whatever the folders say:
/// memory draws its power elsewhere (Intel SDM, volume 3, "RAPL domains").
fn whole<'a>(zone: &Zone, zones: &'a [Zone]) -> Option<&'a Zone> {
    let psys = || zones.iter().find(|other| other.name == "psys" && other.id != zone.id);
    let parent = zone.id.rsplit_once(':').and_then(|(id, _)| zones.iter().find(|other| other.id == id));
    match parent {
        Some(parent) if zone.name != "dram" => Some(parent),
        _ => psys(),
    }
}

/// A part is named with its package: `package-0.core`.
fn full_name(zone: &Zone, zones: &[Zone]) -> String {
    let parent = zone.id.rsplit_once(':').and_then(|(id, _)| zones.iter().find(|other| other.id == id));
    parent.map_or_else(|| zone.name.clone(), |parent| format!("{}.{}", parent.name, zone.name))
}

/// Whether the platform's counter does not move while that of a package does: boards show it whether it is wired or not.
fn psys_stands_still(zones: &[Zone]) -> bool {
    let read = |zone: &Zone| tree::number::<u64>(&zone.folder.join("energy_uj"));
    let before: Vec<_> = zones.iter().map(read).collect();
    if !zones.iter().any(|zone| zone.name == "psys") {
        return false;
    }
    std::thread::sleep(LOOK);
    let moved = zones.iter().zip(before).filter(|(zone, before)| read(zone) != *before);
    let moved: Vec<_> = moved.map(|(zone, _)| zone.name.as_str()).collect();
    moved.iter().any(|name| name.starts_with("package-")) && !moved.contains(&"psys")
}

/// The platform where it is counted, else all packages.
fn total(rails: &[Rail], psys_stands_still: bool) -> Result<TotalRule, NotMeasured> {
    let named = |wanted: fn(&str) -> bool| -> Vec<_> {
        rails.iter().map(|rail| rail.name.as_str()).filter(|name| wanted(name)).collect()
    };
    let psys = named(|name| name == "psys");
    let names = if psys.is_empty() || psys_stands_still {
        named(|name| name.starts_with("package-") && !name.contains('.'))
    } else {
        psys
    };
    TotalRule::sum_of(&names, rails, "kernel documentation, power/powercap")
        .map_err(|_| NotMeasured::energy("RAPL has no zone of a package or of the platform"))
}

/// The counters are root's since they were shown to leak secrets (PLATYPUS, 2020).
fn refused(place: &Path, path: &Path, source: std::io::Error) -> MeterError {
    if source.kind() == std::io::ErrorKind::PermissionDenied {
        let remedy = format!("sudo chmod a+r {}/intel-rapl:*/energy_uj", place.display());
        return MeterError::NoRight { path: path.to_owned(), remedy, source };
    }
    unreadable(path, source)
}
