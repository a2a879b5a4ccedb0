//! Two models out of one: the network with residuals as outputs, and what was emitted.

use std::collections::{HashMap, HashSet};

use offramp_graph::extract;
use offramp_graph::ir::{Dim, ElementType, Graph, Initializer, Model, Node, ValueInfo};
use offramp_graph::shape::{self, Extent, Shapes, TensorShape};
use offramp_models::DType;

use super::absorb::absorb;
use super::emitter::{Emitter, ints, target};
use super::forward::Forward;
use super::{GradientError, Gradients, cotangent_name, gradient_name, layout, tape};

/// The oldest operator set that has all operators the rules emit.
const OLDEST: i64 = 9;

/// Derives `logits` of `model` with respect to `input`.
pub(super) fn assemble(model: &Model, input: &str, logits: &[String]) -> Result<Gradients, GradientError> {
    let opset = model.opsets.get("").copied().unwrap_or_default();
    if opset < OLDEST {
        return Err(GradientError::OperatorSet { found: opset });
    }
    let shapes = shape::infer(model)?;
    let types = |name: &str| shapes.get(name).and_then(|shape| info(name, shape).ok());
    let mut network = extract(model, &[input.to_owned()], logits, &types)?;
    absorb(&mut network);
    let shapes = shape::infer(&network)?;
    let taken = names(&network.graph);
    let mut reserved: Vec<String> = logits.iter().map(|logits| cotangent_name(logits)).collect();
    reserved.push(gradient_name(input));
    if let Some(tensor) = reserved.iter().find(|name| taken.contains(*name)) {
        return Err(GradientError::Taken { tensor: tensor.clone() });
    }

    let forward = Forward::new(&network, shapes);
    let mut emitter = Emitter::new(taken.into_iter().chain(reserved).collect());
    let pairs: Vec<_> = logits.iter().map(|logits| (logits.clone(), cotangent_name(logits))).collect();
    let found = tape::walk(&forward, &mut emitter, &pairs, input)?;
    let output = named(&mut emitter, found, input);
    let crossing = crossing(&forward, &mut emitter, &output, input, logits)?;

    let mut network = network.clone();
    let mut blocks = HashSet::new();
    layout::keep(
        &mut network.graph.nodes,
        &mut blocks,
        |name| forward.shapes.get(name),
        |name| emitter.name(&format!("joined.{name}")),
    );
    let Emitter { nodes, forms, .. } = &mut emitter;
    let (mut nodes, forms) = (std::mem::take(nodes), std::mem::take(forms));
    layout::keep(
        &mut nodes,
        &mut blocks,
        |name| forms.get(name).or_else(|| forward.shapes.get(name)),
        |name| emitter.name(&format!("joined.{name}")),
    );
    (emitter.nodes, emitter.forms) = (nodes, forms);

    let backward = Model {
        ir_version: network.ir_version,
        producer: network.producer.clone(),
        opsets: [(String::new(), opset)].into(),
        graph: backward_graph(&forward, emitter, logits, &crossing.infos, input, output)?,
        ..Model::default()
    };
    Ok(Gradients { forward: forward_model(network, &forward.shapes, logits, crossing)?, backward })
}

/// Calls the gradient by its name.
fn named(emitter: &mut Emitter, found: String, input: &str) -> String {
    let name = gradient_name(input);
    if !emitter.nodes.iter().any(|node| node.outputs.contains(&found)) {
        emitter.nodes.push(Node {
            name: name.clone(),
            op: "Identity".to_owned(),
            inputs: vec![found],
            outputs: vec![name.clone()],
            ..Node::default()
        });
        return name;
    }
    for node in &mut emitter.nodes {
        for tensor in node.inputs.iter_mut().chain(&mut node.outputs).filter(|tensor| **tensor == found) {
            tensor.clone_from(&name);
        }
    }
    name
}

/// What crosses from the forward to the backward graph.
#[derive(Default)]
struct Crossing {
    /// Residuals, in the order in which the backward graph comes to need them.
    infos: Vec<ValueInfo>,
    /// Nodes and constants that bring residuals into a form that can cross.
    nodes: Vec<Node>,
    constants: Vec<Initializer>,
}

