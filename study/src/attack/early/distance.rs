//! How far an iterate is from the image.

use serde::{Deserialize, Serialize};

/// What is minimised beside the loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distance {
    /// The sum of squares of the samples' changes, each over the standard deviation of its channel in the published
    /// code, whose pictures are normalised; the last one stands for further channels.
    SquaredNormalised,
    /// The sum of squares of the changes of samples in [0, 1].
    Squared,
    /// The l2 norm of the same: the paper.
    Norm,
}

/// Standard deviations of CIFAR-10 pictures in the published code.
const PUBLISHED_STD: [f32; 3] = [0.229, 0.224, 0.225];

impl Distance {
    /// Adds the gradient of the distance at `iterate`, both of one image, plane by plane.
    pub(super) fn add_gradient(self, iterate: &[f32], original: &[f32], gradient: &mut [f32]) {
        let changes = iterate.iter().zip(original).map(|(x, original)| x - original);
        match self {
            Self::SquaredNormalised => {
                let plane = gradient.len().div_ceil(if gradient.len().is_multiple_of(3) { 3 } else { 1 });
                for (at, (gradient, change)) in gradient.iter_mut().zip(changes).enumerate() {
                    let std = PUBLISHED_STD[(at / plane).min(2)];
                    *gradient += 2.0 * change / (std * std);
                }
            }
            Self::Squared => {
                gradient.iter_mut().zip(changes).for_each(|(gradient, change)| *gradient += 2.0 * change);
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
    fn squares_of_normalised_pictures_are_weighed_by_channel() {
        let gradient = |distance: Distance| {
            let mut gradient = [0.0; 6];
            distance.add_gradient(&[0.25; 6], &[0.0; 6], &mut gradient);
            gradient
        };
        assert_eq!(gradient(Distance::Squared), [0.5; 6]);
        let variances = [0.229_f32, 0.229, 0.224, 0.224, 0.225, 0.225].map(|std| std * std);
        assert_eq!(gradient(Distance::SquaredNormalised), variances.map(|variance| 0.5 / variance));
    }
}
