//! Energy per exit, from windows whose images stopped at known exits.
//!
//! Forced-exit windows need nothing of this: a load of which every image stops at one exit is a load, and its summary is
//! that exit's energy. Here, mixed windows are taken apart.

use std::ops::RangeBounds;

use serde::{Deserialize, Serialize};

use super::{Session, nonnegative};
use crate::Joules;
use crate::statistics::t_975;

/// One window as the fit sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Mix {
    /// Energy of the window: net, or every exit pays for idling as well.
    pub energy: Joules,
    /// How many images stopped at each exit.
    pub counts: Vec<u64>,
}

/// Joules per image of every exit, by least squares with no negative energy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExitFit {
    /// Of every exit, the earliest first.
    pub exits: Vec<Coefficient>,
    /// Windows less exits that were fitted.
    pub degrees: usize,
    /// Standard deviation of what is left over, in joules of a window.
    #[serde(rename = "residual_j")]
    pub residual: f64,
    #[serde(skip)]
    covariance: Vec<Vec<f64>>,
}

/// What an image costs that stops at one exit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coefficient {
    /// Energy per image; `None` where no window had such an image.
    #[serde(rename = "energy_j")]
    pub energy: Option<Joules>,
    /// Half the width of its 95 % interval; `None` where the data give none, or the energy was held at zero.
    #[serde(rename = "half_width_j")]
    pub half_width: Option<Joules>,
}

/// A window that was kept out of the fit, predicted and measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// What the fit says.
    #[serde(rename = "predicted_j")]
    pub predicted: Joules,
    /// What was measured.
    #[serde(rename = "measured_j")]
    pub measured: Joules,
    /// Predicted over measured, less 1; `None` where nothing was measured.
    pub relative: Option<f64>,
    /// Whether the measured energy lies in the 95 % interval of a prediction; `None` without one.
    pub within: Option<bool>,
}

/// Windows that cannot be taken apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FitError {
    /// Fewer windows than exits, and one more.
    #[error("{windows} windows cannot tell {exits} exits apart: at least {} are needed", exits + 1)]
    TooFew {
        /// Windows that there are.
        windows: usize,
        /// Exits that occur.
        exits: usize,
    },
    /// A window with another number of exits.
    #[error("window {window} counts {found} exits, the first one {expected}")]
    Exits {
        /// Which.
        window: usize,
        /// Its exits.
        found: usize,
        /// Those of the first.
        expected: usize,
    },
    /// The mixes are multiples of each other.
    #[error("the shares of the exits are too alike in all windows to tell them apart")]
    Alike,
    /// No window counts and has a net energy.
    #[error("no window of a mixture counts and has a net energy")]
    Nothing,
    /// An energy that is no number.
    #[error("a window has an energy that is no number")]
    NoNumber,
}

impl Session {
    /// The windows of `loads` that count, as mixes of net energy for [`ExitFit::of`].
    pub fn mixes(&self, loads: impl RangeBounds<usize>) -> Vec<Mix> {
        let counting =
            self.windows.iter().filter(|window| loads.contains(&window.load) && window.rejected.is_none());
        let mixes = counting.filter_map(|window| {
            let energy = *window.net.as_ref().ok()?;
            (!window.work.exits.is_empty()).then(|| Mix { energy, counts: window.work.exits.clone() })
        });
        mixes.collect()
    }
}

impl ExitFit {
    /// Fits `mixes`.
    ///
    /// # Errors
    /// [`FitError`] when the windows do not tell the exits apart.
    pub fn of(mixes: &[Mix]) -> Result<Self, FitError> {
        let exits = mixes.first().ok_or(FitError::Nothing)?.counts.len();
        if let Some((window, mix)) = mixes.iter().enumerate().find(|(_, mix)| mix.counts.len() != exits) {
            return Err(FitError::Exits { window, found: mix.counts.len(), expected: exits });
        }
        let occurs: Vec<_> =
            (0..exits).filter(|exit| mixes.iter().any(|mix| mix.counts[*exit] > 0)).collect();
        if mixes.iter().any(|mix| !mix.energy.0.is_finite()) {
            return Err(FitError::NoNumber);
        }
        if occurs.is_empty() {
            return Err(FitError::Nothing);
        }
        if mixes.len() <= occurs.len() {
            return Err(FitError::TooFew { windows: mixes.len(), exits: occurs.len() });
        }
        let rows: Vec<Vec<f64>> =
            mixes.iter().map(|mix| occurs.iter().map(|exit| mix.counts[*exit] as f64).collect()).collect();
        let energies: Vec<_> = mixes.iter().map(|mix| mix.energy.0).collect();
        let solution = nonnegative::least_squares(&rows, &energies).ok_or(FitError::Alike)?;
        let degrees = mixes.len() - solution.free.len();
        let left: f64 = rows
            .iter()
            .zip(&energies)
            .map(|(row, energy)| (energy - nonnegative::dot(row, &solution.values)).powi(2))
            .sum();
        let variance = left / degrees as f64;
        let t = t_975(degrees).unwrap_or(f64::INFINITY);
        let mut covariance = vec![vec![0.0; exits]; exits];
        for (i, row) in solution.free.iter().zip(&solution.inverse) {
            for (j, entry) in solution.free.iter().zip(row) {
                covariance[occurs[*i]][occurs[*j]] = variance * entry;
            }
        }
        let mut fitted = vec![Coefficient { energy: None, half_width: None }; exits];
        for (at, exit) in occurs.iter().enumerate() {
            let half_width =
                solution.free.contains(&at).then(|| Joules(t * covariance[*exit][*exit].max(0.0).sqrt()));
            fitted[*exit] = Coefficient { energy: Some(Joules(solution.values[at])), half_width };
        }
        Ok(Self { exits: fitted, degrees, residual: variance.sqrt(), covariance })
    }

    /// Predicts windows that were not fitted and holds them against what was measured. A window with images of an exit that was not
    /// fitted is left out.
    pub fn check(&self, held_out: &[Mix]) -> Vec<HeldOut> {
        held_out.iter().filter_map(|mix| self.predict(mix)).collect()
    }

    fn predict(&self, mix: &Mix) -> Option<HeldOut> {
        if mix.counts.len() != self.exits.len() {
            return None;
        }
        let counts: Vec<_> = mix.counts.iter().map(|count| *count as f64).collect();
        let mut predicted = 0.0;
        for (count, exit) in counts.iter().zip(&self.exits) {
            if *count > 0.0 {
                predicted += count * exit.energy?.0;
            }
        }
        let of_fit: f64 = counts
            .iter()
            .zip(&self.covariance)
            .map(|(count, row)| count * nonnegative::dot(row, &counts))
            .sum();
        let half = t_975(self.degrees).map(|t| t * (self.residual.powi(2) + of_fit.max(0.0)).sqrt());
        let measured = mix.energy.0;
        Some(HeldOut {
            predicted: Joules(predicted),
            measured: mix.energy,
            relative: (measured != 0.0).then(|| predicted / measured - 1.0),
            within: half.map(|half| (measured - predicted).abs() <= half),
        })
    }
}
