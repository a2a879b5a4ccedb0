//! A serial meter behind the runtime's trait.

use std::thread;
use std::time::{Duration, Instant};

use offramp_meter::{Description, Glance, Meter, MeterError, NotMeasured, Overhead, Reading};

use crate::measurement::Measurement;
use crate::rails::PowerRail;
use crate::reading;
use crate::recorder::{Recorder, Window};

/// A [`Recorder`] as the runtime's [`Meter`].
#[derive(Debug)]
pub struct SerialMeter {
    recorder: Recorder,
    description: Description,
    window: Option<(Window, Instant)>,
    last: Option<Measurement>,
}

impl SerialMeter {
    /// A meter that reads `recorder`.
    #[must_use]
    pub fn new(recorder: Recorder) -> Self {
        let rails = recorder.rails();
        let labels: Vec<_> = rails.iter().map(PowerRail::label).collect();
        let rail = format!("{}: {}", recorder.name(), labels.join(" + "));
        let description = reading::describe("serial", rail, recorder.name(), recorder.period());
        Self { recorder, description, window: None, last: None }
    }

    /// Everything that is known of the last window; a [`Reading`] has less.
    #[must_use]
    pub fn last(&self) -> Option<&Measurement> {
        self.last.as_ref()
    }

    /// What is read.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }
}

impl Meter for SerialMeter {
    fn description(&self) -> &Description {
        &self.description
    }

    /// Records for half a second and sees what that took of this machine's processor.
    fn calibrate(&mut self) -> Result<Overhead, MeterError> {
        if self.window.is_some() {
            return Err(MeterError::WindowOpen);
        }
        let (busy, (taken, _), begin) = (self.recorder.busy(), self.recorder.samples(), Instant::now());
        while begin.elapsed() < Duration::from_millis(500) {
            thread::sleep(Duration::from_millis(20));
        }
        let (spent, (now, _)) = (self.recorder.busy().saturating_sub(busy), self.recorder.samples());
        Ok(reading::overhead(spent, now.saturating_sub(taken), begin.elapsed()))
    }

    fn start(&mut self) -> Result<(), MeterError> {
        self.window = Some((self.recorder.begin(), Instant::now()));
        Ok(())
    }

    fn stop(&mut self) -> Result<Reading, MeterError> {
        let (window, begun) = self.window.take().ok_or(MeterError::NotStarted)?;
        let length = begun.elapsed();
        // A wire may end a window elsewhere than whoever counts what happened in it.
        let measured = match self.recorder.end_now(window) {
            Ok(measured) => measured,
            Err(error) => {
                let energy = Err(NotMeasured::energy(error.to_string()));
                return Ok(reading::bare(&self.description, length, energy));
            }
        };
        let period = self.recorder.period();
        let seconds = |seconds: f64| Duration::from_secs_f64(seconds.max(0.0));
        let reading = reading::Window {
            energy_j: measured.energy_j,
            length: seconds(measured.window_s),
            resolution_j: measured.step_j,
            samples: measured.samples,
            gaps: !measured.is_whole(),
            unread: 0,
            missing: seconds(measured.missing_s),
            period,
            ends_error_j: measured.edge_error_j,
            ends_w: measured.ends_w,
            noise_w: measured.noise_w,
        }
        .reading(&self.description);
        self.last = Some(measured);
        Ok(reading)
    }

    fn glance(&mut self) -> Result<Vec<Glance>, MeterError> {
        Ok(reading::glance(&self.description, self.recorder.mean_w()))
    }
}
