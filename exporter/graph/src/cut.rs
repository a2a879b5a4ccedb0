//! Some nodes of a model as a model of their own.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::error::CutError;
use crate::index::{Index, Maker};
use crate::ir::{Graph, Model, ValueInfo};

/// Says what is known of a tensor at a cut; `None` leaves it to the model's own word. A caller who only knows that
/// it holds floats says [`ValueInfo::float32`].
pub type Types<'a> = &'a dyn Fn(&str) -> Option<ValueInfo>;

/// Cuts pieces out of one model.
pub(crate) struct Cutter<'m> {
    pub(crate) index: Index<'m>,
    model: &'m Model,
    stated: FxHashMap<&'m str, &'m ValueInfo>,
    types: Types<'m>,
}

impl<'m> Cutter<'m> {
    pub(crate) fn new(model: &'m Model, types: Types<'m>) -> Self {
        let graph = &model.graph;
        let stated = graph.value_info.iter().chain(&graph.inputs).chain(&graph.outputs);
        let stated = stated.filter(|info| info.dtype.is_some()).map(|info| (&*info.name, info)).collect();
        Self { index: Index::new(graph), model, stated, types }
    }

    /// The model of `nodes` (positions in order) between `inputs` and `outputs`.
    pub(crate) fn piece(
        &self,
        nodes: &[usize],
        inputs: &[&str],
        outputs: &[&str],
    ) -> Result<Model, CutError> {
        let whole = &self.model.graph;
        let constants = self.constants(nodes, inputs, outputs);
        let initializers = whole.initializers.iter().enumerate();
        let nodes: Vec<_> = nodes.iter().filter_map(|node| whole.nodes.get(*node)).cloned().collect();
        let made: FxHashSet<&str> = nodes.iter().flat_map(|node| &node.outputs).map(String::as_str).collect();
        let inside = |name: &str| made.contains(name) && !outputs.contains(&name);
        let graph = Graph {
            name: whole.name.clone(),
            initializers: initializers
                .filter(|(at, _)| constants.contains(at))
                .map(|(_, init)| init.clone())
                .collect(),
            inputs: inputs.iter().map(|name| self.info(name)).collect::<Result<_, _>>()?,
            outputs: outputs.iter().map(|name| self.info(name)).collect::<Result<_, _>>()?,
            value_info: whole.value_info.iter().filter(|info| inside(&info.name)).cloned().collect(),
            nodes,
        };
        Ok(Model {
            ir_version: self.model.ir_version,
            producer: self.model.producer.clone(),
            opsets: self.model.opsets.clone(),
            functions: self.model.functions.clone(),
            metadata: self.model.metadata.clone(),
            graph,
        })
    }

    fn constants(&self, nodes: &[usize], inputs: &[&str], outputs: &[&str]) -> FxHashSet<usize> {
        let needs = nodes.iter().flat_map(|node| self.index.needs(*node));
        let used = needs.chain(outputs.iter().copied()).filter(|name| !inputs.contains(name));
        let constant = |name| match self.index.maker(name) {
            Some(Maker::Initializer(at)) => Some(at),
            _ => None,
        };
        used.filter_map(constant).collect()
    }

    fn info(&self, name: &str) -> Result<ValueInfo, CutError> {
        let given = (self.types)(name).filter(|info| info.dtype.is_some());
        let known = given.or_else(|| self.stated.get(name).map(|info| (*info).clone()));
        let known = known.ok_or_else(|| CutError::Untyped { tensor: name.into() })?;
        Ok(ValueInfo { name: name.into(), ..known })
    }
}

/// Refuses a list that names nothing or something twice.
pub(crate) fn distinct(tensors: &[String]) -> Result<(), CutError> {
    let mut seen = FxHashSet::default();
    match tensors.iter().find(|tensor| !seen.insert(tensor.as_str())) {
        Some(tensor) => Err(CutError::Twice { tensor: tensor.clone() }),
        None => Ok(()),
    }
}
