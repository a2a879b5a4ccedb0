//! Shunt monitors of Jetson boards: INA3221 under JetPack 4 (iio) and later (hwmon), INA238 on Thor.

use std::path::Path;

use super::{Found, board, hwmon, tree, unreadable};
use crate::probe::{Channel, Files, NumberFile};
use crate::{Description, MeterError, NotMeasured, Quantity, Rail, Watts};

pub(super) fn find(sys: &Path) -> Result<Found, MeterError> {
    let mut chips = hwmon::chips(sys);
    chips.retain(|chip| chip.name.starts_with("ina"));
    if let Some(found) = hwmon::open("ina", &chips)? {
        return Ok(found);
    }
    iio(sys)?.ok_or_else(|| {
        let place = sys.join("class/hwmon");
        let driver = sys.join("bus/i2c/drivers/ina3221x");
        let why = format!("no shunt monitor in {} or {}", place.display(), driver.display());
        NotMeasured::energy(why).into()
    })
}

/// JetPack 4: `rail_name_<i>` and `in_power<i>_input` in **milliwatts**, counted from 0.
/// Source: NVIDIA's L4T 32 driver `ina3221x`.
fn iio(sys: &Path) -> Result<Option<Found>, MeterError> {
    let (mut rails, mut channels) = (Vec::new(), Vec::new());
    for device in tree::entries(&sys.join("bus/i2c/drivers/ina3221x")) {
        for folder in tree::entries(&device) {
            if !tree::name(&folder).starts_with("iio") {
                continue;
            }
            for index in 0..3 {
                let named = |file: String| tree::text(&folder.join(file));
                let label =
                    named(format!("rail_name_{index}")).or_else(|| named(format!("rail_name{index}")));
                let path = folder.join(format!("in_power{index}_input"));
                let Some(label) = label.filter(|label| label != "NC" && path.exists()) else { continue };
                let file = NumberFile::open(&path).map_err(|source| unreadable(&path, source))?;
                let rail = Rail {
                    plausible: [Watts(-10.0), Watts(1000.0)],
                    // The driver rounds to milliwatts and does not tell the shunt, so its true step is unknown.
                    step: None,
                    ..Rail::new(label, path.display().to_string(), Quantity::Power)
                };
                rails.push(rail);
                channels.push(Channel::Direct { file, scale: 1000, step: None });
            }
        }
    }
    if rails.is_empty() {
        return Ok(None);
    }
    let mut notes = vec!["this driver tells neither its averaging nor its shunts".to_owned()];
    let total = board::settle(&mut rails, &mut notes);
    let period = hwmon::period(&rails);
    let description = Description { source: "ina".to_owned(), rails, total, period, notes };
    Ok(Some(Found { description, probe: Box::new(Files::new(channels)) }))
}
