//! One node on the way back: what a rule sees, and where it puts what it finds.

use bytes::Bytes;
use offramp_graph::ir::{Attribute, ElementType, Node, Tensor};
use offramp_graph::shape::{Extent, ShapeError, TensorShape};
use offramp_models::DType;

use super::GradientError;
use super::emitter::{Attributes, Emitter, ints, target};
use super::forward::Forward;

/// A node whose outputs' cotangents are complete.
pub(super) struct Step<'a> {
    pub node: &'a Node,
    pub opset: i64,
    forward: &'a Forward<'a>,
    emitter: &'a mut Emitter,
    cotangents: Vec<Option<String>>,
    given: Vec<(String, String)>,
}

/// What a rule answers.
pub(super) type Ruled = Result<(), GradientError>;

impl<'a> Step<'a> {
    pub fn new(
        node: &'a Node,
        forward: &'a Forward<'a>,
        emitter: &'a mut Emitter,
        cotangents: Vec<Option<String>>,
    ) -> Self {
        Self { node, opset: forward.opset, forward, emitter, cotangents, given: Vec::new() }
    }

    /// Pairs of a forward tensor and a cotangent that the rule found for it.
    pub fn finish(self) -> Vec<(String, String)> {
        self.given
    }

    /// The cotangent of output `at`, `None` where no exit depends on it.
    pub fn cotangent(&self, at: usize) -> Option<String> {
        self.cotangents.get(at).cloned().flatten()
    }

    /// The cotangent of the first output.
    pub fn upstream(&self) -> Result<String, GradientError> {
        self.cotangent(0).ok_or_else(|| self.unsupported("a first output that no exit depends on"))
    }

    /// Whether input `at` is there and needs a cotangent.
    pub fn wants(&self, at: usize) -> bool {
        self.node.inputs.get(at).is_some_and(|input| self.forward.is_reached(input))
    }

    /// Says that `cotangent` flows into input `at`; of the input's shape.
    pub fn give(&mut self, at: usize, cotangent: String) {
        if let Some(input) = self.node.inputs.get(at) {
            self.given.push((input.clone(), cotangent));
        }
    }

