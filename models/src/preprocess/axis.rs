//! Weights of a triangle filter along one axis.

/// Taps of each output position of a stretch or squeeze, as Pillow computes them.
///
/// Source: `precompute_coeffs` and `normalize_coeffs_8bpc` in Pillow's `src/libImaging/Resample.c`.
#[derive(Clone, Debug, Default)]
pub(super) struct Axis {
    made_for: Window,
    taps: Vec<(usize, usize)>,
    weights: Vec<f64>,
    fixed: Vec<i32>,
}

/// `count` of the `to` positions that `from` positions become, beginning at `offset`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    pub from: usize,
    pub to: usize,
    pub offset: usize,
    pub count: usize,
}

/// Fractional bits of fixed-point weights: eight of the 32 are the sample's, two guard against overflow.
pub(super) const FRACTION: u32 = 32 - 8 - 2;

/// Where the weights of one output position begin and the input positions that they weigh.
pub(super) struct Taps<'a> {
    pub start: usize,
    pub weights: &'a [f64],
    pub fixed: &'a [i32],
}

impl Axis {
    /// Computes the weights of `window`, unless it has them already.
    pub fn make(&mut self, window: Window) {
        if self.made_for == window {
            return;
        }
        self.made_for = window;
        self.taps.clear();
        self.weights.clear();
        self.fixed.clear();
        let scale = window.from as f64 / window.to as f64;
        // A squeeze widens the triangle to all the positions that fall on one, which is the antialiasing.
        let support = scale.max(1.0);
        for position in window.offset..window.offset + window.count {
            let center = (position as f64 + 0.5) * scale;
            let start = (center - support + 0.5).max(0.0) as usize;
            let end = ((center + support + 0.5) as usize).min(window.from);
            let first = self.weights.len();
            self.weights.extend((start..end).map(|at| {
                let distance = (at as f64 - center + 0.5) * (1.0 / support);
                (1.0 - distance.abs()).max(0.0)
            }));
            let weights = &mut self.weights[first..];
            let sum: f64 = weights.iter().sum();
            for weight in weights {
                *weight /= sum;
                self.fixed.push((*weight * f64::from(1 << FRACTION) + 0.5) as i32);
            }
            self.taps.push((start, first));
        }
    }

    /// Taps of every output position in order.
    pub fn taps(&self) -> impl Iterator<Item = Taps<'_>> {
        let ends = self.taps.iter().skip(1).map(|(_, first)| *first).chain([self.weights.len()]);
        self.taps.iter().zip(ends).map(|((start, first), end)| Taps {
            start: *start,
            weights: &self.weights[*first..end],
            fixed: &self.fixed[*first..end],
        })
    }

    /// First input position with a weight and the one after the last.
    pub fn reach(&self) -> std::ops::Range<usize> {
        let start = self.taps().map(|taps| taps.start).min().unwrap_or(0);
        let end = self.taps().map(|taps| taps.start + taps.weights.len()).max().unwrap_or(0);
        start..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(from: usize, to: usize) -> Vec<(usize, Vec<f64>)> {
        let mut axis = Axis::default();
        axis.make(Window { from, to, offset: 0, count: to });
        axis.taps().map(|taps| (taps.start, taps.weights.to_vec())).collect()
    }

    #[test]
    fn a_squeeze_to_half_weighs_four_positions_as_a_triangle() {
        let found = weights(8, 4);
        assert_eq!(found[1], (1, vec![0.125, 0.375, 0.375, 0.125]));
        assert_eq!(found[0].0, 0);
    }

    #[test]
    fn weights_of_every_position_add_up_to_one() {
        for (from, to) in [(1, 32), (32, 1), (33, 32), (500, 64), (64, 500), (7, 7)] {
            for (position, (start, weights)) in weights(from, to).into_iter().enumerate() {
                assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{from} to {to} at {position}");
                assert!(!weights.is_empty() && start + weights.len() <= from, "{from} to {to} at {position}");
            }
        }
    }

    #[test]
    fn a_window_has_the_weights_of_the_whole() {
        let mut axis = Axis::default();
        axis.make(Window { from: 100, to: 48, offset: 8, count: 32 });
        let window: Vec<_> = axis.taps().map(|taps| (taps.start, taps.weights.to_vec())).collect();
        assert_eq!(window, weights(100, 48)[8..40]);
    }
}
