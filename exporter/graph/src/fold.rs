//! What no image changes, taken out of the graph.
//!
//! Constants become initialisers, integer arithmetic on shapes is carried out, targets of `Reshape` that hang on the
//! batch become constants with a free extent, nodes that change nothing vanish, and so does what nothing needs. Every
//! result stays the same to the bit. Float arithmetic on constants is only pointed out: computing it takes an engine.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use offramp_models::DType;

use crate::ir::{Attribute, ElementType, Graph, Initializer, Model, Node, Tensor};
use crate::shape::{self, Element, Extent, ShapeError, Shapes, TensorShape};

/// A folded model.
#[derive(Clone, Debug)]
pub struct Folded {
    /// The model.
    pub model: Model,
    /// Tensors that hang on constants alone and that nodes which hang on the image read.
    pub constants: Vec<String>,
}

/// Folds `model`.
///
/// # Errors
/// [`ShapeError`] when operands contradict each other.
pub fn fold(mut model: Model) -> Result<Folded, ShapeError> {
    let shapes = shape::infer(&model)?;
    let graph = &mut model.graph;
    let kept: HashSet<String> = graph.outputs.iter().map(|output| output.name.clone()).collect();
    constants_to_initializers(graph, &shapes, &kept);
    free_reshapes(graph, &shapes);
    drop_identities(graph, &shapes, &kept);
    sweep(graph);
    let constants = frontier(graph);
    Ok(Folded { model, constants })
}

/// Puts computed values in the place of nodes, and drops what then is dead.
pub fn substitute(model: &mut Model, values: Vec<Initializer>) {
    let given: HashSet<String> = values.iter().map(|value| value.name.clone()).collect();
    model.graph.nodes.retain(|node| !node.outputs.iter().any(|output| given.contains(output)));
    model.graph.initializers.extend(values);
    sweep(&mut model.graph);
}

fn constants_to_initializers(graph: &mut Graph, shapes: &Shapes, kept: &HashSet<String>) {
    let mut made = Vec::new();
    graph.nodes.retain(|node| {
        let [output] = node.outputs.as_slice() else { return true };
        if kept.contains(output) {
            return true;
        }
        let tensor = constant_of(node).or_else(|| shapes.get(output).and_then(value_of));
        match tensor {
            Some(tensor) => {
                made.push(Initializer { name: output.clone(), tensor });
                false
            }
            None => true,
        }
    });
    graph.initializers.extend(made);
}

fn constant_of(node: &Node) -> Option<Tensor> {
    if node.op != "Constant" || !node.domain.is_empty() {
        return None;
    }
    let int64 = |dims, numbers: &[i64]| tensor(DType::Int64, dims, numbers.iter().flat_map(|n| n.to_le_bytes()));
    let float = |dims, numbers: &[f32]| tensor(DType::Float32, dims, numbers.iter().flat_map(|n| n.to_le_bytes()));
    match node.attributes.first()? {
        (_, Attribute::Tensor(tensor)) => Some(tensor.clone()),
        (_, Attribute::Int(number)) => Some(int64(Vec::new(), &[*number])),
        (_, Attribute::Ints(numbers)) => Some(int64(vec![numbers.len()], numbers)),
        (_, Attribute::Float(number)) => Some(float(Vec::new(), &[*number])),
        (_, Attribute::Floats(numbers)) => Some(float(vec![numbers.len()], numbers)),
        _ => None,
    }
}

fn tensor(dtype: DType, dims: Vec<usize>, bytes: impl Iterator<Item = u8>) -> Tensor {
    Tensor { dtype: ElementType::Known(dtype), dims, data: bytes.collect::<Vec<_>>().into() }
}

/// The constant that a shape's arithmetic came to.
fn value_of(shape: &TensorShape) -> Option<Tensor> {
    let numbers = shape.value.as_ref()?.iter().map(|element| element.number()).collect::<Option<Vec<_>>>()?;
    let dims: Vec<usize> = shape.extents.as_ref()?.iter().map(|extent| extent.known()).collect::<Option<_>>()?;
    if dims.iter().product::<usize>() != numbers.len() {
        return None;
    }
    let bytes: Vec<u8> = match shape.dtype? {
        DType::Int64 => numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
        DType::Int32 => {
            let narrow = numbers.iter().map(|number| i32::try_from(*number).ok()).collect::<Option<Vec<_>>>()?;
            narrow.iter().flat_map(|number| number.to_le_bytes()).collect()
        }
        DType::Bool => numbers.iter().map(|number| u8::from(*number != 0)).collect(),
        _ => return None,
    };
    Some(Tensor { dtype: ElementType::Known(shape.dtype?), dims, data: Bytes::from(bytes) })
}

