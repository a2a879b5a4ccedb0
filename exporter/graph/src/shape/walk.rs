//! From the inputs to the outputs, one node after the other, into branches where there are any.

use std::cell::Cell;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::call::{Call, Ruled};
use super::value::{Value, evaluate};
use super::{Contradiction, Extent, Fact, ShapeError, rules};
use crate::ir::{Dim, Graph, Model, Node, ValueInfo};

/// A fact, and why it is not whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub fact: Fact,
    pub cause: Option<Arc<Cause>>,
}

/// The first reason, on the way from the input, that a shape is not known.
#[derive(Debug)]
pub(super) enum Cause {
    NoRule(String),
    Data(String),
    Input(String),
}

type Facts<'m> = FxHashMap<&'m str, Known>;

/// Tensors of a graph and of those around it.
struct Scope<'s, 'm> {
    facts: Facts<'m>,
    outer: Option<&'s Scope<'s, 'm>>,
}

impl Scope<'_, '_> {
    fn find(&self, tensor: &str) -> Option<&Known> {
        self.facts.get(tensor).or_else(|| self.outer?.find(tensor))
    }
}

/// Elements followed in all values together: memory stays small whatever the graph.
const MOST_ELEMENTS: usize = 1 << 22;
/// Branches within branches beyond this are not entered.
const DEEPEST: usize = 16;

struct Walk<'m> {
    opset: i64,
    /// Name of the batch, where it has one.
    batch: Option<&'m str>,
    elements_left: Cell<usize>,
}

/// Facts of all tensors of the main graph.
pub(super) fn walk(model: &Model) -> Result<Facts<'_>, ShapeError> {
    let walk = Walk {
        opset: model.opsets.get("").copied().unwrap_or(i64::MAX),
        batch: batch_name(&model.graph),
        elements_left: Cell::new(MOST_ELEMENTS),
    };
    Ok(walk.graph(&model.graph, None, 0)?.facts)
}

fn batch_name(graph: &Graph) -> Option<&str> {
    let leading = |info: &'_ ValueInfo| info.dims.as_ref()?.first().cloned();
    let open = graph.inputs.iter().find(|info| !matches!(leading(info), None | Some(Dim::Known(1..))))?;
    match open.dims.as_ref()?.first()? {
        Dim::Named(name) => Some(name),
        Dim::Known(_) | Dim::Unknown => None,
    }
}

