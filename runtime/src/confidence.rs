//! How sure an exit is of its label.
//!
//! One pass over the logits gives a [`Prediction`]; each [`Measure`] reads its confidence from it. No allocation.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How sure an exit is, in [0, 1], higher is surer.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Confidence(f32);

impl Confidence {
    /// The number in [0, 1].
    pub fn get(self) -> f32 {
        self.0
    }

    /// Whether an exit with this threshold is taken: `confidence >= threshold`.
    pub fn reaches(self, threshold: Threshold) -> bool {
        self.0 >= threshold.0
    }

    // Rounding may leave [0, 1] by a few units in the last place; the arithmetic that gets here is never NaN.
    fn rounded(value: f64) -> Self {
        Self(value.clamp(0.0, 1.0) as f32)
    }
}

/// The confidence at which an exit is taken, in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f32", into = "f32")]
pub struct Threshold(f32);

/// A threshold outside [0, 1], or not a number.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("a threshold is a number from 0 to 1, got {found}")]
pub struct ThresholdRange {
    found: f32,
}

impl Threshold {
    /// Every exit is taken.
    pub const ALWAYS: Self = Self(0.0);
    /// Only exits beyond any doubt are taken.
    pub const CERTAIN: Self = Self(1.0);
    /// 0.9, where nobody asks for another.
    pub const DEFAULT: Self = Self(0.9);

    /// A threshold of `value`.
    ///
    /// # Errors
    /// [`ThresholdRange`] when `value` is not in [0, 1].
    pub fn new(value: f32) -> Result<Self, ThresholdRange> {
        if (0.0..=1.0).contains(&value) { Ok(Self(value)) } else { Err(ThresholdRange { found: value }) }
    }

    /// The number in [0, 1].
    pub fn get(self) -> f32 {
        self.0
    }
}

impl From<Confidence> for Threshold {
    fn from(confidence: Confidence) -> Self {
        Self(confidence.0)
    }
}

impl TryFrom<f32> for Threshold {
    type Error = ThresholdRange;

    fn try_from(value: f32) -> Result<Self, ThresholdRange> {
        Self::new(value)
    }
}

impl From<Threshold> for f32 {
    fn from(threshold: Threshold) -> Self {
        threshold.0
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A way to read confidence from logits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// The largest softmax probability. Source: Kaya et al. 2019, §5.1.
    #[default]
    MaxSoftmax,
    /// One minus the entropy of the softmax over its greatest value, `1 - H / ln C`. Source: Teerapittayanon et al.
    /// 2016, §III-B, turned so that higher is surer.
    Entropy,
    /// The largest softmax probability less the second largest.
    Margin,
}

impl Measure {
    /// The name that policies are asked for by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MaxSoftmax => "max-softmax",
            Self::Entropy => "entropy",
            Self::Margin => "margin",
        }
    }
}

/// A logit that no confidence can be read from.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("exit {exit} gives class {class} a logit of {found}, expected a finite number")]
pub struct NotFinite {
    /// The exit.
    pub exit: usize,
    /// The first class whose logit is not finite.
    pub class: usize,
    /// NaN or an infinity.
    pub found: f32,
}

/// What one exit says of one image: a label, and what every measure of confidence needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    label: usize,
    classes: usize,
    /// Sum of `exp(d)` over all classes, `d` a logit less the largest one. Summed in f64, so that the order of the
    /// classes does not show in the confidence.
    sum: f64,
    /// Sum of `d * exp(d)`.
    weighted: f64,
    /// The second largest `d`.
    second: f32,
}

impl Prediction {
    /// Reads `logits` of `exit`; shape `[classes]`. The lowest of equally likely labels wins.
    ///
    /// # Errors
    /// [`NotFinite`] names the exit and the first class whose logit is NaN or infinite.
    pub fn of(exit: usize, logits: &[f32]) -> Result<Self, NotFinite> {
        let (mut label, mut largest, mut finite) = (0, f32::NEG_INFINITY, true);
        for (class, &logit) in logits.iter().enumerate() {
            finite &= logit.is_finite();
            if logit > largest {
                (label, largest) = (class, logit);
            }
        }
        if !finite && let Some(class) = logits.iter().position(|logit| !logit.is_finite()) {
            return Err(NotFinite { exit, class, found: logits[class] });
        }
        let (mut sum, mut weighted, mut second) = (0.0, 0.0, f32::MIN);
        for (class, &logit) in logits.iter().enumerate() {
            // The difference of two finite numbers may overflow; 0 * -inf would be NaN.
            let d = (logit - largest).max(f32::MIN);
            let exp = d.exp();
            sum += f64::from(exp);
            weighted += f64::from(d * exp);
            if d > second && class != label {
                second = d;
            }
        }
        Ok(Self { label, classes: logits.len(), sum, weighted, second })
    }

    /// The most likely class.
    pub fn label(&self) -> usize {
        self.label
    }

    /// Confidence by `measure`.
    pub fn confidence(&self, measure: Measure) -> Confidence {
        match measure {
            Measure::MaxSoftmax => self.max_softmax(),
            Measure::Entropy => self.entropy(),
            Measure::Margin => self.margin(),
        }
    }

