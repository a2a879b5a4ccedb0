//! `LRN` (ai.onnx 1, 13): `y = x d^-beta` with `d = bias + alpha / size * s`, `s` the sum of the squares of the channels
//! around, so `dx = dy d^-beta - 2 alpha beta / size * x t`, `t` the sum of `dy y / d` over the channels whose sums the
//! element is in.
//!
//! Source: Krizhevsky et al. 2012, section 3.3, differentiated; of an even size ONNX takes the larger half after the
//! channel, so the second sum takes it before.

use offramp_graph::ir::Attribute;
use offramp_graph::shape::Extent;

use crate::gradient::GradientError;
use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let size = usize::try_from(step.int("size", 0)?).ok().filter(|size| *size > 0);
    let size = size.ok_or_else(|| step.wrong("size"))?;
    let (alpha, beta) = (step.float("alpha", 1e-4)?, step.float("beta", 0.75)?);
    let bias = step.float("bias", 1.0)?;
    let (input, output) = (step.input(0)?, step.output());
    let (short, long) = ((size - 1) / 2, size / 2);
    let upstream = step.upstream()?;
    let square = step.emit("Mul", &[input, input]);
    let sum = around(step, &square, short, long)?;
    let share = step.scalar(alpha / size as f32);
    let bias = step.scalar(bias);
    let scaled = step.emit("Mul", &[&sum, &share]);
    let divisor = step.emit("Add", &[&scaled, &bias]);

    let exponent = step.scalar(-beta);
    let power = step.emit("Pow", &[&divisor, &exponent]);
    let direct = step.emit("Mul", &[&upstream, &power]);
    let weighted = step.emit("Mul", &[&upstream, output]);
    let weighted = step.emit("Div", &[&weighted, &divisor]);
    let felt = around(step, &weighted, long, short)?;
    let factor = step.scalar(2.0 * alpha * beta / size as f32);
    let pulled = step.emit("Mul", &[&felt, input]);
    let pulled = step.emit("Mul", &[&pulled, &factor]);
    let found = step.emit("Sub", &[&direct, &pulled]);
    step.give(0, found);
    Ok(())
}

/// Per element, the sum of `tensor` over so many channels before and after: a convolution of `[batch, 1, channels, rest]`
/// with ones.
fn around(step: &mut Step<'_>, tensor: &str, before: usize, after: usize) -> Result<String, GradientError> {
    let extents = step.extents(0)?;
    let [batch, channels, spatial @ ..] = extents else { return Err(step.unsupported("no channels")) };
    let rest = crate::gradient::windows::known(step, spatial)?.iter().product();
    let size = before + after + 1;
    let columns = step.reshape(tensor, &[*batch, Extent::Known(1), *channels, Extent::Known(rest)])?;
    let ones = step.floats(&[1, 1, size, 1], &vec![1.0; size]);
    let list = |ints: &[usize]| Attribute::Ints(ints.iter().map(|int| *int as i64).collect());
    let attributes = [("kernel_shape", list(&[size, 1])), ("pads", list(&[before, 0, after, 0]))];
    let summed = step.emit_with("Conv", &[&columns, &ones], &attributes);
    step.reshape(&summed, extents)
}