/// Gives a `Reshape` whose target hangs on the batch a constant target with one free extent.
fn free_reshapes(graph: &mut Graph, shapes: &Shapes) {
    let mut made = Vec::new();
    let initializers: HashSet<&str> = graph.initializers.iter().map(|i| i.name.as_str()).collect();
    for node in &mut graph.nodes {
        let [data, target, ..] = node.inputs.as_slice() else { continue };
        if node.op != "Reshape" || initializers.contains(target.as_str()) {
            continue;
        }
        let Some(numbers) = free_target(shapes.get(data), shapes.get(target)) else { continue };
        let name = format!("{target}.free.{}", made.len());
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes());
        made.push(Initializer { name: name.clone(), tensor: tensor(DType::Int64, vec![numbers.len()], bytes) });
        node.inputs[1] = name;
    }
    graph.initializers.extend(made);
}

fn free_target(data: Option<&TensorShape>, target: Option<&TensorShape>) -> Option<Vec<i64>> {
    let from = data?.extents.as_ref()?;
    let mut free = false;
    let mut number = |(at, element): (usize, &Element)| match element {
        Element::Number(-1) if free => None,
        Element::Number(number) => {
            free |= *number == -1;
            Some(*number)
        }
        Element::Batch(1) if from.get(at) == Some(&Extent::Batch(1)) => Some(0),
        _ if free => None,
        _ => {
            free = true;
            Some(-1)
        }
    };
    target?.value.as_ref()?.iter().enumerate().map(&mut number).collect()
}

/// Takes out nodes that pass their first input on.
fn drop_identities(graph: &mut Graph, shapes: &Shapes, kept: &HashSet<String>) {
    let passes = |node: &Node| match node.op.as_str() {
        _ if !matches!(node.domain.as_str(), "" | "ai.onnx") => false,
        "Identity" => true,
        "Dropout" => node.outputs.iter().skip(1).all(String::is_empty) && node.inputs.len() < 3,
        "Cast" => {
            let type_of = |tensor: Option<&String>| shapes.get(tensor?)?.dtype;
            type_of(node.inputs.first()).is_some() && type_of(node.inputs.first()) == type_of(node.outputs.first())
        }
        _ => false,
    };
    let mut instead: HashMap<String, String> = HashMap::new();
    graph.nodes.retain_mut(|node| {
        for input in &mut node.inputs {
            if let Some(source) = instead.get(input) {
                input.clone_from(source);
            }
        }
        let (Some(input), Some(output)) = (node.inputs.first(), node.outputs.first()) else { return true };
        // Sub-graphs name outer tensors themselves; what they capture keeps its name.
        if passes(node) && !kept.contains(output) {
            instead.insert(output.clone(), input.clone());
            return false;
        }
        true
    });
    if graph.nodes.iter().any(|node| node.subgraphs().next().is_some()) {
        let restore = instead.into_iter().map(|(output, input)| Node {
            op: "Identity".to_owned(),
            inputs: vec![input],
            outputs: vec![output],
            ..Node::default()
        });
        let restored: Vec<Node> = restore.collect();
        graph.nodes.splice(0..0, restored);
    }
}

/// Drops nodes and initialisers that no output needs.
fn sweep(graph: &mut Graph) {
    let needed: HashSet<String> = {
        let index = crate::Index::new(graph);
        let mut waiting: Vec<&str> = graph.outputs.iter().map(|output| output.name.as_str()).collect();
        let mut needed = HashSet::new();
        while let Some(tensor) = waiting.pop() {
            if needed.insert(tensor.to_owned())
                && let Some(node) = index.producer(tensor)
            {
                waiting.extend(index.needs(node));
            }
        }
        needed
    };
    graph.nodes.retain(|node| node.outputs.iter().any(|output| needed.contains(output)));
    graph.initializers.retain(|initializer| needed.contains(&initializer.name));
}

/// Tensors made of constants alone that something else reads.
fn frontier(graph: &Graph) -> Vec<String> {
    let mut constant: HashSet<&str> = graph.initializers.iter().map(|i| i.name.as_str()).collect();
    let mut made: Vec<&str> = Vec::new();
    for node in &graph.nodes {
        let inputs = || node.inputs.iter().filter(|input| !input.is_empty());
        let random = node.op.starts_with("Random") || matches!(node.op.as_str(), "Bernoulli" | "Multinomial");
        if node.subgraphs().next().is_none() && !random && inputs().all(|input| constant.contains(input.as_str())) {
            constant.extend(node.outputs.iter().map(String::as_str));
            made.extend(node.outputs.iter().map(String::as_str));
        }
    }
    let varying = graph.nodes.iter().filter(|node| !node.outputs.iter().all(|output| constant.contains(output.as_str())));
    let read: HashSet<&str> = varying.flat_map(|node| &node.inputs).map(String::as_str).collect();
    made.into_iter().filter(|tensor| read.contains(tensor)).map(str::to_owned).collect()
}
