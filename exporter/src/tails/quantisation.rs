//! How a float32 tensor becomes bytes and floats again.
//!
//! `q = saturate(round(x / scale) + zero point)`, one scale and zero point per tensor: what `QuantizeLinear` and
//! `DequantizeLinear` compute. 0 is always among the values that bytes stand for, and comes through unchanged. A picture
//! is taken back to its 8-bit samples, whatever its normalisation: those come through unchanged too.

use offramp_graph::ir::Tensor;
use offramp_models::{DType, Input, Layout, TensorSpec};

use super::emitter::Emitter;
use crate::verify::Noise;

/// How one tensor crosses a cut.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Quantisation {
    /// As it is: it is not float32.
    Unchanged,
    /// In steps of one size.
    Steps(Steps),
    /// As the samples of the network's picture.
    Samples(Box<Input>),
}

/// Bytes stand for `(q - zero_point) * scale`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Steps {
    pub scale: f32,
    pub zero_point: u8,
}

impl Steps {
    /// The finest steps for values from `low` to `high`, both finite; values of another sign than these, and 0, are among
    /// them.
    pub(super) fn covering(low: f32, high: f32) -> Self {
        let (low, high) = (f64::from(low.min(0.0)), f64::from(high.max(0.0)));
        let scale = ((high - low) / 255.0) as f32;
        // All zero, or so small that a step is no normal number: one byte stands for all of it.
        if scale < f32::MIN_POSITIVE {
            return Self { scale: 1.0, zero_point: 0 };
        }
        // In [0, 255], because `low` is at most 0 and `high` at least 0.
        Self { scale, zero_point: (-low / f64::from(scale)).round() as u8 }
    }
}

impl Quantisation {
    /// How `spec` crosses; `range` tells the lowest and highest value of a tensor that is no picture.
    pub(super) fn of(spec: &TensorSpec, input: &Input, range: impl Fn(&str) -> (f32, f32)) -> Self {
        if spec.dtype != DType::Float32 {
            return Self::Unchanged;
        }
        if spec.name == input.name {
            return Self::Samples(Box::new(input.clone()));
        }
        let (low, high) = range(&spec.name);
        Self::Steps(Steps::covering(low, high))
    }

    /// Emits what makes bytes of `tensor`; they are called `into`.
    pub(super) fn encode(&self, emitter: &mut Emitter, tensor: &str, into: &str) {
        match self {
            Self::Unchanged => emitter.node("Identity", &[tensor], into),
            Self::Steps(steps) => steps.quantise(emitter, tensor, into),
            Self::Samples(input) => {
                let [black, white] = input.range;
                let (black, span) = (f64::from(black), f64::from(white) - f64::from(black));
                let step = |channel| {
                    let of = |numbers: &Option<Vec<f32>>, none| {
                        numbers.as_ref().map_or(none, |numbers| f64::from(numbers[channel]))
                    };
                    let (mean, std) = (of(&input.mean, 0.0), of(&input.std, 1.0));
                    (std * 255.0 / span, (mean - black) * 255.0 / span)
                };
                let per_channel: Vec<_> = (0..input.chw().0).map(step).collect();
                let factors: Vec<f32> = per_channel.iter().map(|(factor, _)| *factor as f32).collect();
                let shifts: Vec<f32> = per_channel.iter().map(|(_, shift)| *shift as f32).collect();
                let [scaled, shifted] = [0; 2].map(|_| emitter.fresh("wire.samples"));
                scale(emitter, input, "Mul", tensor, &factors, &scaled);
                scale(emitter, input, "Add", &scaled, &shifts, &shifted);
                SAMPLES.quantise(emitter, &shifted, into);
            }
        }
    }