impl<'m> Walk<'m> {
    fn graph<'s>(
        &self,
        graph: &'m Graph,
        outer: Option<&'s Scope<'s, 'm>>,
        depth: usize,
    ) -> Result<Scope<'s, 'm>, ShapeError> {
        let mut scope = Scope { facts: Facts::default(), outer };
        for initializer in &graph.initializers {
            let extents = initializer.tensor.dims.iter().copied().map(Extent::Known).collect::<Vec<_>>();
            let mut fact = Fact::new(initializer.tensor.dtype, extents);
            fact.value = Value::of_tensor(&initializer.tensor).and_then(|value| self.keep(value));
            scope.facts.insert(&initializer.name, Known { fact, cause: None });
        }
        for input in &graph.inputs {
            let fact = self.declared(input, true);
            let cause = (!fact.is_complete()).then(|| Arc::new(Cause::Input(input.name.clone())));
            scope.facts.entry(&input.name).or_insert(Known { fact, cause });
        }
        let said: FxHashMap<&str, &ValueInfo> =
            graph.value_info.iter().chain(&graph.outputs).map(|info| (info.name.as_str(), info)).collect();
        for node in &graph.nodes {
            let outputs = self.node(node, &scope, depth)?;
            for (name, mut known) in node.outputs.iter().zip(outputs) {
                if let Some(info) = said.get(name.as_str()).filter(|_| known.cause.is_some()) {
                    known.fact = filled(known.fact, self.declared(info, false));
                    if known.fact.is_complete() {
                        known.cause = None;
                    }
                }
                scope.facts.insert(name, known);
            }
        }
        Ok(scope)
    }

    /// Facts of a node's outputs, one each.
    fn node(&self, node: &'m Node, scope: &Scope<'_, 'm>, depth: usize) -> Result<Vec<Known>, ShapeError> {
        let mut inputs = Vec::with_capacity(node.inputs.len());
        let mut cause = None;
        for tensor in &node.inputs {
            if tensor.is_empty() {
                inputs.push(None);
                continue;
            }
            let known = scope
                .find(tensor)
                .ok_or_else(|| ShapeError::Undefined { node: node.to_string(), tensor: tensor.clone() })?;
            cause = cause.or(known.cause.as_ref());
            inputs.push(Some(&known.fact));
        }
        let call = Call { node, opset: self.opset, inputs };
        let contradiction = |source| ShapeError::Contradiction { node: node.to_string(), source };
        let ruled = if node.op == "If" && node.domain.is_empty() && depth < DEEPEST {
            Some(self.branches(&call, scope, depth)?.map_err(contradiction)?)
        } else {
            rules::find(&node.domain, &node.op).map(|rule| rule(&call)).transpose().map_err(contradiction)?
        };
        let has_rule = ruled.is_some();
        let mut facts = ruled.unwrap_or_default();
        facts.resize(node.outputs.len(), Fact::default());
        let values = evaluate(&call, &facts).unwrap_or_default();
        for (fact, value) in facts.iter_mut().zip(values) {
            if let Some(value) = self.keep(value) {
                *fact = Fact::of_shared(value);
            }
        }
        let known = |fact: Fact| {
            let cause = if fact.is_complete() {
                None
            } else if !has_rule {
                Some(Arc::new(Cause::NoRule(node.to_string())))
            } else {
                Some(cause.cloned().unwrap_or_else(|| Arc::new(Cause::Data(node.to_string()))))
            };
            Known { fact, cause }
        };
        Ok(facts.into_iter().map(known).collect())
    }

    fn keep(&self, value: Value) -> Option<Arc<Value>> {
        let left = self.elements_left.get().checked_sub(value.elems().len())?;
        self.elements_left.set(left);
        Some(Arc::new(value))
    }

    /// What both branches of an `If` agree on. A branch that contradicts the shapes it would get is not taken.
    fn branches(&self, call: &Call<'m>, scope: &Scope<'_, 'm>, depth: usize) -> Result<Ruled, ShapeError> {
        let taken = call.elems(0).and_then(|elems| elems.first()?.whole());
        let names: &[&'static str] = match taken {
            Some(0) => &["else_branch"],
            Some(_) => &["then_branch"],
            None => &["then_branch", "else_branch"],
        };
        let mut agreed: Option<Vec<Fact>> = None;
        let mut refused = None;
        for name in names {
            let graph = match call.graph(name) {
                Ok(graph) => graph,
                Err(contradiction) => return Ok(Err(contradiction)),
            };
            let inner = match self.graph(graph, Some(scope), depth + 1) {
                Ok(inner) => inner,
                Err(error) => {
                    refused = Some(error);
                    continue;
                }
            };
            let outputs = graph.outputs.iter().map(|info| {
                let known = inner.find(&info.name).map(|known| known.fact.clone());
                filled(known.unwrap_or_default(), self.declared(info, false))
            });
            agreed = Some(match agreed {
                None => outputs.collect(),
                Some(before) => before.into_iter().zip(outputs).map(|(a, b)| common(a, b)).collect(),
            });
        }
        match (agreed, refused) {
            (Some(facts), _) => Ok(Ok(facts)),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(Err(Contradiction::MissingAttribute { name: "then_branch" })),
        }
    }

    /// What the file says of a tensor. Of inputs, an open leading extent is the batch.
    fn declared(&self, info: &ValueInfo, input: bool) -> Fact {
        let extents = info.dims.as_ref().map(|dims| {
            let extent = |(axis, dim): (usize, &Dim)| match dim {
                Dim::Known(extent @ 1..) => Extent::Known(*extent),
                Dim::Named(name) if self.batch == Some(name) => Extent::Batch(1),
                Dim::Known(_) | Dim::Unknown if input && axis == 0 => Extent::Batch(1),
                Dim::Known(_) | Dim::Unknown | Dim::Named(_) => Extent::Unknown,
            };
            dims.iter().enumerate().map(extent).collect::<Vec<_>>()
        });
        Fact::new(info.dtype, extents)
    }
}

/// `fact`, with what `said` knows where `fact` does not.
fn filled(fact: Fact, said: Fact) -> Fact {
    let extents = match (fact.extents, said.extents) {
        (Some(own), Some(said)) if own.len() == said.len() => {
            let known = |(own, said): (Extent, Extent)| if own == Extent::Unknown { said } else { own };
            Some(own.into_iter().zip(said).map(known).collect())
        }
        (own, said) => own.or(said),
    };
    Fact { dtype: fact.dtype.or(said.dtype), extents, value: fact.value }
}

/// What is true of both.
fn common(a: Fact, b: Fact) -> Fact {
    let extents = match (a.extents, b.extents) {
        (Some(a), Some(b)) if a.len() == b.len() => {
            Some(a.into_iter().zip(b).map(|(a, b)| if a == b { a } else { Extent::Unknown }).collect())
        }
        _ => None,
    };
    let dtype = if a.dtype == b.dtype { a.dtype } else { None };
    let value = if a.value == b.value { a.value } else { None };
    Fact { dtype, extents, value }
}
