//! Which channels of a device are power, and which of those make up what is measured.
//!
//! A rail may lie within another, or be the same one measured twice: nothing in a hello tells. So a device of several rails has
//! no total until somebody names the rails that may be added.

use offramp_wire::{Hello, Quantity};

/// One thing whose power a device sends: a channel of watts, or one of volts with one of amperes right behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PowerRail {
    label: String,
    channels: Channels,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channels {
    Watts(usize),
    Product { volts: usize, amperes: usize },
}

/// No rails that can be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RailsError {
    /// Nothing of what the device sends is power.
    #[error("it sends no power: no channel of watts, and none of volts with one of amperes right behind it")]
    NoPower,
    /// Several rails, and nobody said which may be added.
    #[error("it has the rails {}: they may lie within each other, so it must be said which are added", found.join(", "))]
    Several {
        /// Their labels.
        found: Vec<String>,
    },
    /// No rail of that name.
    #[error("it has no rail {wanted:?} among {}", found.join(", "))]
    Missing {
        /// What was asked for.
        wanted: String,
        /// The labels that there are.
        found: Vec<String>,
    },
}

impl PowerRail {
    /// All rails of a device, by its channels.
    #[must_use]
    pub fn all(hello: &Hello) -> Vec<Self> {
        let quantity = |channel: usize| hello.channels.get(channel).map(|channel| channel.quantity);
        let rail = |(at, channel): (usize, &offramp_wire::Channel)| {
            let channels = match channel.quantity {
                Quantity::Power => Channels::Watts(at),
                Quantity::Voltage if quantity(at + 1) == Some(Quantity::Current) => {
                    Channels::Product { volts: at, amperes: at + 1 }
                }
                _ => return None,
            };
            Some(Self { label: channel.label.as_str().to_owned(), channels })
        };
        hello.channels.iter().enumerate().filter_map(rail).collect()
    }

    /// The rails of a device that are called as `wanted` has it; its only one where nothing is wanted.
    ///
    /// # Errors
    /// [`RailsError`].
    pub fn choose(hello: &Hello, wanted: &[String]) -> Result<Vec<Self>, RailsError> {
        let all = Self::all(hello);
        let labels = || all.iter().map(|rail| rail.label.clone()).collect();
        match (&all[..], wanted) {
            ([], _) => Err(RailsError::NoPower),
            ([_], []) => Ok(all),
            (_, []) => Err(RailsError::Several { found: labels() }),
            _ => {
                if let Some(missing) =
                    wanted.iter().find(|wanted| !all.iter().any(|rail| rail.label == **wanted))
                {
                    return Err(RailsError::Missing { wanted: missing.clone(), found: labels() });
                }
                Ok(all.into_iter().filter(|rail| wanted.contains(&rail.label)).collect())
            }
        }
    }

    /// What the device calls it: the label of its channel of watts or of volts.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Its power in one sample, in watts, and what one count of it is.
    fn power(&self, sample: &[i32], scales: &[u32]) -> (f64, f64) {
        // Batches of other channels than the hello's do not come here.
        let of = |channel: usize| {
            let unit = scales.get(channel).map_or(0.0, |scale| f64::from(*scale) * 1e-9);
            (sample.get(channel).map_or(0.0, |raw| f64::from(*raw)) * unit, unit)
        };
        match self.channels {
            Channels::Watts(channel) => of(channel),
            Channels::Product { volts, amperes } => {
                let ((volts, volt), (amperes, ampere)) = (of(volts), of(amperes));
                (volts * amperes, (volts * ampere).abs() + (amperes * volt).abs())
            }
        }
    }
}

/// The sum of `rails` in one sample, in watts, and of what one count of each is.
pub(crate) fn power(rails: &[PowerRail], sample: &[i32], scales: &[u32]) -> (f64, f64) {
    let each = rails.iter().map(|rail| rail.power(sample, scales));
    each.fold((0.0, 0.0), |(watts, step), (more, other)| (watts + more, step + other))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use offramp_wire::{Abilities, Channel};

    /// What a device with such channels says.
    pub(crate) fn hello(channels: &[(Quantity, &str)]) -> Hello {
        let channel = |(quantity, label): &(Quantity, &str)| Channel {
            quantity: *quantity,
            scale_nano: 1,
            label: (*label).try_into().unwrap(),
        };
        Hello {
            abilities: Abilities::default(),
            tick_hz: 1_000_000,
            rate_millihz: 0,
            boot: 0,
            image_bytes: 0,
            name: "".try_into().unwrap(),
            serial: "".try_into().unwrap(),
            channels: channels.iter().map(channel).collect(),
        }
    }

    use Quantity::{Current, Power, Voltage};

    #[test]
    fn volts_times_amperes_side_by_side_are_power() {
        let scales = [1_000_000, 1_000_000, 1_000_000_000];
        let with = |channels: &[(Quantity, &str)]| {
            power(&PowerRail::all(&hello(channels)), &[5000, 2000, 3], &scales).0
        };
        assert!((with(&[(Voltage, "IN"), (Current, "I")]) - 10.0).abs() < 1e-9);
        assert!((with(&[(Voltage, "IN"), (Power, "P"), (Current, "I")]) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_device_that_sends_no_power_is_no_meter() {
        for channels in [&[][..], &[(Current, "I")], &[(Current, "I"), (Voltage, "V")], &[(Voltage, "V")]] {
            let refused = PowerRail::choose(&hello(channels), &[]).unwrap_err();
            assert_eq!(refused, RailsError::NoPower, "{channels:?}");
        }
    }

    #[test]
    fn one_rail_is_the_total_and_of_several_only_those_that_are_named() {
        // One supply three times over: its power is not the sum of its own product and itself.
        let thrice = hello(&[(Voltage, "VIN"), (Current, "I"), (Power, "P")]);
        let found = || vec!["VIN".to_owned(), "P".to_owned()];
        let choose = |wanted: &[&str]| {
            let wanted: Vec<_> = wanted.iter().map(ToString::to_string).collect();
            PowerRail::choose(&thrice, &wanted)
        };
        assert_eq!(choose(&[]), Err(RailsError::Several { found: found() }));
        assert_eq!(choose(&["VDD"]), Err(RailsError::Missing { wanted: "VDD".to_owned(), found: found() }));
        let power = |wanted| power(&choose(wanted).unwrap(), &[5, 2, 10], &[1_000_000_000; 3]).0;
        assert_eq!((power(&["P"]), power(&["VIN"]), power(&["VIN", "P"])), (10.0, 10.0, 20.0));
        let alone = hello(&[(Voltage, "VIN"), (Current, "I")]);
        assert_eq!(PowerRail::choose(&alone, &[]).unwrap()[0].label(), "VIN");
    }
}
