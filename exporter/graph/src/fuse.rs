//! Parts put back together by the names of what crosses between them.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::error::FuseError;
use crate::ir::{Graph, Initializer, Model, ValueInfo};
use crate::names::{Names, Renames, rename_all};
use crate::order::{self, present};

/// Makes one model of `parts`, earliest first: the inverse of [`crate::partition()`].
///
/// An input named as an output of an earlier part is that output; other inputs of one name are one input. Nodes keep
/// their order. Constants of one name and content become one; other names that mean different things in two parts
/// are changed in the later one. Outputs are every part's first, and those that no later part takes.
///
/// # Errors
/// `Empty`; `Opset` and `Function` for parts of different making; `Clash` for an input or output whose name means
/// something else elsewhere; `Graph` when the result is none.
pub fn fuse(parts: &[Model]) -> Result<Model, FuseError> {
    let mut fuser = Fuser::new(parts)?;
    for (part, model) in parts.iter().enumerate() {
        fuser.settings(part, model)?;
        fuser.add(part, model.graph.clone())?;
    }
    fuser.finish()
}

struct Fuser {
    fused: Model,
    names: Names,
    /// What has a meaning so far.
    defined: FxHashSet<String>,
    /// Inputs of the whole and outputs of parts so far: what a later part may take.
    offered: FxHashSet<String>,
    /// Position of each constant so far.
    constants: FxHashMap<String, usize>,
    /// What parts take of earlier ones.
    taken: FxHashSet<String>,
    /// Outputs of parts, and whether each is its part's first.
    outputs: Vec<(ValueInfo, bool)>,
}

impl Fuser {
    fn new(parts: &[Model]) -> Result<Self, FuseError> {
        let first = parts.first().ok_or(FuseError::Empty)?;
        let mut names = Names::default();
        parts.iter().for_each(|part| names.add(&part.graph));
        let graph = Graph { name: first.graph.name.clone(), ..Default::default() };
        let fused = Model {
            producer: first.producer.clone(),
            metadata: first.metadata.clone(),
            graph,
            ..Default::default()
        };
        let (defined, offered, taken) = Default::default();
        let (constants, outputs) = Default::default();
        Ok(Self { fused, names, defined, offered, constants, taken, outputs })
    }

    /// Joins versions and functions.
    fn settings(&mut self, part: usize, model: &Model) -> Result<(), FuseError> {
        self.fused.ir_version = self.fused.ir_version.max(model.ir_version);
        for (domain, found) in &model.opsets {
            let expected = *self.fused.opsets.entry(domain.clone()).or_insert(*found);
            if expected != *found {
                return Err(FuseError::Opset { part, domain: domain.clone(), expected, found: *found });
            }
        }
        for function in &model.functions {
            let id = (&function.domain, &function.name, &function.overload);
            match self
                .fused
                .functions
                .iter()
                .find(|known| (&known.domain, &known.name, &known.overload) == id)
            {
                Some(known) if known != function => {
                    return Err(FuseError::Function { part, function: function.name.clone() });
                }
                Some(_) => {}
                None => self.fused.functions.push(function.clone()),
            }
        }
        Ok(())
    }

    fn add(&mut self, part: usize, mut graph: Graph) -> Result<(), FuseError> {
        let clash = |tensor: &str| FuseError::Clash { part, tensor: tensor.into() };
        for input in &graph.inputs {
            if self.offered.contains(&input.name) {
                self.taken.insert(input.name.clone());
            } else if self.defined.insert(input.name.clone()) {
                self.offered.insert(input.name.clone());
                self.fused.graph.inputs.push(input.clone());
            } else {
                return Err(clash(&input.name));
            }
        }
        let mut renames = Renames::default();
        let public: FxHashSet<String> = graph.outputs.iter().map(|output| output.name.clone()).collect();
        let merged = |fuser: &Self, init: &Initializer| {
            let known =
                fuser.constants.get(&init.name).and_then(|at| fuser.fused.graph.initializers.get(*at));
            known.is_some_and(|known| known.tensor == init.tensor)
        };
        graph.initializers.retain(|init| !merged(self, init));
        let constants = graph.initializers.iter().map(|init| init.name.as_str());
        let results = graph.nodes.iter().flat_map(|node| present(&node.outputs));
        for name in constants.chain(results) {
            if !self.defined.contains(name) {
                continue;
            }
            if public.contains(name) {
                return Err(clash(name));
            }
            renames.insert(name.into(), self.names.fresh(name));
        }
        rename_all(&mut graph, &renames);
        self.take_in(graph);
        Ok(())
    }

