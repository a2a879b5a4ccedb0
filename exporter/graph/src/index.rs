//! Who gives and who takes every tensor of a graph.

use rustc_hash::FxHashMap;

use crate::ir::Graph;
use crate::order::{captures, present};

/// Producers, consumers and ancestors in one graph; nodes are meant by their position.
pub struct Index<'g> {
    graph: &'g Graph,
    makers: FxHashMap<&'g str, Maker>,
    consumers: FxHashMap<&'g str, Vec<usize>>,
    captures: Vec<Vec<&'g str>>,
}

/// What gives a tensor; numbers are positions in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// An input of the graph.
    Input(usize),
    /// An initializer.
    Initializer(usize),
    /// An output of a node.
    Node {
        /// The node.
        node: usize,
        /// Which of its outputs.
        output: usize,
    },
}

impl<'g> Index<'g> {
    /// Looks at every node of `graph` once, sub-graphs included.
    pub fn new(graph: &'g Graph) -> Self {
        let mut makers = FxHashMap::default();
        let inputs = graph.inputs.iter().enumerate();
        makers.extend(inputs.map(|(at, input)| (&*input.name, Maker::Input(at))));
        let initializers = graph.initializers.iter().enumerate();
        makers.extend(initializers.map(|(at, init)| (&*init.name, Maker::Initializer(at))));
        let mut consumers: FxHashMap<&str, Vec<usize>> = FxHashMap::default();
        let mut captured = Vec::with_capacity(graph.nodes.len());
        for (node, call) in graph.nodes.iter().enumerate() {
            let outputs = call.outputs.iter().enumerate().filter(|(_, name)| !name.is_empty());
            makers.extend(outputs.map(|(output, name)| (name.as_str(), Maker::Node { node, output })));
            let captures = captures(call);
            for name in present(&call.inputs).chain(captures.iter().copied()) {
                let users = consumers.entry(name).or_default();
                if users.last() != Some(&node) {
                    users.push(node);
                }
            }
            captured.push(captures);
        }
        Self { graph, makers, consumers, captures: captured }
    }

    /// The graph that was indexed.
    pub fn graph(&self) -> &'g Graph {
        self.graph
    }

    /// What gives `tensor`, `None` for a name that the graph does not have.
    pub fn maker(&self, tensor: &str) -> Option<Maker> {
        self.makers.get(tensor).copied()
    }

    /// The node that computes `tensor`, `None` for inputs, initializers and unknown names.
    pub fn producer(&self, tensor: &str) -> Option<usize> {
        match self.maker(tensor)? {
            Maker::Node { node, .. } => Some(node),
            Maker::Input(_) | Maker::Initializer(_) => None,
        }
    }

    /// The nodes that take `tensor`, themselves or in their sub-graphs, in order.
    pub fn consumers(&self, tensor: &str) -> &[usize] {
        self.consumers.get(tensor).map_or(&[], Vec::as_slice)
    }

    /// What the sub-graphs of `node` take from this graph, each name once.
    pub fn captures(&self, node: usize) -> &[&'g str] {
        self.captures.get(node).map_or(&[], Vec::as_slice)
    }

    /// All that `node` takes: its inputs that are present, then its captures.
    pub fn needs(&self, node: usize) -> impl Iterator<Item = &'g str> {
        let inputs = self.graph.nodes.get(node).map_or(&[][..], |node| &node.inputs);
        present(inputs).chain(self.captures(node).iter().copied())
    }

    /// The nodes that `tensor` depends on, its producer included.
    pub fn ancestors(&self, tensor: &str) -> NodeSet {
        let mut found = NodeSet::default();
        let mut waiting: Vec<usize> = self.producer(tensor).into_iter().collect();
        while let Some(node) = waiting.pop() {
            if found.insert(node) {
                waiting.extend(self.needs(node).filter_map(|need| self.producer(need)));
            }
        }
        found
    }
}

/// A set of nodes, one bit each.
#[derive(Clone, Debug, Default)]
pub struct NodeSet {
    words: Vec<u64>,
}

impl NodeSet {
    /// Adds `node`; `false` if it was there.
    pub fn insert(&mut self, node: usize) -> bool {
        let (word, bit) = (node / 64, 1 << (node % 64));
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let Some(word) = self.words.get_mut(word) else { return false };
        let added = *word & bit == 0;
        *word |= bit;
        added
    }

    /// Whether `node` is in the set.
    pub fn contains(&self, node: usize) -> bool {
        self.words.get(node / 64).is_some_and(|word| word & (1 << (node % 64)) != 0)
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// The nodes in order.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        let places = (0..).step_by(64).zip(&self.words);
        places.flat_map(|(first, word)| {
            (0..64).filter(move |bit| word & (1 << bit) != 0).map(move |bit| first + bit)
        })
    }

    /// Whether every node of `self` is in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        let others = other.words.iter().copied().chain(std::iter::repeat(0));
        self.words.iter().zip(others).all(|(mine, theirs)| mine & !theirs == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{graph, node};

    #[test]
    fn every_tensor_knows_who_gives_and_who_takes_it() {
        let graph = graph(
            &["x"],
            vec![
                node("Relu", &["x"], &["a"]),
                node("Add", &["a", "a"], &["b"]),
                node("Mul", &["x", "a"], &["c"]),
            ],
            &["b", "c"],
        );
        let index = Index::new(&graph);
        assert_eq!(index.maker("x"), Some(Maker::Input(0)));
        assert_eq!(index.maker("c"), Some(Maker::Node { node: 2, output: 0 }));
        assert_eq!(index.producer("b"), Some(1));
        assert_eq!(index.producer("x"), None);
        assert_eq!(index.consumers("a"), [1, 2]);
        assert_eq!(index.ancestors("c").iter().collect::<Vec<_>>(), [0, 2]);
        assert!(index.ancestors("x").is_empty());
    }

    #[test]
    fn what_a_sub_graph_takes_from_outside_counts_as_taken() {
        let inner = graph(&[], vec![node("Add", &["a", "x"], &["t"])], &["t"]);
        let mut branch = node("If", &["flag"], &["y"]);
        branch.attributes.push(("then_branch".into(), crate::ir::Attribute::Graph(Box::new(inner))));
        let graph = graph(&["x", "flag"], vec![node("Relu", &["x"], &["a"]), branch], &["y"]);
        let index = Index::new(&graph);
        assert_eq!(index.captures(1), ["a", "x"]);
        assert_eq!(index.needs(1).collect::<Vec<_>>(), ["flag", "a", "x"]);
        assert_eq!(index.consumers("a"), [1]);
        assert_eq!(index.ancestors("y").len(), 2);
    }

    #[test]
    fn sets_hold_what_was_put_in() {
        let mut set = NodeSet::default();
        assert!(set.insert(3) && set.insert(64) && set.insert(200) && !set.insert(64));
        assert_eq!(set.iter().collect::<Vec<_>>(), [3, 64, 200]);
        assert!(set.contains(200) && !set.contains(201) && !set.contains(9999));
        let mut more = set.clone();
        more.insert(500);
        assert!(set.is_subset(&more) && !more.is_subset(&set));
    }
}
