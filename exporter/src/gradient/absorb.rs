//! Batch normalisation goes into the convolution before it: one node less, forwards and backwards.
//!
//! `scale (W x + b - mean) / sqrt(var + bn_epsilon) + bias` is a convolution with weights and bias of its own. Sums are
//! taken in float64; logits change by rounding only.

use std::collections::{HashMap, HashSet};

use offramp_graph::Index;
use offramp_graph::ir::{Attribute, ElementType, Graph, Initializer, Model, Node, Tensor};
use offramp_models::DType;

/// Puts every batch normalisation into its convolution, where nothing else needs what the convolution gives.
pub(super) fn absorb(model: &mut Model) {
    let graph = &mut model.graph;
    let pairs = pairs(graph);
    let mut constants: HashMap<String, Tensor> =
        graph.initializers.iter().map(|init| (init.name.clone(), init.tensor.clone())).collect();
    let mut gone = HashSet::new();
    for (conv, norm) in pairs {
        let (Some(first), Some(second)) = (graph.nodes.get(conv), graph.nodes.get(norm)) else { continue };
        let Some((weights, bias)) = merged(first, second, &constants) else { continue };
        let output = second.outputs.first().cloned().unwrap_or_default();
        let (weights_name, bias_name) = (format!("{output}.weights"), format!("{output}.bias"));
        if constants.contains_key(&weights_name) || constants.contains_key(&bias_name) {
            continue;
        }
        for (name, tensor) in [(&weights_name, weights), (&bias_name, bias)] {
            constants.insert(name.clone(), tensor.clone());
            graph.initializers.push(Initializer { name: name.clone(), tensor });
        }
        if let Some(node) = graph.nodes.get_mut(conv) {
            let image = node.inputs.first().cloned().unwrap_or_default();
            node.inputs = vec![image, weights_name, bias_name];
            node.outputs = vec![output];
            gone.insert(norm);
        }
    }
    let mut at = 0;
    graph.nodes.retain(|_| {
        at += 1;
        !gone.contains(&(at - 1))
    });
    let made: HashSet<&String> = graph.nodes.iter().flat_map(|node| &node.outputs).collect();
    graph.value_info.retain(|info| made.contains(&info.name));
    let used: HashSet<&String> = graph.nodes.iter().flat_map(|node| &node.inputs).collect();
    graph.initializers.retain(|init| used.contains(&init.name));
}

/// Positions of convolutions and of the normalisations that alone take what they give.
fn pairs(graph: &Graph) -> Vec<(usize, usize)> {
    let index = Index::new(graph);
    let public: HashSet<&str> = graph.outputs.iter().map(|output| output.name.as_str()).collect();
    let pair = |(norm, node): (usize, &Node)| {
        let between =
            node.inputs.first().filter(|_| node.op == "BatchNormalization" && node.domain.is_empty())?;
        let conv = index.producer(between)?;
        let is_conv = graph.nodes.get(conv).is_some_and(|node| node.op == "Conv" && node.domain.is_empty());
        let alone = index.consumers(between) == [norm] && !public.contains(between.as_str());
        (is_conv && alone && node.outputs.iter().skip(1).all(String::is_empty)).then_some((conv, norm))
    };
    graph.nodes.iter().enumerate().filter_map(pair).collect()
}

/// Weights and bias of `conv` and `norm` together.
fn merged(conv: &Node, norm: &Node, constants: &HashMap<String, Tensor>) -> Option<(Tensor, Tensor)> {
    let read = |name: Option<&String>| elements(constants.get(name?)?);
    let weights = constants.get(conv.inputs.get(1)?)?;
    let (outputs, kernels) = (*weights.dims.first()?, elements(weights)?);
    let bias = match conv.inputs.get(2).filter(|name| !name.is_empty()) {
        Some(name) => read(Some(name))?,
        None => vec![0.0; outputs],
    };
    let [scale, shift, mean, variance] = [1, 2, 3, 4].map(|at| read(norm.inputs.get(at)));
    let (scale, shift, mean, variance) = (scale?, shift?, mean?, variance?);
    let epsilon = norm.attributes.iter().find_map(|(name, value)| match (name.as_str(), value) {
        ("epsilon", Attribute::Float(epsilon)) => Some(*epsilon),
        _ => None,
    });
    let training =
        norm.attributes.iter().any(|(name, value)| name == "training_mode" && *value != Attribute::Int(0));
    let factors = factors(&scale, &variance, epsilon.unwrap_or(1e-5));
    let counts = [bias.len(), shift.len(), mean.len(), factors.len()];
    if training
        || outputs == 0
        || kernels.len() % outputs != 0
        || counts.iter().any(|count| *count != outputs)
    {
        return None;
    }
    let kernel = kernels.len() / outputs;
    let scaled = kernels.chunks(kernel.max(1)).zip(&factors);
    let scaled: Vec<f32> = scaled
        .flat_map(|(kernel, factor)| kernel.iter().map(move |weight| (f64::from(*weight) * factor) as f32))
        .collect();
    let shifted =
        |at: usize| ((f64::from(bias[at]) - f64::from(mean[at])) * factors[at] + f64::from(shift[at])) as f32;
    let shifted: Vec<f32> = (0..outputs).map(shifted).collect();
    Some((Tensor::float32(&weights.dims, &scaled), Tensor::float32(&[outputs], &shifted)))
}

/// `scale / sqrt(variance + bn_epsilon)` per channel.
pub(super) fn factors(scale: &[f32], variance: &[f32], bn_epsilon: f32) -> Vec<f64> {
    let factor = |(scale, variance): (&f32, &f32)| {
        f64::from(*scale) / (f64::from(*variance) + f64::from(bn_epsilon)).sqrt()
    };
    scale.iter().zip(variance).map(factor).collect()
}

fn elements(tensor: &Tensor) -> Option<Vec<f32>> {
    let float32 = tensor.dtype == ElementType::Known(DType::Float32);
    float32.then(|| tensor.data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}
