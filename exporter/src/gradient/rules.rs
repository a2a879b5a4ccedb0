//! One rule per operator: how the cotangents of its outputs become those of its inputs.

mod add;
mod average_pool;
mod batch_norm;
mod conv;
mod div;
mod gemm;
mod global_average_pool;
mod identity;
mod matmul;
mod max_pool;
mod mul;
mod reduce;
mod relu;
mod reshape;
mod sub;

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

const RULES: [(&str, Rule); 20] = [
    ("Add", add::rule),
    ("AveragePool", average_pool::rule),
    ("BatchNormalization", batch_norm::rule),
    ("Cast", identity::rule),
    ("Conv", conv::rule),
    ("Div", div::rule),
    ("Dropout", identity::rule),
    ("Flatten", reshape::rule),
    ("Gemm", gemm::rule),
    ("GlobalAveragePool", global_average_pool::rule),
    ("Identity", identity::rule),
    ("MatMul", matmul::rule),
    ("MaxPool", max_pool::rule),
    ("Mul", mul::rule),
    ("ReduceMean", reduce::mean),
    ("ReduceSum", reduce::sum),
    ("Relu", relu::rule),
    ("Reshape", reshape::rule),
    ("Squeeze", reshape::rule),
    ("Sub", sub::rule),
];