/// Drops what the gradient does not need, copies constants, and finds the residuals.
fn crossing(
    forward: &Forward<'_>,
    emitter: &mut Emitter,
    output: &str,
    input: &str,
    logits: &[String],
) -> Result<Crossing, GradientError> {
    let cotangents: HashSet<String> = logits.iter().map(|logits| cotangent_name(logits)).collect();
    let mut crossing = Crossing::default();
    let mut renames = HashMap::new();
    for name in tape::live(emitter, output) {
        if cotangents.contains(&name) {
            continue;
        }
        if let Some(tensor) = forward.constant(&name) {
            renames.insert(name, emitter.constant(tensor.clone()));
            continue;
        }
        let shape = forward.shapes.require(&name)?;
        let extents = crossing_extents(&name, shape)?;
        let copied = name == input;
        if !copied && extents == shape.extents {
            crossing.infos.push(info(&name, shape)?);
            continue;
        }
        // Under another name: the image itself cannot be an output, a multiple of the batch cannot cross.
        let shown = emitter.name(&format!("residual.{name}"));
        let reshaped = TensorShape { dtype: shape.dtype, extents };
        crossing.infos.push(info(&shown, &reshaped)?);
        let open = || GradientError::Open { tensor: name.clone(), found: shape.to_string() };
        let reshape = |to: &[Extent],
                       from: &str,
                       name: &str,
                       constant: String|
         -> (Node, Option<Initializer>) {
            let inputs = vec![from.to_owned(), constant.clone()];
            let outputs = vec![name.to_owned()];
            let node =
                Node { name: name.to_owned(), op: "Reshape".to_owned(), inputs, outputs, ..Node::default() };
            let tensor = target(to).map(|target| ints(&[target.len()], &target));
            (node, tensor.map(|tensor| Initializer { name: constant, tensor }))
        };
        if copied && reshaped.extents == shape.extents {
            let inputs = vec![name.clone()];
            let outputs = vec![shown.clone()];
            let (label, op) = (shown.clone(), "Identity".to_owned());
            crossing.nodes.push(Node { name: label, op, inputs, outputs, ..Node::default() });
            renames.insert(name, shown);
            continue;
        }
        let (node, constant) = reshape(&reshaped.extents, &name, &shown, format!("{shown}.target"));
        crossing.constants.push(constant.ok_or_else(open)?);
        crossing.nodes.push(node);
        let back = emitter.name(&name);
        let (node, constant) = reshape(&shape.extents, &shown, &back, format!("{back}.target"));
        emitter.constants.push(constant.ok_or_else(open)?);
        emitter.nodes.insert(0, node);
        renames.insert(name, back);
    }
    for name in emitter.nodes.iter_mut().flat_map(|node| &mut node.inputs) {
        if let Some(new) = renames.get(name) {
            name.clone_from(new);
        }
    }
    Ok(crossing)
}

/// The extents in which a residual crosses: a multiple of the batch becomes the batch and the rest.
fn crossing_extents(name: &str, shape: &TensorShape) -> Result<Vec<Extent>, GradientError> {
    let open = shape.extents.iter().filter(|extent| !matches!(extent, Extent::Known(_))).count();
    if open > 1 || shape.extents.contains(&Extent::Unknown) {
        return Err(GradientError::Open { tensor: name.to_owned(), found: shape.to_string() });
    }
    let split = |extent: &Extent| match extent {
        Extent::Batch(factor @ 2..) => vec![Extent::Batch(1), Extent::Known(*factor)],
        other => vec![*other],
    };
    Ok(shape.extents.iter().flat_map(split).collect())
}

fn backward_graph(
    forward: &Forward<'_>,
    emitter: Emitter,
    logits: &[String],
    residuals: &[ValueInfo],
    input: &str,
    output: String,
) -> Result<Graph, GradientError> {
    let describe = |name: &str, of: &str| -> Result<ValueInfo, GradientError> {
        let shape = forward.shapes.require(of)?;
        let float32 = ElementType::Known(DType::Float32);
        info(name, &TensorShape { dtype: float32, extents: shape.extents.clone() })
    };
    let cotangents = logits.iter().map(|logits| describe(&cotangent_name(logits), logits));
    let mut inputs = cotangents.collect::<Result<Vec<_>, _>>()?;
    inputs.extend(residuals.iter().cloned());
    let inner = emitter.nodes.iter().flat_map(|node| &node.outputs).filter(|name| **name != output);
    let value_info = inner.filter_map(|name| info(name, emitter.forms.get(name)?).ok()).collect();
    Ok(Graph {
        name: "gradient".to_owned(),
        value_info,
        nodes: emitter.nodes,
        initializers: emitter.constants,
        inputs,
        outputs: vec![describe(&output, input)?],
    })
}

fn forward_model(
    mut model: Model,
    shapes: &Shapes,
    logits: &[String],
    crossing: Crossing,
) -> Result<Model, GradientError> {
    let graph = &mut model.graph;
    graph.nodes.extend(crossing.nodes);
    graph.initializers.extend(crossing.constants);
    graph.outputs = logits
        .iter()
        .map(|name| info(name, shapes.require(name)?))
        .collect::<Result<Vec<_>, GradientError>>()?;
    graph.outputs.extend(crossing.infos.into_iter().filter(|info| !logits.contains(&info.name)));
    let public: HashSet<&str> = graph.outputs.iter().map(|output| output.name.as_str()).collect();
    graph.value_info.retain(|info| !public.contains(info.name.as_str()));
    Ok(model)
}

/// A tensor as a graph's edge states it; the batch is called `batch`.
fn info(name: &str, shape: &TensorShape) -> Result<ValueInfo, GradientError> {
    let dim = |extent: &Extent| match extent {
        Extent::Known(extent) => Ok(Dim::Known(*extent)),
        Extent::Batch(1) => Ok(Dim::Named("batch".to_owned())),
        Extent::Batch(_) | Extent::Unknown => {
            Err(GradientError::Open { tensor: name.to_owned(), found: shape.to_string() })
        }
    };
    let dims = shape.extents.iter().map(dim).collect::<Result<_, _>>()?;
    Ok(ValueInfo { name: name.to_owned(), dtype: Some(shape.dtype), dims: Some(dims) })
}

fn names(graph: &Graph) -> HashSet<String> {
    let constants = graph.initializers.iter().map(|init| &init.name);
    let results = graph.nodes.iter().flat_map(|node| &node.outputs);
    graph.inputs.iter().map(|input| &input.name).chain(constants).chain(results).cloned().collect()
}
