//! Keeps sums and masks in the layout of the convolutions around them.
//!
//! ONNX Runtime runs convolutions and pools on channels in blocks, and sums, products and some activations too where all
//! that they take is in blocks. A tensor that comes from elsewhere (a reshape, a gather) turns a whole chain of sums back
//! to plain rows. A pool over single elements, which changes nothing, brings such a tensor into blocks where it joins.

use std::collections::HashSet;

use offramp_graph::ir::{Attribute, Node};
use offramp_graph::shape::{Extent, TensorShape};

/// Channels of which blocks are whole on every processor.
const BLOCK: usize = 16;

/// Lets what joins tensors in `blocks` become one; adds to `blocks` what `nodes` leave in it.
pub(super) fn keep<'s>(
    nodes: &mut Vec<Node>,
    blocks: &mut HashSet<String>,
    shape: impl Fn(&str) -> Option<&'s TensorShape>,
    mut fresh: impl FnMut(&str) -> String,
) {
    let mut kept = Vec::with_capacity(nodes.len());
    for mut node in nodes.drain(..) {
        let inside: Vec<bool> = node.inputs.iter().map(|input| blocks.contains(input)).collect();
        let joins = matches!(node.op.as_str(), "Add" | "Mul") && inside.contains(&true);
        if joins && node.inputs.iter().all(|input| shape(input).is_some_and(is_picture)) {
            for (input, _) in node.inputs.iter_mut().zip(&inside).filter(|(_, inside)| !**inside) {
                let entered = fresh(input);
                blocks.insert(entered.clone());
                kept.push(pool(input, &entered));
                *input = entered;
            }
        }
        if stays(&node, blocks) {
            blocks.extend(node.outputs.iter().take(1).cloned());
        }
        kept.push(node);
    }
    *nodes = kept;
}

/// Whether ONNX Runtime computes the node's first output in blocks.
fn stays(node: &Node, blocks: &HashSet<String>) -> bool {
    let taken = |count: usize| node.inputs.iter().take(count).all(|input| blocks.contains(input));
    match node.op.as_str() {
        _ if !node.domain.is_empty() => false,
        "Conv" | "MaxPool" | "AveragePool" => true,
        "Add" | "Mul" => taken(2),
        "HardSigmoid" | "Relu" | "Sigmoid" | "Tanh" => taken(1),
        _ => false,
    }
}

/// Whether a tensor is `[batch, channels, rows, columns]` of whole blocks and more than one element a channel.
fn is_picture(shape: &TensorShape) -> bool {
    match shape.extents.as_slice() {
        [_, Extent::Known(channels), Extent::Known(rows), Extent::Known(columns)] => {
            channels % BLOCK == 0 && rows * columns > 1
        }
        _ => false,
    }
}

fn pool(from: &str, to: &str) -> Node {
    Node {
        name: to.to_owned(),
        op: "MaxPool".to_owned(),
        inputs: vec![from.to_owned()],
        outputs: vec![to.to_owned()],
        attributes: vec![("kernel_shape".to_owned(), Attribute::Ints(vec![1, 1]))],
        ..Node::default()
    }
}
