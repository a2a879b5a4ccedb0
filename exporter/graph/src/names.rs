//! New tensor names that clash with no others.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::ir::{Graph, Node};

/// The tensor names in use.
#[derive(Default)]
pub(crate) struct Names {
    taken: FxHashSet<String>,
    counters: FxHashMap<String, usize>,
}

impl Names {
    /// The names of `graph` and its sub-graphs.
    pub(crate) fn of(graph: &Graph) -> Self {
        let mut names = Self::default();
        names.add(graph);
        names
    }

    pub(crate) fn add(&mut self, graph: &Graph) {
        let infos = graph.inputs.iter().chain(&graph.outputs).chain(&graph.value_info);
        let constants = graph.initializers.iter().map(|init| &init.name);
        self.taken.extend(infos.map(|info| &info.name).chain(constants).cloned());
        for node in &graph.nodes {
            self.taken.extend(node.inputs.iter().chain(&node.outputs).cloned());
            node.subgraphs().for_each(|inner| self.add(inner));
        }
    }

    /// `wish` if it is free, else `wish` with a number; taken from now on.
    pub(crate) fn fresh(&mut self, wish: &str) -> String {
        if self.taken.insert(wish.into()) {
            return wish.into();
        }
        let counter = self.counters.entry(wish.into()).or_default();
        loop {
            *counter += 1;
            let name = format!("{wish}_{counter}");
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

impl Graph {
    /// Gives the tensor `from` another name wherever it is mentioned, sub-graphs included: `wish`, or `wish` with a number
    /// where something bears that name. Returns the new name.
    pub fn rename(&mut self, from: &str, wish: &str) -> String {
        let name = Names::of(self).fresh(wish);
        rename_all(self, &[(from.to_owned(), name.clone())].into_iter().collect());
        name
    }
}

/// Old names to new ones.
pub(crate) type Renames = FxHashMap<String, String>;

/// Renames every mention of a tensor in `node` and its sub-graphs.
pub(crate) fn rename(node: &mut Node, renames: &Renames) {
    node.inputs.iter_mut().chain(&mut node.outputs).for_each(|name| replace(name, renames));
    node.subgraphs_mut().for_each(|inner| rename_all(inner, renames));
}

/// Renames every mention of a tensor in `graph` and its sub-graphs.
pub(crate) fn rename_all(graph: &mut Graph, renames: &Renames) {
    let infos = graph.inputs.iter_mut().chain(&mut graph.outputs).chain(&mut graph.value_info);
    infos.for_each(|info| replace(&mut info.name, renames));
    graph.initializers.iter_mut().for_each(|init| replace(&mut init.name, renames));
    graph.nodes.iter_mut().for_each(|node| rename(node, renames));
}

fn replace(name: &mut String, renames: &Renames) {
    if let Some(new) = renames.get(name) {
        name.clone_from(new);
    }
}

#[cfg(test)]
mod tests {
    use crate::ir::Attribute;
    use crate::sample::{graph, names, node};

    #[test]
    fn a_tensor_is_renamed_in_sub_graphs_too_and_takes_no_name_of_another() {
        let mut branch = node("If", &["c"], &["y"]);
        let inner = graph(&[], vec![node("Relu", &["x"], &["z"])], &["z"]);
        branch.attributes = vec![("then_branch".into(), Attribute::Graph(Box::new(inner)))];
        let mut graph = graph(&["x", "c"], vec![branch, node("Neg", &["x"], &["w"])], &["y", "w"]);
        assert_eq!(graph.rename("x", "z"), "z_1");
        assert_eq!(names(&graph.inputs), ["z_1", "c"]);
        assert_eq!(graph.nodes[1].inputs, ["z_1"]);
        assert_eq!(graph.nodes[0].subgraphs().next().unwrap().nodes[0].inputs, ["z_1"]);
    }
}
