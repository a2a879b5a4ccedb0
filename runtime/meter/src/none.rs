//! The meter of those who ask for none.

use crate::{Description, Glance, Meter, MeterError, NotMeasured, Overhead, Reading};

/// Every reading is [`NotMeasured`].
#[derive(Clone, Debug)]
pub struct NoMeter {
    reason: NotMeasured,
    description: Description,
}

impl NoMeter {
    /// A meter that measures nothing because of `why`.
    pub fn because(why: impl Into<String>) -> Self {
        let reason = NotMeasured::energy(why);
        Self { description: Description::empty("none", reason.clone()), reason }
    }

    fn refuse<T>(&self) -> Result<T, MeterError> {
        Err(self.reason.clone().into())
    }
}

impl Default for NoMeter {
    fn default() -> Self {
        Self::because("no meter was asked for")
    }
}

impl Meter for NoMeter {
    fn description(&self) -> &Description {
        &self.description
    }

    fn calibrate(&mut self) -> Result<Overhead, MeterError> {
        self.refuse()
    }

    fn start(&mut self) -> Result<(), MeterError> {
        self.refuse()
    }

    fn stop(&mut self) -> Result<Reading, MeterError> {
        self.refuse()
    }

    fn glance(&mut self) -> Result<Vec<Glance>, MeterError> {
        self.refuse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_meter_gives_a_reason_and_never_zero() {
        let mut none = NoMeter::default();
        assert!(none.calibrate().is_err() && none.start().is_err() && none.glance().is_err());
        assert!(none.description().rails.is_empty() && none.description().total.is_err());
        insta::assert_snapshot!(
            none.stop().unwrap_err(),
            @"energy_j was not measured: no meter was asked for"
        );
    }
}
