//! How far an iterate is from the image.

/// What is minimised beside the loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distance {
    /// The sum of squares of the samples' changes, each over a standard deviation: the published code, whose pictures
    /// are normalised. 1 for pictures in [0, 1].
    Squared {
        /// By channel; the last one stands for further channels.
        std: [f32; 3],
    },
    /// The l2 norm: the paper.
    Norm,
}

impl Distance {
    /// Adds the gradient of the distance at `iterate`, both of one image, plane by plane.
    pub(super) fn add_gradient(self, iterate: &[f32], original: &[f32], gradient: &mut [f32]) {
        let changes = iterate.iter().zip(original).map(|(x, original)| x - original);
        match self {
            Self::Squared { std } => {
                let plane = gradient.len().div_ceil(if gradient.len().is_multiple_of(3) { 3 } else { 1 });
                for (at, (gradient, change)) in gradient.iter_mut().zip(changes).enumerate() {
                    let std = std[(at / plane).min(2)];
                    *gradient += 2.0 * change / (std * std);
                }
            }
            Self::Norm => {
                let length = changes.clone().map(|change| f64::from(change).powi(2)).sum::<f64>().sqrt();
                if length > 0.0 {
                    let scale = (1.0 / length) as f32;
                    gradient
                        .iter_mut()
                        .zip(changes)
                        .for_each(|(gradient, change)| *gradient += change * scale);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_norm_has_a_gradient_of_length_one_away_from_the_image_and_none_at_it() {
        let mut gradient = [0.0; 3];
        Distance::Norm.add_gradient(&[0.5, 0.2, 0.1], &[0.1, 0.2, 0.4], &mut gradient);
        for (found, expected) in gradient.into_iter().zip([0.8, 0.0, -0.6]) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
        let mut gradient = [0.0; 3];
        Distance::Norm.add_gradient(&[0.5; 3], &[0.5; 3], &mut gradient);
        assert_eq!(gradient, [0.0; 3]);
    }

    #[test]
    fn squares_are_weighed_by_channel() {
        let mut gradient = [0.0; 6];
        let distance = Distance::Squared { std: [1.0, 0.5, 0.25] };
        distance.add_gradient(&[0.25; 6], &[0.0; 6], &mut gradient);
        assert_eq!(gradient, [0.5, 0.5, 2.0, 2.0, 8.0, 8.0]);
    }
}
