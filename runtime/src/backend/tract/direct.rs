//! Convolutions that run without im2col, as an operator of tract.

use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::tract_core::model::Rewriter;
use tract_onnx::tract_hir::tract_core::ops::cnn::{Conv, KernelFormat};
use tract_onnx::tract_hir::tract_core::ops::nn::DataFormat;

use super::planes::{CHANNELS, Instructions, Planes};

/// Inputs to one output beyond which a product of matrices, blocked for the cache, is faster.
const MOST_TAPS: usize = 1152;

/// Replaces the convolutions that run faster directly: small dense kernels that move by one, on one image.
pub(super) fn replace(model: &mut TypedModel) -> TractResult<()> {
    Rewriter::<()>::default().with_rule_for("direct-convolution", rule).rewrite(&(), model)
}

fn rule(
    _nothing: &(),
    model: &TypedModel,
    node: &TypedNode,
    name: &str,
    conv: &Conv,
) -> TractResult<Option<TypedModelPatch>> {
    let Some(instructions) = Instructions::here() else { return Ok(None) };
    let facts =
        node.inputs.iter().map(|input| model.outlet_fact(*input)).collect::<TractResult<TVec<_>>>()?;
    let [image, kernel, bias] = &*facts else { return Ok(None) };
    let (Some(planes), Some(kernel), Some(bias)) = (planes(conv, image), &kernel.konst, &bias.konst) else {
        return Ok(None);
    };
    let [channels, taps] =
        [conv.output_channels(), planes.channels * planes.kernel.iter().product::<usize>()];
    let direct = Direct {
        instructions,
        offsets: planes.offsets().into(),
        planes,
        channels,
        taps: pack(kernel, channels, taps)?,
        bias: spread(bias, channels)?,
    };
    TypedModelPatch::replace_single_op(model, node, &node.inputs[..1], direct)
        .map(|patch| Some(patch.with_context(name)))
}

/// The planes of a convolution that is to run directly.
fn planes(conv: &Conv, image: &TypedFact) -> Option<Planes> {
    let pool = &conv.pool_spec;
    let plain = conv.q_params.is_none()
        && conv.group == 1
        && conv.kernel_fmt == KernelFormat::OIHW
        && pool.data_format == DataFormat::NCHW
        && pool.strides().iter().chain(&*pool.dilations()).all(|step| *step == 1)
        && image.datum_type == f32::datum_type();
    let (&[1, channels, rows, columns], &[tall, wide]) = (image.shape.as_concrete()?, &*pool.kernel_shape)
    else {
        return None;
    };
    let [down, across] = &*pool.computed_padding(&[rows, columns]) else { return None };
    let padded = [rows + down.pad_before + down.pad_after, columns + across.pad_before + across.pad_after];
    let output = [down.convoluted, across.convoluted];
    let few = channels * tall * wide <= MOST_TAPS && tall * wide > 1;
    // What is computed between rows is lost.
    let dense = padded[1] * 2 <= output[1] * 3 && conv.output_channels() >= CHANNELS;
    let planes = Planes {
        channels,
        input: [rows, columns],
        before: [down.pad_before, across.pad_before],
        padded,
        kernel: [tall, wide],
        output,
    };
    (plain && few && dense && planes.holds_together()).then_some(planes)
}

/// The kernel in the order in which it is read: by [`CHANNELS`] output channels, then by tap.
fn pack(kernel: &Tensor, channels: usize, taps: usize) -> TractResult<Arc<Tensor>> {
    let blocks = channels.div_ceil(CHANNELS);
    let mut packed = Tensor::zero::<f32>(&[blocks, taps, CHANNELS])?;
    let view = kernel.try_as_plain_ram()?;
    let kernel = view.as_slice::<f32>()?.chunks_exact(taps.max(1)).enumerate();
    let mut target = packed.try_as_plain_ram_mut()?;
    let target = target.as_slice_mut::<f32>()?;
    for (channel, row) in kernel {
        let first = channel / CHANNELS * taps * CHANNELS + channel % CHANNELS;
        let places = target.iter_mut().skip(first).step_by(CHANNELS);
        places.zip(row).for_each(|(place, tap)| *place = *tap);
    }
    Ok(packed.into_arc_tensor())
}

/// One bias per channel.
fn spread(bias: &Tensor, channels: usize) -> TractResult<Arc<Tensor>> {
    let view = bias.try_as_plain_ram()?;
    let spread: Vec<f32> = view.as_slice::<f32>()?.iter().copied().cycle().take(channels).collect();
    ensure!(spread.len() == channels && (bias.len() == 1 || bias.len() == channels), "bias of {bias:?}");
    Tensor::from_shape(&[channels], &spread).map(Tensor::into_arc_tensor)
}

/// A convolution of one image with constant kernel and bias.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Direct {
    instructions: Instructions,
    planes: Planes,
    offsets: Arc<[usize]>,
    channels: usize,
    taps: Arc<Tensor>,
    bias: Arc<Tensor>,
}

impl Op for Direct {
    fn name(&self) -> StaticName {
        "Direct".into()
    }

    fn validation(&self) -> Validation {
        Validation::Rounding
    }

    op_as_typed_op!();
}

impl EvalOp for Direct {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let image = args_1!(inputs);
        let view = image.try_as_plain_ram()?;
        let padded = self.planes.pad(view.as_slice::<f32>()?)?;
        let [rows, columns] = self.planes.output;
        let mut output = Tensor::zero::<f32>(&[1, self.channels, rows, columns])?;
        let (taps, bias) = (self.taps.try_as_plain_ram()?, self.bias.try_as_plain_ram()?);
        self.planes.run(
            self.instructions,
            &padded,
            &self.offsets,
            taps.as_slice::<f32>()?.as_chunks().0,
            bias.as_slice::<f32>()?,
            output.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?,
        )?;
        Ok(tvec!(output.into_tvalue()))
    }
}

impl TypedOp for Direct {
    fn output_facts(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let [rows, columns] = self.planes.output;
        Ok(tvec!(f32::fact([1, self.channels, rows, columns])))
    }

    as_op!();
}