    /// The name of input `at`: a constant, or a residual if the backward graph comes to use it.
    pub fn input(&self, at: usize) -> Result<&'a str, GradientError> {
        self.optional(at)
            .ok_or_else(|| GradientError::MissingInput { node: self.node.to_string(), input: at })
    }

    /// The name of input `at`, `None` where it is left out.
    pub fn optional(&self, at: usize) -> Option<&'a str> {
        self.node.inputs.get(at).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The name of the first output, a residual if the backward graph comes to use it.
    pub fn output(&self) -> &'a str {
        self.node.outputs.first().map_or("", String::as_str)
    }

    /// Extents of input `at`.
    pub fn extents(&self, at: usize) -> Result<&'a [Extent], GradientError> {
        self.extents_of(self.input(at)?)
    }

    /// Extents of output `at`.
    pub fn output_extents(&self, at: usize) -> Result<&'a [Extent], GradientError> {
        self.extents_of(self.node.outputs.get(at).map_or("", String::as_str))
    }

    fn extents_of(&self, tensor: &str) -> Result<&'a [Extent], GradientError> {
        let shape: Result<&TensorShape, ShapeError> = self.forward.shapes.require(tensor);
        Ok(&shape?.extents)
    }

    /// Element type of input `at`, where it is known.
    pub fn dtype(&self, at: usize) -> Option<ElementType> {
        self.forward.dtype(self.optional(at)?)
    }

    /// Input `at`, where it is a constant.
    pub fn constant(&self, at: usize) -> Option<&'a Tensor> {
        self.forward.constant(self.optional(at)?)
    }

    /// Elements of input `at`, where it is a constant of float32.
    pub fn constant_floats(&self, at: usize) -> Option<Vec<f32>> {
        let tensor = self.constant(at)?;
        let float32 = tensor.dtype == ElementType::Known(DType::Float32);
        float32.then(|| tensor.data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    /// Elements of input `at`, where it is a constant of whole numbers.
    pub fn constant_ints(&self, at: usize) -> Option<Vec<i64>> {
        let tensor = self.constant(at)?;
        match tensor.dtype {
            ElementType::Known(DType::Int64) => {
                Some(tensor.data.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect())
            }
            ElementType::Known(DType::Int32) => {
                let ints = tensor.data.as_chunks().0.iter();
                Some(ints.map(|bytes| i64::from(i32::from_le_bytes(*bytes))).collect())
            }
            _ => None,
        }
    }

    fn attribute(&self, name: &str) -> Option<&'a Attribute> {
        self.node.attributes.iter().find(|(key, _)| key == name).map(|(_, attribute)| attribute)
    }

    /// A whole number among the attributes.
    pub fn int(&self, name: &'static str, default: i64) -> Result<i64, GradientError> {
        match self.attribute(name) {
            None => Ok(default),
            Some(Attribute::Int(int)) => Ok(*int),
            Some(_) => Err(self.wrong(name)),
        }
    }

    /// A number among the attributes.
    pub fn float(&self, name: &'static str, default: f32) -> Result<f32, GradientError> {
        match self.attribute(name) {
            None => Ok(default),
            Some(Attribute::Float(float)) => Ok(*float),
            Some(_) => Err(self.wrong(name)),
        }
    }

    /// Whole numbers among the attributes.
    pub fn ints(&self, name: &'static str) -> Result<Option<&'a [i64]>, GradientError> {
        match self.attribute(name) {
            None => Ok(None),
            Some(Attribute::Ints(ints)) => Ok(Some(ints)),
            Some(_) => Err(self.wrong(name)),
        }
    }

    /// Numbers among the attributes.
    pub fn floats_attribute(&self, name: &'static str) -> Result<Option<&'a [f32]>, GradientError> {
        match self.attribute(name) {
            None => Ok(None),
            Some(Attribute::Floats(floats)) => Ok(Some(floats)),
            Some(_) => Err(self.wrong(name)),
        }
    }

    /// A text among the attributes.
    pub fn text(&self, name: &'static str) -> Result<Option<&'a [u8]>, GradientError> {
        match self.attribute(name) {
            None => Ok(None),
            Some(Attribute::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(name)),
        }
    }

    /// Whole numbers that early operator sets take as an attribute and later ones as input `at`; `None` if absent.
    pub fn setting(&self, name: &'static str, at: usize) -> Result<Option<Vec<i64>>, GradientError> {
        if let Some(ints) = self.ints(name)? {
            return Ok(Some(ints.to_vec()));
        }
        match (self.optional(at), self.constant_ints(at)) {
            (None, _) => Ok(None),
            (Some(_), Some(ints)) => Ok(Some(ints)),
            (Some(_), None) => Err(self.unsupported("settings that are not constant")),
        }
    }

    /// `axis` counted from the front, of a tensor of `rank`.
    pub fn axis(&self, axis: i64, rank: usize) -> Result<usize, GradientError> {
        let signed = i64::try_from(rank).unwrap_or(i64::MAX);
        let positive = if axis < 0 { axis.saturating_add(signed) } else { axis };
        usize::try_from(positive).ok().filter(|axis| *axis < rank).ok_or_else(|| self.wrong("axis"))
    }

    /// The error for a form that a rule does not cover.
    pub fn unsupported(&self, what: &'static str) -> GradientError {
        GradientError::Unsupported { node: self.node.to_string(), what }
    }

    /// The error for an attribute that makes no sense.
    pub fn wrong(&self, name: &'static str) -> GradientError {
        GradientError::Attribute { node: self.node.to_string(), name }
    }

    /// A node with one output and no attributes.
    pub fn emit(&mut self, op: &str, inputs: &[&str]) -> String {
        self.emit_with(op, inputs, &[])
    }

    /// A node with one output.
    pub fn emit_with(&mut self, op: &str, inputs: &[&str], attributes: Attributes<'_>) -> String {
        let wish = format!("{}.{op}", self.output());
        self.emitter.node(&wish, op, inputs, attributes)
    }

    /// Says that an emitted tensor has the form of the first output.
    pub fn shaped_as_output(&mut self, tensor: &str) {
        if let Some(shape) = self.forward.shapes.get(self.output()) {
            self.emitter.forms.insert(tensor.to_owned(), shape.clone());
        }
    }

    /// A constant of one float32 that stretches over anything.
    pub fn scalar(&mut self, value: f32) -> String {
        self.emitter.constant(Tensor::float32(&[], &[value]))
    }

    /// A constant of float32.
    pub fn floats(&mut self, dims: &[usize], elements: &[f32]) -> String {
        self.emitter.constant(Tensor::float32(dims, elements))
    }

    /// A constant list of whole numbers.
    pub fn list(&mut self, elements: &[i64]) -> String {
        self.emitter.constant(ints(&[elements.len()], elements))
    }

    /// A constant of whole numbers.
    pub fn whole(&mut self, dims: &[usize], elements: &[i64]) -> String {
        self.emitter.constant(ints(dims, elements))
    }

    /// `tensor` with other extents, of which one may depend on the batch.
    pub fn reshape(&mut self, tensor: &str, extents: &[Extent]) -> Result<String, GradientError> {
        let target = target(extents)
            .ok_or_else(|| self.unsupported("a tensor of which more than the batch is open"))?;
        let target = self.list(&target);
        Ok(self.emit("Reshape", &[tensor, &target]))
    }

    /// `ReduceSum` or `ReduceMean` over `axes`, in the form of the network's operator set.
    pub fn reduce(&mut self, op: &str, tensor: &str, axes: &[usize], keep: bool) -> String {
        let axes: Vec<i64> = axes.iter().map(|axis| *axis as i64).collect();
        let keep = ("keepdims", Attribute::Int(i64::from(keep)));
        if self.opset >= if op == "ReduceSum" { 13 } else { 18 } {
            let axes = self.list(&axes);
            return self.emit_with(op, &[tensor, &axes], &[keep]);
        }
        self.emit_with(op, &[tensor], &[("axes", Attribute::Ints(axes)), keep])
    }

    /// `tensor` times `weight`, with as many copies as `dims` says along axes of extent 1; `dims` holds 1 for others.
    ///
    /// By padding with the edge: of products with ones, `Expand` and `Tile` tract loses the stretching where a matrix
    /// product is near.
    pub fn stretch(&mut self, tensor: &str, dims: &[usize], weight: f32) -> String {
        let scaled = match weight == 1.0 {
            true => tensor.to_owned(),
            false => {
                let weight = self.scalar(weight);
                self.emit("Mul", &[tensor, &weight])
            }
        };
        if dims.iter().all(|extent| *extent == 1) {
            return scaled;
        }
        let copies = dims.iter().map(|extent| extent.saturating_sub(1) as i64);
        let pads: Vec<i64> = vec![0; dims.len()].into_iter().chain(copies).collect();
        let edge = ("mode", Attribute::String(Bytes::from_static(b"edge")));
        if self.opset >= 11 {
            let pads = self.list(&pads);
            return self.emit_with("Pad", &[&scaled, &pads], &[edge]);
        }
        self.emit_with("Pad", &[&scaled], &[edge, ("pads", Attribute::Ints(pads))])
    }

    /// Elements `start..end` of `axis`.
    pub fn slice(&mut self, tensor: &str, axis: usize, start: usize, end: usize) -> String {
        let (axis, start, end) = ([axis as i64], [start as i64], [end as i64]);
        if self.opset >= 10 {
            let (starts, ends, axes) = (self.list(&start), self.list(&end), self.list(&axis));
            return self.emit("Slice", &[tensor, &starts, &ends, &axes]);
        }
        let list = |ints: [i64; 1]| Attribute::Ints(ints.to_vec());
        self.emit_with(
            "Slice",
            &[tensor],
            &[("axes", list(axis)), ("starts", list(start)), ("ends", list(end))],
        )
    }

    /// `count` elements of `axis`, every `stride`-th from `start` on.
    pub fn stride(&mut self, tensor: &str, axis: usize, start: usize, stride: usize, count: usize) -> String {
        if stride == 1 {
            return self.slice(tensor, axis, start, start + count);
        }
        if self.opset >= 10 {
            let end = start + (count.max(1) - 1) * stride + 1;
            let list = |step: &mut Self, int: usize| step.list(&[int as i64]);
            let (starts, ends) = (list(self, start), list(self, end));
            let (axes, steps) = (list(self, axis), list(self, stride));
            return self.emit("Slice", &[tensor, &starts, &ends, &axes, &steps]);
        }
        let places: Vec<i64> = (0..count).map(|at| (start + at * stride) as i64).collect();
        let places = self.list(&places);
        self.emit_with("Gather", &[tensor, &places], &[("axis", Attribute::Int(axis as i64))])
    }

    /// `tensor` with this many elements of `value` before and after, per axis; as it is where there are none.
    pub fn pad(&mut self, tensor: &str, before: &[usize], after: &[usize], value: f32) -> String {
        if before.iter().chain(after).all(|count| *count == 0) {
            return tensor.to_owned();
        }
        let pads: Vec<i64> = before.iter().chain(after).map(|count| *count as i64).collect();
        if self.opset >= 11 {
            let (pads, value) = (self.list(&pads), self.scalar(value));
            return self.emit("Pad", &[tensor, &pads, &value]);
        }
        let value = ("value", Attribute::Float(value));
        self.emit_with("Pad", &[tensor], &[("pads", Attribute::Ints(pads)), value])
    }

    /// `tensor` with its axes in another order; as it is where they stay.
    pub fn transpose(&mut self, tensor: &str, order: &[usize]) -> String {
        if order.iter().enumerate().all(|(at, axis)| at == *axis) {
            return tensor.to_owned();
        }
        let order = order.iter().map(|axis| *axis as i64).collect();
        self.emit_with("Transpose", &[tensor], &[("perm", Attribute::Ints(order))])
    }
}
