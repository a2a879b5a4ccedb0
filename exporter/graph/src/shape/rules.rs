//! Which rule tells the outputs of which operator. One module per family.

pub(crate) mod attention;
mod conv;
mod elementwise;
mod gathering;
mod generating;
mod joining;
mod normalisation;
pub(in crate::shape) mod padding;
mod permuting;
mod pool;
pub(crate) mod product;
mod quantising;
mod recurrent;
mod reducing;
mod reshaping;
mod resizing;
pub(in crate::shape) mod slicing;
mod window;

pub(in crate::shape) use generating::steps;

use super::call::{Call, Ruled};

type Rule = fn(&Call<'_>) -> Ruled;

/// The rule of an operator of `ai.onnx`, if there is one.
pub(super) fn find(domain: &str, op: &str) -> Option<Rule> {
    if !domain.is_empty() {
        return None;
    }
    Some(match op {
        "Conv" => conv::conv,
        "ConvInteger" => conv::integer,
        "QLinearConv" => conv::quantised,
        "ConvTranspose" => conv::transposed,

        "MaxPool" | "AveragePool" | "LpPool" => pool::pool,
        "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => pool::global,

        "Gemm" => product::gemm,
        "MatMul" => product::matmul,
        "MatMulInteger" => product::integer,
        "QLinearMatMul" => product::quantised,
        "Einsum" => product::einsum,
        "Attention" => attention::attention,

        "Abs" | "Acos" | "Acosh" | "Asin" | "Asinh" | "Atan" | "Atanh" | "BitwiseNot" | "Ceil" | "Celu"
        | "Clip" | "Cos" | "Cosh" | "Elu" | "Erf" | "Exp" | "Floor" | "Gelu" | "HardSigmoid"
        | "HardSwish" | "Identity" | "LeakyRelu" | "Log" | "Mish" | "Neg" | "Not" | "Reciprocal" | "Relu"
        | "Round" | "Selu" | "Shrink" | "Sigmoid" | "Sign" | "Sin" | "Sinh" | "Softplus" | "Softsign"
        | "Sqrt" | "Swish" | "Tan" | "Tanh" | "ThresholdedRelu" | "PRelu" => elementwise::same,
        "IsNaN" | "IsInf" => elementwise::test,
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Mod" | "BitShift" | "BitwiseAnd" | "BitwiseOr"
        | "BitwiseXor" | "Min" | "Max" | "Sum" | "Mean" => elementwise::arithmetic,
        "And" | "Or" | "Xor" | "Equal" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" => {
            elementwise::comparison
        }
        "Where" => elementwise::choice,
        "Cast" => elementwise::cast,
        "CastLike" => elementwise::cast_like,
        "Dropout" => elementwise::dropout,

        "BatchNormalization" => normalisation::batch,
        "LayerNormalization" => normalisation::layer,
        "InstanceNormalization"
        | "GroupNormalization"
        | "RMSNormalization"
        | "LpNormalization"
        | "MeanVarianceNormalization"
        | "LRN"
        | "Softmax"
        | "LogSoftmax"
        | "Hardmax" => elementwise::same,

        "Concat" => joining::concat,
        "Split" => joining::split,
        "Slice" => slicing::slice,
        "Pad" => padding::pad,

        "Reshape" => reshaping::reshape,
        "Flatten" => reshaping::flatten,
        "Squeeze" => reshaping::squeeze,
        "Unsqueeze" => reshaping::unsqueeze,
        "Expand" => reshaping::expand,
        "Tile" => reshaping::tile,

        "Transpose" => permuting::transpose,
        "DepthToSpace" => permuting::depth_to_space,
        "SpaceToDepth" => permuting::space_to_depth,

        "Resize" | "Upsample" => resizing::resize,
        "GridSample" => resizing::grid_sample,
        "AffineGrid" => resizing::affine_grid,

        "ReduceL1" | "ReduceL2" | "ReduceLogSum" | "ReduceLogSumExp" | "ReduceMax" | "ReduceMean"
        | "ReduceMin" | "ReduceProd" | "ReduceSum" | "ReduceSumSquare" => reducing::reduce,
        "ArgMax" | "ArgMin" => reducing::position,
        "TopK" => reducing::top,
        "CumSum" | "CumProd" | "Trilu" | "ReverseSequence" | "RotaryEmbedding" => elementwise::same,

        "Gather" => gathering::gather,
        "GatherElements" => gathering::elements,
        "GatherND" => gathering::tuples,
        "Scatter" | "ScatterElements" | "ScatterND" | "TensorScatter" => elementwise::same,
        "OneHot" => gathering::one_hot,
        "NonZero" => gathering::non_zero,

        "Constant" => generating::constant,
        "ConstantOfShape" => generating::filled,
        "Range" => generating::range,
        "EyeLike" | "RandomNormalLike" | "RandomUniformLike" | "Bernoulli" => generating::like,
        "RandomNormal" | "RandomUniform" => generating::random,
        "Shape" => generating::shape,
        "Size" => generating::size,

        "QuantizeLinear" => quantising::quantise,
        "DequantizeLinear" => quantising::dequantise,
        "DynamicQuantizeLinear" => quantising::dynamic,

        "LSTM" | "GRU" | "RNN" => recurrent::recurrent,
        _ => return None,
    })
}