    /// Emits what makes the tensor again of the bytes `from`; it is called `into`.
    ///
    /// Samples become floats by the very operations of [`offramp_models::preprocess`]: on an engine that divides where it
    /// is told to divide, a picture is to the bit what the device would have given the network.
    pub(super) fn decode(&self, emitter: &mut Emitter, from: &str, into: &str) {
        match self {
            Self::Unchanged => emitter.node("Identity", &[from], into),
            Self::Steps(steps) => steps.dequantise(emitter, from, into),
            Self::Samples(input) => {
                let [black, white] = input.range;
                let mut scales: Vec<(&str, Vec<f32>, f32)> = Vec::new();
                if [black, white] != [0.0, 255.0] {
                    scales.push(("Div", vec![255.0], 1.0));
                    scales.push(("Mul", vec![white - black], 1.0));
                    scales.push(("Add", vec![black], 0.0));
                }
                if let (Some(mean), Some(std)) = (&input.mean, &input.std) {
                    scales.push(("Sub", mean.clone(), 0.0));
                    scales.push(("Div", std.clone(), 1.0));
                }
                // What changes no number is left out.
                scales.retain(|(_, numbers, nothing)| numbers.iter().any(|number| number != nothing));
                let mut value = emitter.fresh("wire.samples");
                let first = if scales.is_empty() { into } else { &value };
                SAMPLES.dequantise(emitter, from, first);
                let last = scales.len();
                for (at, (op, numbers, _)) in scales.iter().enumerate() {
                    let next = if at + 1 == last { into.to_owned() } else { emitter.fresh("wire.samples") };
                    scale(emitter, input, op, &value, numbers, &next);
                    value = next;
                }
            }
        }
    }

    /// What the byte at `position` of the tensor stands for.
    pub(super) fn value(&self, position: usize, byte: u8) -> f32 {
        match self {
            Self::Unchanged => f32::from(byte),
            Self::Steps(steps) => (f32::from(byte) - f32::from(steps.zero_point)) * steps.scale,
            Self::Samples(input) => Noise::pixel(input, position, f32::from(byte) / 255.0),
        }
    }
}

/// Bytes that stand for themselves.
const SAMPLES: Steps = Steps { scale: 1.0, zero_point: 0 };

impl Steps {
    fn quantise(self, emitter: &mut Emitter, from: &str, into: &str) {
        let [scale, zero_point] = self.constants(emitter);
        emitter.node("QuantizeLinear", &[from, &scale, &zero_point], into);
    }

    /// By the same arithmetic in plain operators where the operator set is too old for this one.
    fn dequantise(self, emitter: &mut Emitter, from: &str, into: &str) {
        let [scale, zero_point] = self.constants(emitter);
        if emitter.quantises() {
            emitter.node("DequantizeLinear", &[from, &scale, &zero_point], into);
            return;
        }
        let [bytes, zero, centred] = [0; 3].map(|_| emitter.fresh("wire.float"));
        emitter.cast(from, &bytes);
        emitter.cast(&zero_point, &zero);
        emitter.node("Sub", &[&bytes, &zero], &centred);
        emitter.node("Mul", &[&centred, &scale], into);
    }

    fn constants(self, emitter: &mut Emitter) -> [String; 2] {
        let scale = emitter.constant(Tensor::float32(&[], &[self.scale]));
        [scale, emitter.constant(Tensor::uint8(&[], &[self.zero_point]))]
    }
}

/// Emits `tensor <op> numbers`, one number per channel or one for all.
fn scale(emitter: &mut Emitter, input: &Input, op: &str, tensor: &str, numbers: &[f32], into: &str) {
    let count = numbers.len();
    let dims = match (count, input.layout) {
        (1, _) => vec![],
        (_, Layout::Nchw) => vec![1, count, 1, 1],
        (_, Layout::Nhwc) => vec![1, 1, 1, count],
    };
    let constant = emitter.constant(Tensor::float32(&dims, numbers));
    emitter.node(op, &[tensor, &constant], into);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_cover_the_range_and_zero_exactly() {
        for (low, high) in [(0.0, 6.0), (-1.0, 3.0), (-3.5, -0.5), (2.0, 3.0), (-1e-30, 1e30), (-3e38, 3e38)]
        {
            let steps = Steps::covering(low, high);
            let code = Quantisation::Steps(steps);
            assert_eq!(code.value(0, steps.zero_point), 0.0, "{low} to {high}");
            let (first, last) = (code.value(0, 0), code.value(0, 255));
            assert!(
                first <= low + steps.scale && last >= high - steps.scale,
                "{low} to {high}: {first} to {last}"
            );
        }
    }

    #[test]
    fn a_constant_or_vanishing_tensor_has_steps_that_are_numbers() {
        for (low, high) in [(0.0, 0.0), (1e-45, 1e-45), (-1e-44, 0.0)] {
            assert_eq!(Steps::covering(low, high), Steps { scale: 1.0, zero_point: 0 }, "{low} to {high}");
        }
        let seven = Quantisation::Steps(Steps::covering(7.0, 7.0));
        assert!((seven.value(0, 255) - 7.0).abs() < 1e-6);
    }
}