    /// Appends a graph whose names have been settled.
    fn take_in(&mut self, graph: Graph) {
        let whole = &mut self.fused.graph;
        for init in graph.initializers {
            self.constants.insert(init.name.clone(), whole.initializers.len());
            self.defined.insert(init.name.clone());
            whole.initializers.push(init);
        }
        let results = graph.nodes.iter().flat_map(|node| present(&node.outputs));
        self.defined.extend(results.map(String::from));
        self.offered.extend(graph.outputs.iter().map(|output| output.name.clone()));
        whole.nodes.extend(graph.nodes);
        whole.value_info.extend(graph.value_info);
        let outputs = graph.outputs.into_iter().enumerate();
        self.outputs.extend(outputs.map(|(at, output)| (output, at == 0)));
    }

    fn finish(self) -> Result<Model, FuseError> {
        let mut model = self.fused;
        let graph = &mut model.graph;
        let mut seen = FxHashSet::default();
        for (output, first) in self.outputs {
            if !seen.insert(output.name.clone()) {
                continue;
            }
            match first || !self.taken.contains(&output.name) {
                true => graph.outputs.push(output),
                false => graph.value_info.push(output),
            }
        }
        order::settle(graph)?;
        Ok(model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{constant, graph, model, names, node};

    fn part(inputs: &[&str], op: (&str, &[&str], &[&str]), outputs: &[&str], weight: f32) -> Model {
        let mut graph = graph(inputs, vec![node(op.0, op.1, op.2)], outputs);
        graph.initializers = vec![constant("w", &[weight])];
        model(graph)
    }

    #[test]
    fn tensors_that_cross_are_wired_and_are_outputs_no_more() {
        let first = part(&["x"], ("Two", &["x", "w"], &["y0", "a"]), &["y0", "a"], 1.0);
        let second = part(&["a", "x"], ("Add", &["a", "x"], &["y1"]), &["y1"], 1.0);
        let fused = fuse(&[first, second]).unwrap().graph;
        assert_eq!((names(&fused.inputs), names(&fused.outputs)), (vec!["x"], vec!["y0", "y1"]));
        assert_eq!(names(&fused.value_info), ["a"]);
        assert_eq!(fused.initializers.len(), 1);
    }

    #[test]
    fn logits_that_a_later_part_takes_stay_outputs() {
        let first = part(&["x"], ("Mul", &["x", "w"], &["y0"]), &["y0"], 1.0);
        let second = part(&["y0"], ("Relu", &["y0"], &["y1"]), &["y1"], 1.0);
        assert_eq!(names(&fuse(&[first, second]).unwrap().graph.outputs), ["y0", "y1"]);
    }

    #[test]
    fn constants_of_one_name_but_different_contents_are_kept_apart() {
        let first = part(&["x"], ("Mul", &["x", "w"], &["y0"]), &["y0"], 1.0);
        let second = part(&["x"], ("Mul", &["x", "w"], &["y1"]), &["y1"], 2.0);
        let fused = fuse(&[first, second]).unwrap().graph;
        assert_eq!(fused.nodes[1].inputs, ["x", "w_1"]);
        assert_eq!(fused.initializers[1].name, "w_1");
    }

    #[test]
    fn hidden_tensors_of_one_name_are_kept_apart_and_public_ones_refused() {
        let hidden = |input: &str, output: &str| {
            let nodes = vec![node("Relu", &[input], &["t"]), node("Neg", &["t"], &[output])];
            model(graph(&[input], nodes, &[output]))
        };
        let fused = fuse(&[hidden("x", "a"), hidden("a", "b")]).unwrap().graph;
        assert_eq!(fused.nodes[2].outputs, ["t_1"]);
        let error = fuse(&[hidden("x", "a"), hidden("x", "a")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "part 1 takes or gives \"a\", which means something else in earlier parts"
        );
    }

    #[test]
    fn parts_of_different_making_are_refused() {
        let first = part(&["x"], ("Mul", &["x", "w"], &["y0"]), &["y0"], 1.0);
        let mut second = part(&["x"], ("Mul", &["x", "w"], &["y1"]), &["y1"], 1.0);
        second.opsets.insert(String::new(), 13);
        let error = fuse(&[first, second]).unwrap_err();
        assert_eq!(error.to_string(), "part 1 uses operator set 13 of \"\", earlier parts use 17");
        assert_eq!(fuse(&[]), Err(FuseError::Empty));
    }
}
