//! What a graph says about a tensor at its edge.

use offramp_models::TensorSpec;
use ort::value::Outlet;

use super::super::BackendError;
use super::element;

/// One extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// A number.
    Stated(usize),
    /// The extent that bears the batch's name.
    Batch,
    /// Nothing is said.
    Open,
}

/// A tensor at the edge of a graph.
#[derive(Clone, Debug)]
pub(super) struct Form {
    pub(super) spec: TensorSpec,
    extents: Vec<Extent>,
}

impl Form {
    /// Shape at `batch`, `None` if only running tells. A tensor without extents may have any rank.
    pub(super) fn shape_at(&self, batch: usize) -> Option<Vec<usize>> {
        if self.extents.is_empty() {
            return None;
        }
        let extent = |extent: &Extent| match extent {
            Extent::Stated(extent) => Some(*extent),
            Extent::Batch => Some(batch),
            Extent::Open => None,
        };
        self.extents.iter().map(extent).collect()
    }

    /// Whether a tensor of this shape may be this one at `batch`.
    pub(super) fn admits(&self, shape: &[usize], batch: usize) -> bool {
        let fits = |(extent, found): (&Extent, &usize)| match extent {
            Extent::Stated(extent) => extent == found,
            Extent::Batch => batch == *found,
            Extent::Open => true,
        };
        self.extents.is_empty()
            || self.extents.len() == shape.len() && self.extents.iter().zip(shape).all(fits)
    }

    /// The axis that bears the batch's name.
    pub(super) fn batch_axis(&self) -> Option<usize> {
        self.extents.iter().position(|extent| *extent == Extent::Batch)
    }
}

/// Forms of a graph's inputs and outputs. The first name that an input's extent bears is the batch's.
pub(super) fn forms(
    graph: &str,
    inputs: &[Outlet],
    outputs: &[Outlet],
) -> Result<(Vec<Form>, Vec<Form>), BackendError> {
    let batch = inputs.iter().find_map(first_symbol);
    let read = |outlets: &[Outlet], image: bool| {
        outlets.iter().map(|outlet| form(graph, outlet, batch.as_deref(), image)).collect::<Result<_, _>>()
    };
    Ok((read(inputs, true)?, read(outputs, false)?))
}

fn first_symbol(outlet: &Outlet) -> Option<String> {
    let rank = outlet.dtype().tensor_shape().map_or(0, |shape| shape.len());
    (0..rank).filter_map(|axis| symbol(outlet, axis)).find(|name| !name.is_empty())
}

fn symbol(outlet: &Outlet, axis: usize) -> Option<String> {
    match outlet.dtype() {
        ort::value::ValueType::Tensor { dimension_symbols, .. } => dimension_symbols.get(axis).cloned(),
        _ => None,
    }
}

fn form(graph: &str, outlet: &Outlet, batch: Option<&str>, input: bool) -> Result<Form, BackendError> {
    let refused =
        || BackendError::Tensor { graph: graph.to_owned(), tensor: format!("\"{}\"", outlet.name()) };
    let dtype = outlet.dtype().tensor_type().and_then(element::dtype).ok_or_else(refused)?;
    let shape = outlet.dtype().tensor_shape().ok_or_else(refused)?;
    let extent = |(axis, extent): (usize, &i64)| match usize::try_from(*extent) {
        Ok(extent) => Extent::Stated(extent),
        Err(_) => match symbol(outlet, axis) {
            Some(name) if batch == Some(&*name) => Extent::Batch,
            // An image's first axis is its batch, whatever it is called.
            _ if input && axis == 0 => Extent::Batch,
            _ => Extent::Open,
        },
    };
    let extents: Vec<_> = shape.iter().enumerate().map(extent).collect();
    let stated = |extent: &Extent| match extent {
        Extent::Stated(extent) => Some(*extent),
        Extent::Batch | Extent::Open => None,
    };
    let spec =
        TensorSpec { name: outlet.name().to_owned(), dtype, shape: extents.iter().map(stated).collect() };
    Ok(Form { spec, extents })
}
