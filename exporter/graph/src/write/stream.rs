//! A model piece by piece: a message cut between its fields is still the same message.

use std::io::{self, Write};

use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use super::convert;
use super::external::Layout;
use crate::ir::{Initializer, Model};
use crate::wire::{EXTERNAL, GraphProto, ModelProto, RAW_DATA, TensorProto};

const GRAPH: u32 = 7;
const NODE: u32 = 1;
const INITIALIZER: u32 = 5;

/// Bytes that [`write`] writes.
pub(super) fn size(model: &Model, layout: &Layout) -> u64 {
    let graph = graph_size(model, layout);
    let (before, after) = (before(model).encoded_len() as u64, after(model).encoded_len() as u64);
    before + field_size(GRAPH, graph) + after
}

/// Writes `model`, weights that `layout` places elsewhere by reference.
pub(super) fn write(model: &Model, layout: &Layout, out: &mut impl Write) -> io::Result<()> {
    let graph = &model.graph;
    out.write_all(&before(model).encode_to_vec())?;
    header(GRAPH, graph_size(model, layout), out)?;
    for node in &graph.nodes {
        let node = convert::node(node);
        header(NODE, node.encoded_len() as u64, out)?;
        out.write_all(&node.encode_to_vec())?;
    }
    for (index, init) in graph.initializers.iter().enumerate() {
        let piece = Piece::new(init, index, layout);
        header(INITIALIZER, piece.size(), out)?;
        piece.write(out)?;
    }
    out.write_all(&interface(model).encode_to_vec())?;
    out.write_all(&after(model).encode_to_vec())
}

fn graph_size(model: &Model, layout: &Layout) -> u64 {
    let nodes =
        model.graph.nodes.iter().map(|node| field_size(NODE, convert::node(node).encoded_len() as u64));
    let weights = model.graph.initializers.iter().enumerate();
    let weights =
        weights.map(|(index, init)| field_size(INITIALIZER, Piece::new(init, index, layout).size()));
    nodes.sum::<u64>() + weights.sum::<u64>() + interface(model).encoded_len() as u64
}

/// An initializer: all but the raw data as a message, the raw data where it is.
struct Piece<'a> {
    message: TensorProto,
    raw: Option<&'a [u8]>,
}

impl<'a> Piece<'a> {
    fn new(init: &'a Initializer, index: usize, layout: &Layout) -> Self {
        let data = &init.tensor.data;
        let mut message = convert::tensor_without_data(&init.name, &init.tensor);
        match layout.entries(index, data.len()) {
            Some(entries) => {
                message.external_data = entries;
                message.data_location = Some(EXTERNAL);
                Self { message, raw: None }
            }
            None => Self { message, raw: Some(data) },
        }
    }

    fn size(&self) -> u64 {
        let raw = self.raw.map_or(0, |raw| field_size(RAW_DATA, raw.len() as u64));
        self.message.encoded_len() as u64 + raw
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&self.message.encode_to_vec())?;
        match self.raw {
            Some(raw) => {
                header(RAW_DATA, raw.len() as u64, out)?;
                out.write_all(raw)
            }
            None => Ok(()),
        }
    }
}

fn header(tag: u32, length: u64, out: &mut impl Write) -> io::Result<()> {
    let mut header = Vec::with_capacity(12);
    encode_key(tag, WireType::LengthDelimited, &mut header);
    encode_varint(length, &mut header);
    out.write_all(&header)
}

fn field_size(tag: u32, length: u64) -> u64 {
    key_len(tag) as u64 + encoded_len_varint(length) as u64 + length
}

/// The model's fields before the graph, by tag.
fn before(model: &Model) -> ModelProto {
    ModelProto {
        ir_version: Some(model.ir_version),
        producer_name: model.producer.clone(),
        ..Default::default()
    }
}

/// The model's fields after the graph, by tag.
fn after(model: &Model) -> ModelProto {
    ModelProto {
        opset_import: convert::opsets(&model.opsets),
        metadata_props: convert::entries(&model.metadata),
        functions: model.functions.iter().map(convert::function).collect(),
        ..Default::default()
    }
}

/// The graph's fields besides nodes and weights.
fn interface(model: &Model) -> GraphProto {
    let graph = &model.graph;
    GraphProto {
        // Checkers refuse a graph without a name.
        name: if graph.name.is_empty() { "graph".into() } else { graph.name.clone() },
        input: convert::value_infos(&graph.inputs),
        output: convert::value_infos(&graph.outputs),
        value_info: convert::typed_value_infos(&graph.value_info),
        ..Default::default()
    }
}
