//! One rule per operator: how the cotangents of its outputs become those of its inputs.

mod abs;
mod add;
mod average_pool;
mod batch_norm;
mod clip;
mod concat;
mod conv;
mod conv_transpose;
mod div;
mod elu;
mod erf;
mod exp;
mod expand;
mod extreme;
mod gather;
mod gelu;
mod gemm;
mod global_average_pool;
mod global_max_pool;
mod hard_sigmoid;
mod hard_swish;
mod identity;
mod layer_norm;
mod leaky_relu;
mod log;
mod lrn;
mod matmul;
mod max_pool;
mod mul;
mod neg;
mod pad;
mod pow;
mod prelu;
mod reciprocal;
mod reduce;
mod reduce_extreme;
mod relu;
mod reshape;
mod resize;
mod selection;
mod sigmoid;
mod slice;
mod softmax;
mod softplus;
mod split;
mod sqrt;
mod sub;
mod tanh;
mod transpose;

use super::step::{Ruled, Step};

/// Emits what the node's inputs get.
pub(super) type Rule = fn(&mut Step<'_>) -> Ruled;

/// The rule of an operator.
pub(super) fn find(domain: &str, op: &str) -> Option<Rule> {
    if !domain.is_empty() && domain != "ai.onnx" {
        return None;
    }
    RULES.iter().find(|(name, _)| *name == op).map(|(_, rule)| *rule)
}

/// The operators that have a rule, in order.
pub(super) fn operators() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|(name, _)| *name)
}

const RULES: [(&str, Rule); 60] = [
    ("Abs", abs::rule),
    ("Add", add::rule),
    ("AveragePool", average_pool::rule),
    ("BatchNormalization", batch_norm::rule),
    ("Cast", identity::rule),
    ("Clip", clip::rule),
    ("Concat", concat::rule),
    ("Conv", conv::rule),
    ("ConvTranspose", conv_transpose::rule),
    ("Div", div::rule),
    ("Dropout", identity::rule),
    ("Elu", elu::rule),
    ("Erf", erf::rule),
    ("Exp", exp::rule),
    ("Expand", expand::rule),
    ("Flatten", reshape::rule),
    ("Gather", gather::rule),
    ("Gelu", gelu::rule),
    ("Gemm", gemm::rule),
    ("GlobalAveragePool", global_average_pool::rule),
    ("GlobalMaxPool", global_max_pool::rule),
    ("HardSigmoid", hard_sigmoid::rule),
    ("HardSwish", hard_swish::rule),
    ("Identity", identity::rule),
    ("LRN", lrn::rule),
    ("LayerNormalization", layer_norm::rule),
    ("LeakyRelu", leaky_relu::rule),
    ("Log", log::rule),
    ("LogSoftmax", softmax::logarithmic),
    ("MatMul", matmul::rule),
    ("Max", extreme::rule),
    ("MaxPool", max_pool::rule),
    ("Min", extreme::rule),
    ("Mul", mul::rule),
    ("Neg", neg::rule),
    ("PRelu", prelu::rule),
    ("Pad", pad::rule),
    ("Pow", pow::rule),
    ("Reciprocal", reciprocal::rule),
    ("ReduceMax", reduce_extreme::rule),
    ("ReduceMean", reduce::mean),
    ("ReduceMin", reduce_extreme::rule),
    ("ReduceSum", reduce::sum),
    ("Relu", relu::rule),
    ("Reshape", reshape::rule),
    ("Resize", resize::rule),
    ("Sigmoid", sigmoid::rule),
    ("Slice", slice::rule),
    ("Softmax", softmax::rule),
    ("Softplus", softplus::rule),
    ("Split", split::rule),
    ("Sqrt", sqrt::rule),
    ("Squeeze", reshape::rule),
    ("Sub", sub::rule),
    ("Sum", add::rule),
    ("Tanh", tanh::rule),
    ("Transpose", transpose::rule),
    ("Unsqueeze", reshape::rule),
    ("Upsample", resize::rule),
    ("Where", selection::rule),
];
