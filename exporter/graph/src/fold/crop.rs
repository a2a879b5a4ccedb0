//! Paddings below zero.
//!
//! They crop. Engines disagree about them (tract stops the process), and none disagrees about `Slice`.

use bytes::Bytes;
use offramp_models::DType;

use crate::ir::{Attribute, ElementType, Graph, Initializer, Model, Node, Tensor};
use crate::names::Names;
use crate::shape::Shapes;

/// Makes of every constant `Pad` that crops a `Slice`, and a `Pad` by what is left. Source: Pad-2, -11, -13; Slice-1, -10.
pub(super) fn crop(model: &mut Model, shapes: &Shapes, names: &mut Names) {
    let opset = model.opsets.get("").copied().unwrap_or(i64::MAX);
    let nodes = std::mem::take(&mut model.graph.nodes);
    for mut node in nodes {
        if let Some(pads) = cropping(&node, shapes) {
            let slice = cut(&mut node, &pads, opset, &mut model.graph, names);
            model.graph.nodes.push(slice);
        }
        model.graph.nodes.push(node);
    }
}

/// The paddings of a `Pad` of constants over all axes, where one is below zero.
fn cropping(node: &Node, shapes: &Shapes) -> Option<Vec<i64>> {
    let constant = |(name, value): &(String, Attribute)| {
        name != "mode" || matches!(value, Attribute::String(mode) if mode.as_ref() == b"constant")
    };
    let all_axes = node.inputs.get(3).is_none_or(String::is_empty);
    if node.op != "Pad" || !node.domain.is_empty() || !all_axes || !node.attributes.iter().all(constant) {
        return None;
    }
    let stated = node.attributes.iter().find(|(name, _)| name == "pads");
    let pads: Vec<i64> = match stated {
        Some((_, Attribute::Ints(pads))) => pads.clone(),
        _ => shapes
            .value(node.inputs.get(1)?)?
            .elems()
            .iter()
            .map(|elem| elem.whole())
            .collect::<Option<_>>()?,
    };
    (pads.len().is_multiple_of(2) && pads.iter().any(|pad| *pad < 0)).then_some(pads)
}

/// Leaves `node` what it adds, and returns what crops before it.
fn cut(node: &mut Node, pads: &[i64], opset: i64, graph: &mut Graph, names: &mut Names) -> Node {
    let rank = pads.len() / 2;
    let starts: Vec<i64> = pads[..rank].iter().map(|pad| pad.saturating_neg().max(0)).collect();
    let ends: Vec<i64> = pads[rank..].iter().map(|pad| if *pad < 0 { *pad } else { i64::MAX }).collect();
    let added: Vec<i64> = pads.iter().map(|pad| (*pad).max(0)).collect();
    let output = node.outputs.first().cloned().unwrap_or_default();
    let cropped = names.fresh(&format!("{output}/cropped"));
    let mut constant = |suffix: &str, numbers: &[i64]| {
        let name = names.fresh(&format!("{output}/{suffix}"));
        graph.initializers.push(Initializer { name: name.clone(), tensor: whole_numbers(numbers) });
        name
    };
    let image = node.inputs.first().cloned().unwrap_or_default();
    let mut slice = Node { op: "Slice".to_owned(), outputs: vec![cropped.clone()], ..Node::default() };
    if opset >= 10 {
        slice.inputs = vec![image, constant("starts", &starts), constant("ends", &ends)];
    } else {
        slice.inputs = vec![image];
        slice.attributes =
            vec![("starts".to_owned(), Attribute::Ints(starts)), ("ends".to_owned(), Attribute::Ints(ends))];
    }
    if let Some(first) = node.inputs.first_mut() {
        *first = cropped;
    }
    match node.attributes.iter_mut().find(|(name, _)| name == "pads") {
        Some((_, value)) => *value = Attribute::Ints(added),
        None => {
            let name = constant("pads", &added);
            if let Some(pads) = node.inputs.get_mut(1) {
                *pads = name;
            }
        }
    }
    slice
}

fn whole_numbers(numbers: &[i64]) -> Tensor {
    let data: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    Tensor { dtype: ElementType::Known(DType::Int64), dims: vec![numbers.len()], data: Bytes::from(data) }
}
