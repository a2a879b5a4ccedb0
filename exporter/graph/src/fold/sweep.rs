//! What nothing needs.

use rustc_hash::FxHashSet;

use crate::ir::Graph;
use crate::order::{captures, present};

/// Drops nodes and initializers that no output needs, and what the file says of tensors that are gone.
pub(super) fn sweep(graph: &mut Graph) {
    let mut needed: FxHashSet<String> = graph.outputs.iter().map(|info| info.name.clone()).collect();
    let mut alive = Vec::with_capacity(graph.nodes.len());
    for node in graph.nodes.iter().rev() {
        let lives = present(&node.outputs).any(|name| needed.contains(name));
        if lives {
            needed.extend(present(&node.inputs).chain(captures(node)).map(str::to_owned));
        }
        alive.push(lives);
    }
    let mut alive = alive.into_iter().rev();
    graph.nodes.retain(|_| alive.next().unwrap_or(true));
    graph.initializers.retain(|initializer| needed.contains(&initializer.name));
    let mut computed: FxHashSet<&str> = graph.nodes.iter().flat_map(|node| present(&node.outputs)).collect();
    graph.value_info.retain(|info| computed.remove(info.name.as_str()));
}
