//! What a board is set to and what it does to itself: power mode, clock pins, temperatures, throttling.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Flag;
use crate::source::Host;
use crate::source::tree;

/// A board's state at a moment. What it does not tell is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BoardState {
    /// What the board calls itself.
    pub model: Option<String>,
    /// Jetson's power mode, as the service wrote it.
    pub power_mode: Option<String>,
    /// Lowest and highest clock that is allowed, and who chooses, by the name of the clock.
    pub clocks: BTreeMap<String, Clock>,
    /// Degrees Celsius, by zone. Zones of parts that are switched off are absent.
    pub temperatures_c: BTreeMap<String, f64>,
    /// Counters and alarms of throttling, by name. Counters only rise.
    pub throttling: BTreeMap<String, u64>,
}

/// What a clock is pinned to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Lowest that is allowed, in the unit of the file.
    pub min: Option<u64>,
    /// Highest that is allowed.
    pub max: Option<u64>,
    /// Who chooses between them.
    pub governor: Option<String>,
}

/// What is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Change {
    /// Another power mode.
    PowerMode {
        /// Before; empty where it was unknown.
        from: String,
        /// After.
        to: String,
    },
    /// Other limits of a clock, or another governor.
    Clock {
        /// Its name.
        clock: String,
        /// Before.
        from: String,
        /// After.
        to: String,
    },
    /// Throttling that was counted.
    Throttled {
        /// The counter.
        counter: String,
        /// By how much it rose.
        events: u64,
    },
}

impl Change {
    /// Whether a window in which this happened says nothing about the board as it was set up.
    ///
    /// Over-current by peaks (`oc3`) ticks on boards that are well and lasts a millisecond: it is noted, not held against a
    /// window. Source: reports of Orin boards in MAXN_SUPER.
    pub fn spoils(&self) -> bool {
        !matches!(self, Self::Throttled { counter, .. } if counter.contains("oc3"))
    }

    /// The same as a flag of a reading.
    pub fn flag(&self) -> Flag {
        match self {
            Self::Throttled { counter, events } => {
                Flag::Throttled { counter: counter.clone(), events: *events }
            }
            other => Flag::StateChanged { change: other.to_string() },
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PowerMode { from, to } => write!(f, "power mode {from:?} -> {to:?}"),
            Self::Clock { clock, from, to } => write!(f, "{clock} {from} -> {to}"),
            Self::Throttled { counter, events } => write!(f, "{counter} went up by {events}"),
        }
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: Option<u64>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
        let governor = self.governor.as_deref().unwrap_or("?");
        write!(f, "{}..{} ({governor})", number(self.min), number(self.max))
    }
}

impl BoardState {
    /// Reads the state of `host`.
    pub fn read(host: &Host) -> Self {
        let sys = &host.sys;
        Self {
            model: tree::text(&sys.join("firmware/devicetree/base/model"))
                .or_else(|| tree::text(&sys.join("class/dmi/id/product_name"))),
            power_mode: host.power_mode.as_deref().and_then(tree::text),
            clocks: clocks(host),
            temperatures_c: temperatures(host),
            throttling: throttling(host),
        }
    }

    /// What differs from `before`, temperatures aside: those always do.
    pub fn changes_since(&self, before: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        if self.power_mode != before.power_mode {
            let shown = |mode: &Option<String>| mode.clone().unwrap_or_default();
            changes.push(Change::PowerMode { from: shown(&before.power_mode), to: shown(&self.power_mode) });
        }
        let names =
            before.clocks.keys().chain(self.clocks.keys().filter(|name| !before.clocks.contains_key(*name)));
        for name in names {
            let (from, to) = (before.clocks.get(name), self.clocks.get(name));
            if from != to {
                let shown =
                    |clock: Option<&Clock>| clock.map_or_else(|| "absent".to_owned(), Clock::to_string);
                changes.push(Change::Clock { clock: name.clone(), from: shown(from), to: shown(to) });
            }
        }
        for (counter, now) in &self.throttling {
            let events = now.saturating_sub(before.throttling.get(counter).copied().unwrap_or(0));
            if events > 0 {
                changes.push(Change::Throttled { counter: counter.clone(), events });
            }
        }
        changes
    }
}

fn clocks(host: &Host) -> BTreeMap<String, Clock> {
    let mut found = BTreeMap::new();
    for policy in tree::entries(&host.sys.join("devices/system/cpu/cpufreq")) {
        let clock = Clock {
            min: tree::number(&policy.join("scaling_min_freq")),
            max: tree::number(&policy.join("scaling_max_freq")),
            governor: tree::text(&policy.join("scaling_governor")),
        };
        if clock.max.is_some() {
            found.insert(format!("cpufreq/{}", tree::name(&policy)), clock);
        }
    }
    for device in tree::entries(&host.sys.join("class/devfreq")) {
        let clock = Clock {
            min: tree::number(&device.join("min_freq")),
            max: tree::number(&device.join("max_freq")),
            governor: tree::text(&device.join("governor")),
        };
        if clock.max.is_some() {
            found.insert(format!("devfreq/{}", tree::name(&device)), clock);
        }
    }
    found
}

fn temperatures(host: &Host) -> BTreeMap<String, f64> {
    let zones = tree::entries(&host.sys.join("class/thermal"));
    let read = zones.iter().filter_map(|zone| {
        let kind = tree::text(&zone.join("type"))?;
        let milli: f64 = tree::number(&zone.join("temp"))?;
        // A part that is switched off reads -256.
        (milli > -200_000.0).then_some((format!("{}/{kind}", tree::name(zone)), milli / 1000.0))
    });
    read.collect()
}

fn throttling(host: &Host) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for chip in tree::entries(&host.sys.join("class/hwmon")) {
        let events: &[&str] = match tree::text(&chip.join("name")).as_deref() {
            Some("soctherm_oc") => &["oc1_event_cnt", "oc2_event_cnt", "oc3_event_cnt"],
            // Raspberry Pi: whether its supply was too weak since it was last asked.
            Some("rpi_volt") => &["in0_lcrit_alarm"],
            _ => continue,
        };
        for name in events {
            if let Some(count) = tree::number(&chip.join(name)) {
                found.insert((*name).to_owned(), count);
            }
        }
    }
    for cpu in tree::entries(&host.sys.join("devices/system/cpu")) {
        for name in ["core_throttle_count", "package_throttle_count"] {
            if let Some(count) = tree::number(&cpu.join("thermal_throttle").join(name)) {
                found.insert(format!("{}/{name}", tree::name(&cpu)), count);
            }
        }
    }
    found
}
