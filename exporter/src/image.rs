//! How the network wants its image.

use offramp_graph::ir::{Dim, ElementType, Graph, ValueInfo};
use offramp_models::{DType, Input, Layout};

use crate::ExportError;

/// What the model's file cannot say about its input.
#[derive(Clone, Debug, Default)]
pub struct Normalisation {
    /// Per channel, in units of `range`.
    pub mean: Option<Vec<f32>>,
    /// Per channel, in units of `range`.
    pub std: Option<Vec<f32>>,
    /// Values of black and white; default [0, 1] for float32 and [0, 255] for uint8.
    pub range: Option<[f32; 2]>,
}

/// Channel counts by which a layout is told: grey, RGB, RGBA.
const CHANNELS: [usize; 3] = [1, 3, 4];

/// Describes the network's only input.
///
/// # Errors
/// `Input` when there is none or more than one, or it is no image of known size.
pub fn describe(graph: &Graph, normalisation: Normalisation) -> Result<Input, ExportError> {
    let [info] = graph.inputs.as_slice() else {
        let names: Vec<_> = graph.inputs.iter().map(|input| format!("\"{}\"", input.name)).collect();
        let found = match names.len() {
            0 => "no input".to_owned(),
            many => format!("{many} inputs ({})", names.join(", ")),
        };
        return Err(ExportError::Input { found });
    };
    let refused = || ExportError::Input { found: spell(info) };
    let dtype = match info.dtype {
        Some(ElementType::Known(dtype @ (DType::Float32 | DType::Uint8))) => dtype,
        _ => return Err(refused()),
    };
    let [batch, a, b, c] = info.dims.as_deref().unwrap_or_default() else { return Err(refused()) };
    let known = |dim: &Dim| match dim {
        Dim::Known(extent @ 1..) => Some(*extent),
        _ => None,
    };
    let (Some(a), Some(b), Some(c)) = (known(a), known(b), known(c)) else { return Err(refused()) };
    let layout = match (CHANNELS.contains(&a), CHANNELS.contains(&c)) {
        (false, true) => Layout::Nhwc,
        (true, _) => Layout::Nchw,
        // Neither is a usual count: pictures have more rows than channels.
        (false, false) if a <= b.min(c) => Layout::Nchw,
        (false, false) => return Err(refused()),
    };
    let range = normalisation.range.unwrap_or(if dtype == DType::Uint8 { [0.0, 255.0] } else { [0.0, 1.0] });
    Ok(Input {
        name: info.name.clone(),
        dtype,
        shape: vec![known(batch), Some(a), Some(b), Some(c)],
        layout,
        range,
        mean: normalisation.mean,
        std: normalisation.std,
    })
}

fn spell(info: &ValueInfo) -> String {
    let dtype = match info.dtype {
        Some(ElementType::Known(dtype)) => dtype.to_string(),
        Some(ElementType::Other(number)) => format!("element type {number}"),
        None => "unknown type".to_owned(),
    };
    let extent = |dim: &Dim| match dim {
        Dim::Known(extent) => extent.to_string(),
        Dim::Named(name) => name.clone(),
        Dim::Unknown => "?".to_owned(),
    };
    let dims = info.dims.as_ref().map_or_else(
        || "unknown rank".to_owned(),
        |dims| format!("[{}]", dims.iter().map(extent).collect::<Vec<_>>().join(", ")),
    );
    format!("\"{}\", {dtype} {dims}", info.name)
}
