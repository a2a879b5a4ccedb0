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
