//! Adam. Source: Kingma & Ba 2015, algorithm 1, with its constants.

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// The state of one image's search.
pub(super) struct Adam {
    rate: f64,
    steps: i32,
    /// Decayed mean of gradients, and of their squares.
    moments: Vec<(f32, f32)>,
}

impl Adam {
    pub fn new(parameters: usize, rate: f32) -> Self {
        Self { rate: rate.into(), steps: 0, moments: vec![(0.0, 0.0); parameters] }
    }

    /// One step of `parameters` down `gradient`.
    pub fn descend(&mut self, parameters: &mut [f32], gradient: &[f32]) {
        self.steps += 1;
        let (first, second) = (1.0 - BETA1.powi(self.steps), 1.0 - BETA2.powi(self.steps));
        for ((parameter, gradient), (mean, square)) in
            parameters.iter_mut().zip(gradient).zip(&mut self.moments)
        {
            let gradient = f64::from(*gradient);
            *mean = (BETA1 * f64::from(*mean) + (1.0 - BETA1) * gradient) as f32;
            *square = (BETA2 * f64::from(*square) + (1.0 - BETA2) * gradient * gradient) as f32;
            let step = f64::from(*mean) / first / ((f64::from(*square) / second).sqrt() + EPSILON);
            *parameter -= (self.rate * step) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_is_the_rate_whatever_the_gradient() {
        let mut parameters = [1.0, 1.0, 1.0];
        Adam::new(3, 0.01).descend(&mut parameters, &[1e-3, -5.0, 0.0]);
        for (found, expected) in parameters.into_iter().zip([0.99, 1.01, 1.0]) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn it_finds_the_bottom_of_a_bowl() {
        let (mut at, mut adam) = ([3.0, -2.0], Adam::new(2, 0.05));
        for _ in 0..2000 {
            let gradient = [2.0 * (at[0] - 1.0), 20.0 * (at[1] - 0.5)];
            adam.descend(&mut at, &gradient);
        }
        assert!((at[0] - 1.0).abs() < 1e-3 && (at[1] - 0.5).abs() < 1e-3, "{at:?}");
    }
}
