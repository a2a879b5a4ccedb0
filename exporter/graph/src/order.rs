//! Every tensor has one maker, every maker comes before its users.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::error::GraphError;
use crate::ir::{Graph, Node};

/// Checks the names of `graph` and its sub-graphs, and puts nodes into topological order; nodes that may stay
/// where they are relative to each other do.
pub(crate) fn settle(graph: &mut Graph) -> Result<(), GraphError> {
    check(graph, None)?;
    sort(graph)
}

/// What can be seen from inside a graph.
struct Scope<'g> {
    names: FxHashSet<&'g str>,
    outer: Option<&'g Scope<'g>>,
}

impl Scope<'_> {
    fn sees(&self, name: &str) -> bool {
        self.names.contains(name) || self.outer.is_some_and(|outer| outer.sees(name))
    }
}

fn check(graph: &Graph, outer: Option<&Scope<'_>>) -> Result<(), GraphError> {
    let mut names = FxHashSet::default();
    for (name, maker) in definitions(graph) {
        if !names.insert(name) {
            return Err(GraphError::Duplicate { tensor: name.into(), by: maker.to_string() });
        }
    }
    let scope = Scope { names, outer };
    for node in &graph.nodes {
        if let Some(tensor) = present(&node.inputs).find(|name| !scope.sees(name)) {
            return Err(GraphError::Undefined { tensor: tensor.into(), user: node.to_string() });
        }
        node.subgraphs().try_for_each(|inner| check(inner, Some(&scope)))?;
    }
    match graph.outputs.iter().find(|output| !scope.sees(&output.name)) {
        Some(output) => {
            let user = format!("output \"{}\"", output.name);
            Err(GraphError::Undefined { tensor: output.name.clone(), user })
        }
        None => Ok(()),
    }
}

enum Maker<'g> {
    Input,
    Initializer,
    Node(&'g Node),
}

impl std::fmt::Display for Maker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Input => f.write_str("an input"),
            Self::Initializer => f.write_str("an initializer"),
            Self::Node(node) => node.fmt(f),
        }
    }
}

fn definitions(graph: &Graph) -> impl Iterator<Item = (&str, Maker<'_>)> {
    let inputs = graph.inputs.iter().map(|input| (&*input.name, Maker::Input));
    let constants = graph.initializers.iter().map(|init| (&*init.name, Maker::Initializer));
    let results =
        graph.nodes.iter().flat_map(|node| present(&node.outputs).map(move |name| (name, Maker::Node(node))));
    inputs.chain(constants).chain(results)
}

/// The names in `names` that name something.
pub(crate) fn present(names: &[String]) -> impl Iterator<Item = &str> {
    names.iter().map(String::as_str).filter(|name| !name.is_empty())
}

/// What `node`'s sub-graphs take from outside, each name once, in order of use.
pub(crate) fn captures(node: &Node) -> Vec<&str> {
    let mut found = Vec::new();
    node.subgraphs().for_each(|graph| free(graph, &mut found));
    let mut seen = FxHashSet::default();
    found.retain(|name| seen.insert(*name));
    found
}

fn free<'g>(graph: &'g Graph, found: &mut Vec<&'g str>) {
    let own: FxHashSet<&str> = definitions(graph).map(|(name, _)| name).collect();
    let uses = graph.nodes.iter().flat_map(|node| present(&node.inputs).chain(captures(node)));
    let outputs = graph.outputs.iter().map(|output| &*output.name);
    found.extend(uses.chain(outputs).filter(|name| !own.contains(name)));
}

fn sort(graph: &mut Graph) -> Result<(), GraphError> {
    for node in &mut graph.nodes {
        node.subgraphs_mut().try_for_each(sort)?;
    }
    let order = order(&graph.nodes)?;
    if order.iter().enumerate().any(|(place, node)| place != *node) {
        let mut taken: Vec<Option<Node>> = graph.nodes.drain(..).map(Some).collect();
        graph.nodes = order.iter().filter_map(|node| taken.get_mut(*node)?.take()).collect();
    }
    Ok(())
}

/// Kahn's algorithm, always taking the earliest node that is ready.
fn order(nodes: &[Node]) -> Result<Vec<usize>, GraphError> {
    let mut makers = FxHashMap::default();
    for (index, node) in nodes.iter().enumerate() {
        makers.extend(present(&node.outputs).map(|name| (name, index)));
    }
    let needs: Vec<Vec<usize>> = nodes
        .iter()
        .map(|node| {
            let uses = present(&node.inputs).chain(captures(node));
            uses.filter_map(|name| makers.get(name).copied()).collect()
        })
        .collect();
    let mut users = vec![Vec::new(); nodes.len()];
    let mut missing: Vec<usize> = needs.iter().map(Vec::len).collect();
    for (user, needs) in needs.iter().enumerate() {
        needs.iter().for_each(|need| users[*need].push(user));
    }
    let mut ready: BinaryHeap<_> = (0..nodes.len()).filter(|node| missing[*node] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(Reverse(node)) = ready.pop() {
        order.push(node);
        for user in &users[node] {
            missing[*user] -= 1;
            if missing[*user] == 0 {
                ready.push(Reverse(*user));
            }
        }
    }
    match missing.iter().position(|count| *count > 0) {
        None => Ok(order),
        Some(waiting) => {
            let node = on_cycle(waiting, &needs, &missing);
            Err(GraphError::Cycle { node: nodes[node].to_string() })
        }
    }
}

/// Walks from a waiting node to what it waits for until it has been somewhere before.
fn on_cycle(waiting: usize, needs: &[Vec<usize>], missing: &[usize]) -> usize {
    let (mut at, mut been) = (waiting, FxHashSet::default());
    while been.insert(at) {
        match needs[at].iter().find(|need| missing[**need] > 0) {
            Some(need) => at = *need,
            None => break,
        }
    }
    at
}
