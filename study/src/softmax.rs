//! Probabilities of logits, and the way back through them.

/// Fills `probabilities` with the softmax of `logits`, both of shape `[classes]`.
pub fn softmax(logits: &[f32], probabilities: &mut [f32]) {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for (probability, logit) in probabilities.iter_mut().zip(logits) {
        *probability = (logit - largest).exp();
        sum += f64::from(*probability);
    }
    let scale = (1.0 / sum) as f32;
    probabilities.iter_mut().for_each(|probability| *probability *= scale);
}

/// `-ln softmax(logits)[label]`, without the probability underflowing first.
pub fn cross_entropy(logits: &[f32], label: usize) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - largest).exp()).sum();
    sum.ln() - f64::from(logits[label] - largest)
}

/// Turns the gradient with respect to `probabilities`, given in `gradient`, into the one with respect to their logits:
/// `p * (g - <g, p>)`.
pub fn through(probabilities: &[f32], gradient: &mut [f32]) {
    let mean: f64 =
        probabilities.iter().zip(gradient.iter()).map(|(p, g)| f64::from(*p) * f64::from(*g)).sum();
    for (gradient, probability) in gradient.iter_mut().zip(probabilities) {
        *gradient = probability * (*gradient - mean as f32);
    }
}
