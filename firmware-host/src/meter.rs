//! A serial meter behind the runtime's trait.

use std::thread;
use std::time::{Duration, Instant};

use offramp_runtime::meter::{Flag, Joules, Meter, MeterError, NotMeasured, Overhead, Reading};

use crate::measurement::Measurement;
use crate::recorder::{Recorder, RecorderError, Window};

/// A window shorter than so many sample periods says little.
const SHORT: u32 = 10;

/// A [`Recorder`] as the runtime's [`Meter`].
#[derive(Debug)]
pub struct SerialMeter {
    recorder: Recorder,
    window: Option<Window>,
    last: Option<Measurement>,
}

impl SerialMeter {
    /// A meter that reads `recorder`.
    #[must_use]
    pub fn new(recorder: Recorder) -> Self {
        Self { recorder, window: None, last: None }
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

    fn domain(&self) -> String {
        let hello = self.recorder.hello();
        let labels: Vec<_> =
            hello.iter().flat_map(|hello| &hello.channels).map(|channel| channel.label.as_str()).collect();
        format!("{}: {}", self.recorder.name(), labels.join(" "))
    }
}

impl Meter for SerialMeter {
    /// Records for half a second and sees what that took of this machine's processor.
    fn calibrate(&mut self) -> Result<Overhead, MeterError> {
        let (busy, (taken, _), begin) = (self.recorder.busy(), self.recorder.samples(), Instant::now());
        // The recorder drops what it has while nobody measures: an open window keeps the counts together.
        let window = self.recorder.begin();
        while begin.elapsed() < Duration::from_millis(500) {
            thread::sleep(Duration::from_millis(20));
        }
        let (spent, (now, _)) = (self.recorder.busy().saturating_sub(busy), self.recorder.samples());
        drop(self.recorder.end(window));
        let samples = u32::try_from(now.saturating_sub(taken)).unwrap_or(u32::MAX).max(1);
        Ok(Overhead { sample: spent / samples, per_second: None })
    }

    fn start(&mut self) -> Result<(), MeterError> {
        if let Some(open) = self.window.take() {
            drop(self.recorder.end(open));
        }
        self.window = Some(self.recorder.begin());
        Ok(())
    }

    fn stop(&mut self) -> Result<Reading, MeterError> {
        let window = self.window.take().ok_or(MeterError::NotStarted)?;
        let measured = self.recorder.end(window).map_err(|error| match error {
            RecorderError::NoSamples { .. } => NotMeasured::new("energy_j", error.to_string()).into(),
            other => MeterError::Source {
                origin: self.recorder.name().to_owned(),
                source: std::io::Error::other(other),
            },
        })?;
        let time_constant = self.recorder.period();
        let window = Duration::from_secs_f64(measured.window_s.max(0.0));
        let mut flags = Vec::new();
        if window < time_constant * SHORT {
            flags.push(Flag::ShortWindow);
        }
        // A little is missing at both ends of any window; more than two periods is a gap.
        if measured.gaps > 0 || measured.missing_s > 2.0 * time_constant.as_secs_f64() + measured.edge_error_s
        {
            flags.push(Flag::Gaps);
        }
        let reading = Reading {
            energy: Joules(measured.energy_j),
            domain: self.domain(),
            window,
            resolution: Joules(measured.step_j),
            time_constant,
            samples: measured.samples,
            flags,
        };
        self.last = Some(measured);
        Ok(reading)
    }
}
