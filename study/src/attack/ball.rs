//! Perturbations of bounded size: projection, steepest ascent and length, by norm.

use serde::{Deserialize, Serialize};

/// How the size of a perturbation is taken, over all samples of an image in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// The largest change of a sample.
    Linf,
    /// The root of the sum of squares.
    L2,
    /// The sum of changes.
    L1,
}

/// All perturbations up to a size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ball {
    /// How size is taken.
    pub norm: Norm,
    /// The greatest size, above 0.
    pub radius: f32,
}

/// A radius that bounds nothing.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("epsilon is a number above 0{}, got {found}", match .norm { Norm::Linf => " and at most 1", _ => "" })]
pub struct BallError {
    norm: Norm,
    found: f32,
}

/// Share of the samples, those of greatest gradient, that a step in l1 changes. Source: Tramèr & Boneh 2019 (SLIDE), with
/// the 1 % of the published DeepSloth code.
const DENSITY: f32 = 0.01;

impl Norm {
    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linf => "linf",
            Self::L2 => "l2",
            Self::L1 => "l1",
        }
    }

    /// The size of a perturbation.
    pub fn length(self, perturbation: impl Iterator<Item = f32>) -> f64 {
        let sizes = perturbation.map(|change| f64::from(change).abs());
        match self {
            Self::Linf => sizes.fold(0.0, f64::max),
            Self::L2 => sizes.map(|size| size * size).sum::<f64>().sqrt(),
            Self::L1 => sizes.sum(),
        }
    }

    /// Makes of a gradient the perturbation of size 1 that ascends it most steeply: its sign, its direction, or the sign
    /// of its greatest hundredth. A gradient of zeros stays what it is.
    pub fn steepest(self, gradient: &mut [f32]) {
        match self {
            Self::Linf => gradient.iter_mut().for_each(|g| *g = sign(*g)),
            Self::L2 => {
                let length = self.length(gradient.iter().copied());
                if length > 0.0 {
                    gradient.iter_mut().for_each(|g| *g = (f64::from(*g) / length) as f32);
                }
            }
            Self::L1 => greatest_hundredth(gradient),
        }
    }
}

fn sign(value: f32) -> f32 {
    if value == 0.0 { 0.0 } else { value.signum() }
}

fn greatest_hundredth(gradient: &mut [f32]) {
    let count = ((gradient.len() as f32 * DENSITY).round() as usize).clamp(1, gradient.len().max(1));
    let mut order: Vec<usize> = (0..gradient.len()).collect();
    // The index settles ties, so that the same gradient always gives the same step.
    let greater = |a: &usize, b: &usize| gradient[*b].abs().total_cmp(&gradient[*a].abs()).then(a.cmp(b));
    if count < order.len() {
        order.select_nth_unstable_by(count, greater);
    }
    order.truncate(count);
    let kept: Vec<(usize, f32)> = order.into_iter().map(|at| (at, sign(gradient[at]))).collect();
    gradient.fill(0.0);
    for (at, sign) in kept {
        gradient[at] = sign / count as f32;
    }
}

impl Ball {
    /// The ball of `radius` in `norm`.
    ///
    /// # Errors
    /// [`BallError`] when the radius is not above 0, not finite, or in linf above 1.
    pub fn new(norm: Norm, radius: f32) -> Result<Self, BallError> {
        let most = if norm == Norm::Linf { 1.0 } else { f32::MAX };
        if radius > 0.0 && radius <= most {
            Ok(Self { norm, radius })
        } else {
            Err(BallError { norm, found: radius })
        }
    }

    /// The nearest perturbation within the ball.
    pub fn project(self, perturbation: &mut [f32]) {
        let radius = self.radius;
        match self.norm {
            Norm::Linf => perturbation.iter_mut().for_each(|p| *p = p.clamp(-radius, radius)),
            Norm::L2 => {
                let length = self.norm.length(perturbation.iter().copied());
                if length > f64::from(radius) {
                    let scale = (f64::from(radius) / length) as f32;
                    perturbation.iter_mut().for_each(|p| *p *= scale);
                }
            }
            Norm::L1 => project_l1(perturbation, radius),
        }
    }
}

/// Source: Duchi et al. 2008, "Efficient Projections onto the l1-Ball", figure 1.
fn project_l1(perturbation: &mut [f32], radius: f32) {
    if Norm::L1.length(perturbation.iter().copied()) <= f64::from(radius) {
        return;
    }
    let mut sizes: Vec<f64> = perturbation.iter().map(|p| f64::from(p.abs())).collect();
    sizes.sort_unstable_by(|a, b| b.total_cmp(a));
    let (mut sum, mut shrink) = (0.0, 0.0);
    for (rank, size) in sizes.iter().enumerate() {
        sum += size;
        let candidate = (sum - f64::from(radius)) / (rank + 1) as f64;
        if *size <= candidate {
            break;
        }
        shrink = candidate;
    }
    for p in perturbation {
        *p = p.signum() * (p.abs() - shrink as f32).max(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_radius_is_above_zero_and_in_linf_at_most_one() {
        assert!(Ball::new(Norm::Linf, 8.0 / 255.0).is_ok());
        assert!(Ball::new(Norm::L2, 3.0).is_ok());
        let error = Ball::new(Norm::Linf, 1.5).unwrap_err();
        assert_eq!(error.to_string(), "epsilon is a number above 0 and at most 1, got 1.5");
        for wrong in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(Ball::new(Norm::L1, wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn projection_lands_on_the_ball_and_leaves_what_is_inside() {
        for norm in [Norm::Linf, Norm::L2, Norm::L1] {
            let ball = Ball::new(norm, 0.5).unwrap();
            let mut outside = [0.9, -0.4, 0.1, -0.7];
            ball.project(&mut outside);
            assert!((norm.length(outside.into_iter()) - 0.5).abs() < 1e-6, "{norm:?} {outside:?}");
            let mut inside = [0.1, -0.1, 0.05, 0.0];
            ball.project(&mut inside);
            assert_eq!(inside, [0.1, -0.1, 0.05, 0.0], "{norm:?}");
        }
    }

    #[test]
    fn projection_onto_l1_shrinks_all_sizes_alike_down_to_zero() {
        let mut perturbation = [0.6, -0.4, 0.1];
        Ball::new(Norm::L1, 0.8).unwrap().project(&mut perturbation);
        // By hand: 0.6 + 0.4 + 0.1 - 3 s = 0.8 gives s = 0.1, and the last one is gone.
        for (found, expected) in perturbation.into_iter().zip([0.5, -0.3, 0.0]) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn the_steepest_perturbation_has_size_one_and_ascends() {
        let gradient: Vec<f32> = (0..300).map(|i| ((i * 37) % 101) as f32 - 50.0).collect();
        for norm in [Norm::Linf, Norm::L2, Norm::L1] {
            let mut step = gradient.clone();
            norm.steepest(&mut step);
            assert!((norm.length(step.iter().copied()) - 1.0).abs() < 1e-5, "{norm:?}");
            let ascent: f32 = step.iter().zip(&gradient).map(|(s, g)| s * g).sum();
            assert!(ascent > 0.0, "{norm:?}");
        }
        let mut flat = [0.0; 5];
        Norm::L2.steepest(&mut flat);
        assert_eq!(flat, [0.0; 5]);
    }
}