    /// The largest softmax probability.
    pub fn max_softmax(&self) -> Confidence {
        Confidence::rounded(1.0 / self.sum.max(1.0))
    }

    /// `1 - H / ln C`; a single class is certain.
    pub fn entropy(&self) -> Confidence {
        if self.classes <= 1 {
            return Confidence(1.0);
        }
        // H = ln(sum) - weighted / sum: the definition with the logarithm taken out of the loop.
        let entropy = self.sum.ln() - self.weighted / self.sum;
        Confidence::rounded(1.0 - entropy / (self.classes as f64).ln())
    }

    /// The largest softmax probability less the second largest; a single class is certain.
    pub fn margin(&self) -> Confidence {
        Confidence::rounded((1.0 - f64::from(self.second.exp())) / self.sum.max(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MEASURES: [Measure; 3] = [Measure::MaxSoftmax, Measure::Entropy, Measure::Margin];

    /// The definitions as textbooks have them, in f64.
    fn textbook(logits: &[f32]) -> [f64; 3] {
        let largest = logits.iter().copied().fold(f32::MIN, f32::max);
        let exps: Vec<f64> = logits.iter().map(|l| (f64::from(*l) - f64::from(largest)).exp()).collect();
        let sum: f64 = exps.iter().sum();
        let mut p: Vec<f64> = exps.iter().map(|exp| exp / sum).collect();
        let entropy: f64 = -p.iter().filter(|p| **p > 0.0).map(|p| p * p.ln()).sum::<f64>();
        p.sort_by(|a, b| b.total_cmp(a));
        let of_one = p.len() == 1;
        let entropy = if of_one { 1.0 } else { 1.0 - entropy / (p.len() as f64).ln() };
        [p[0], entropy, p[0] - p.get(1).copied().unwrap_or(0.0)]
    }

    proptest! {
        // Each exp is off by units in the last place of an f32, as are differences of logits up to 60: below 1e-5.
        #[test]
        fn every_measure_is_its_textbook_definition(logits in prop::collection::vec(-30.0f32..30.0, 1..300)) {
            let prediction = Prediction::of(0, &logits).unwrap();
            for (measure, expected) in MEASURES.into_iter().zip(textbook(&logits)) {
                let found = f64::from(prediction.confidence(measure).get());
                prop_assert!((found - expected).abs() < 1e-5, "{measure:?}: {found} for {expected}");
            }
        }

        #[test]
        fn confidence_of_any_finite_logits_is_in_range(
            logits in prop::collection::vec(any::<f32>().prop_filter("finite", |l| l.is_finite()), 1..40),
        ) {
            let prediction = Prediction::of(0, &logits).unwrap();
            for measure in MEASURES {
                prop_assert!((0.0..=1.0).contains(&prediction.confidence(measure).get()));
            }
        }
    }

    #[test]
    fn equal_logits_give_the_lowest_label_and_no_confidence() {
        let prediction = Prediction::of(0, &[3.0, 7.0, 7.0, 7.0]).unwrap();
        assert_eq!(prediction.label(), 1);
        assert_eq!(prediction.margin().get(), 0.0);
        let uniform = Prediction::of(0, &[2.5; 10]).unwrap();
        assert_eq!((uniform.label(), uniform.entropy().get()), (0, 0.0));
        assert_eq!(uniform.max_softmax().get(), 0.1);
    }

    #[test]
    fn a_single_class_is_certain() {
        let prediction = Prediction::of(0, &[-4.0]).unwrap();
        assert_eq!(MEASURES.map(|measure| prediction.confidence(measure).get()), [1.0; 3]);
    }

    #[test]
    fn logits_that_are_not_finite_name_exit_and_class() {
        insta::assert_snapshot!(
            Prediction::of(2, &[0.0, f32::NAN, f32::INFINITY]).unwrap_err(),
            @"exit 2 gives class 1 a logit of NaN, expected a finite number"
        );
        insta::assert_snapshot!(
            Prediction::of(0, &[f32::NEG_INFINITY]).unwrap_err(),
            @"exit 0 gives class 0 a logit of -inf, expected a finite number"
        );
    }

    #[test]
    fn a_threshold_is_a_number_from_0_to_1() {
        assert!([0.0, 0.5, 1.0].into_iter().all(|value| Threshold::new(value).is_ok()));
        assert!([-0.1, f32::NAN, f32::INFINITY].into_iter().all(|value| Threshold::new(value).is_err()));
        insta::assert_snapshot!(Threshold::new(1.5).unwrap_err(), @"a threshold is a number from 0 to 1, got 1.5");
    }

    #[test]
    fn a_confidence_equal_to_the_threshold_reaches_it() {
        let confidence = Prediction::of(0, &[0.0, 0.0]).unwrap().max_softmax();
        assert!(confidence.reaches(Threshold::new(0.5).unwrap()));
        assert!(!confidence.reaches(Threshold::new(0.500_001).unwrap()));
    }
}
