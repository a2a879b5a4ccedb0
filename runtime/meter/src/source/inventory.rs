//! What a person sends in so that an unknown board can be known.

use std::path::{Path, PathBuf};

use super::{Host, tree};

/// Files that are worth reading in a folder of the kernel's hardware monitoring.
const HWMON: [&str; 5] = ["name", "samples", "update_interval", "oc1_event_cnt", "in0_lcrit_alarm"];

/// Every file that says how this machine's power is measured, with its first line: what to send in for an unknown board.
/// Contains no serial numbers and no host name. Files that may not be read are there with the reason.
pub fn inventory(host: &Host) -> Vec<(PathBuf, String)> {
    let sys = &host.sys;
    let mut files =
        vec![sys.join("firmware/devicetree/base/model"), sys.join("firmware/devicetree/base/compatible")];
    for chip in tree::entries(&sys.join("class/hwmon")) {
        files.extend(HWMON.iter().map(|name| chip.join(name)));
        let telling = |name: &str| {
            ["in", "curr", "power", "energy", "shunt"].iter().any(|kind| name.starts_with(kind))
                && ["_label", "_resistor", "_enable", "_input", "_average"]
                    .iter()
                    .any(|end| name.ends_with(end))
        };
        files.extend(tree::entries(&chip).into_iter().filter(|path| telling(&tree::name(path))));
    }
    for device in tree::entries(&sys.join("bus/i2c/drivers/ina3221x")) {
        for folder in tree::entries(&device).into_iter().filter(|path| tree::name(path).starts_with("iio")) {
            let telling = |name: &str| ["rail_name", "in_power"].iter().any(|start| name.starts_with(start));
            files.extend(tree::entries(&folder).into_iter().filter(|path| telling(&tree::name(path))));
        }
    }
    for zone in tree::entries(&sys.join("class/powercap")) {
        files.extend(["name", "energy_uj", "max_energy_range_uj"].map(|name| zone.join(name)));
    }
    files.into_iter().filter_map(|path| Some((path.clone(), content(&path)?))).collect()
}

fn content(path: &Path) -> Option<String> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => match std::fs::read(path) {
            Ok(_) => tree::text(path),
            Err(error) => Some(format!("({error})")),
        },
        _ => None,
    }
}
