//! Calls of model-local functions replaced by the functions' bodies.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::error::InlineError;
use crate::ir::{Attribute, Function, Graph, Model, Node, ValueInfo};
use crate::names::{Names, Renames, rename};
use crate::order::{self, present};

/// Functions in functions; frameworks nest modules, a few dozen deep at most.
const DEEPEST: usize = 48;

/// Bytes that calls may unfold to: bodies that call twice what calls twice grow without bounds.
const LARGEST: usize = 256 << 20;

/// A longer call's name is not put before the names inside.
const LONGEST_PREFIX: usize = 200;

impl Model {
    /// Replaces calls of model-local functions by the functions' bodies, until only operators are left.
    ///
    /// Names inside a body become `<call>/<name>`, with a number where that is taken. Operator sets that only
    /// functions were in are dropped with them.
    ///
    /// # Errors
    /// [`InlineError`]; the model is left without its functions then, and is of no use.
    pub fn inline(&mut self) -> Result<(), InlineError> {
        self.inline_within(LARGEST)
    }

    fn inline_within(&mut self, limit: usize) -> Result<(), InlineError> {
        if self.functions.is_empty() {
            return Ok(());
        }
        let functions = std::mem::take(&mut self.functions);
        let mut inliner = Inliner::new(&functions, &self.graph, limit)?;
        let nodes = std::mem::take(&mut self.graph.nodes);
        self.graph.nodes = inliner.unfold(nodes)?;
        inliner.join_opsets(self)?;
        order::settle(&mut self.graph)?;
        Ok(())
    }
}

type Id<'f> = (&'f str, &'f str, &'f str);

struct Body<'f> {
    function: &'f Function,
    graph: Graph,
}

struct Inliner<'f> {
    bodies: Vec<Body<'f>>,
    /// Positions in `bodies`.
    ids: FxHashMap<Id<'f>, usize>,
    names: Names,
    /// The calls that are being unfolded.
    open: Vec<usize>,
    called: FxHashSet<usize>,
    size: usize,
    limit: usize,
}

impl<'f> Inliner<'f> {
    fn new(functions: &'f [Function], graph: &Graph, limit: usize) -> Result<Self, InlineError> {
        let mut bodies = Vec::with_capacity(functions.len());
        let mut ids = FxHashMap::default();
        for function in functions {
            let id = (&*function.domain, &*function.name, &*function.overload);
            if ids.insert(id, bodies.len()).is_some() {
                return Err(InlineError::Duplicate { function: function.name.clone() });
            }
            bodies.push(Body { function, graph: body(function)? });
        }
        let (open, called) = Default::default();
        Ok(Self { bodies, ids, names: Names::of(graph), open, called, size: 0, limit })
    }

    fn called_by(&self, node: &Node) -> Option<usize> {
        // The identity of a call lives shorter than those of the functions.
        let ids: &FxHashMap<Id<'_>, usize> = &self.ids;
        ids.get(&(&*node.domain, &*node.op, &*node.overload)).copied()
    }

    fn unfold(&mut self, nodes: Vec<Node>) -> Result<Vec<Node>, InlineError> {
        let mut unfolded = Vec::with_capacity(nodes.len());
        for mut node in nodes {
            for inner in node.subgraphs_mut() {
                inner.nodes = self.unfold(std::mem::take(&mut inner.nodes))?;
            }
            let found = self.called_by(&node).and_then(|at| Some((at, self.bodies.get(at)?)));
            let Some((at, body)) = found else {
                unfolded.push(node);
                continue;
            };
            if self.open.contains(&at) {
                return Err(InlineError::Recursive { function: node.op });
            }
            if self.open.len() >= DEEPEST {
                return Err(InlineError::TooDeep { limit: DEEPEST });
            }
            let nodes = instantiate(body, &node, &mut self.names)?;
            self.size += nodes.iter().map(weight).sum::<usize>();
            if self.size > self.limit {
                return Err(InlineError::TooLarge { limit: self.limit });
            }
            self.called.insert(at);
            self.open.push(at);
            unfolded.extend(self.unfold(nodes)?);
            self.open.pop();
        }
        Ok(unfolded)
    }

    /// Adds the operator sets of the bodies, drops those of the functions.
    fn join_opsets(&self, model: &mut Model) -> Result<(), InlineError> {
        for function in self.called.iter().filter_map(|at| self.bodies.get(*at)).map(|body| body.function) {
            for (domain, found) in &function.opsets {
                let expected = *model.opsets.entry(domain.clone()).or_insert(*found);
                if expected != *found {
                    let (function, domain) = (function.name.clone(), domain.clone());
                    return Err(InlineError::Opset { function, domain, expected, found: *found });
                }
            }
        }
        let mut used = FxHashSet::default();
        domains(&model.graph, &mut used);
        let functions: FxHashSet<&str> = self.ids.keys().map(|id| id.0).collect();
        model.opsets.retain(|domain, _| {
            domain.is_empty() || used.contains(domain.as_str()) || !functions.contains(domain.as_str())
        });
        Ok(())
    }
}

/// A function's body as a graph of its own, names checked and nodes in order.
fn body(function: &Function) -> Result<Graph, InlineError> {
    let infos = |names: &[String]| {
        names.iter().map(|name| ValueInfo { name: name.clone(), dtype: None, dims: None }).collect()
    };
    let mut graph = Graph {
        nodes: function.nodes.clone(),
        inputs: infos(&function.inputs),
        outputs: infos(&function.outputs),
        ..Default::default()
    };
    match order::settle(&mut graph) {
        Ok(()) => Ok(graph),
        Err(source) => Err(InlineError::Body { function: function.name.clone(), source }),
    }
}

/// The nodes of `body` in place of `call`.
fn instantiate(body: &Body<'_>, call: &Node, names: &mut Names) -> Result<Vec<Node>, InlineError> {
    let function = body.function;
    let arity = |side, expected: &[String], found: &[String]| match found.len() <= expected.len() {
        true => Ok(()),
        false => Err(InlineError::Arity {
            node: call.to_string(),
            side,
            expected: expected.len(),
            found: found.len(),
        }),
    };
    arity("inputs", &function.inputs, &call.inputs)?;
    arity("outputs", &function.outputs, &call.outputs)?;

    let mut renames = Renames::default();
    let actual = call.inputs.iter().cloned().chain(std::iter::repeat(String::new()));
    renames.extend(function.inputs.iter().cloned().zip(actual));
    let mut passed = Vec::new();
    for (formal, actual) in function.outputs.iter().zip(&call.outputs).filter(|(_, name)| !name.is_empty()) {
        match renames.get(formal) {
            // One tensor under two names, which only an operator can make.
            Some(same) => passed.push(identity(same, actual)),
            None => {
                renames.insert(formal.clone(), actual.clone());
            }
        }
    }
    let prefix = |name: &str| match call.name.len() {
        1..=LONGEST_PREFIX => format!("{}/{name}", call.name),
        _ => name.into(),
    };
    let mut inner = Vec::new();
    definitions(&body.graph, &mut inner);
    for name in inner {
        if !renames.contains_key(name) {
            renames.insert(name.into(), names.fresh(&prefix(name)));
        }
    }
    let mut nodes = body.graph.nodes.clone();
    for node in &mut nodes {
        rename(node, &renames);
        resolve(node, function, call);
        if !node.name.is_empty() {
            node.name = prefix(&node.name);
        }
    }
    nodes.extend(passed);
    Ok(nodes)
}

fn identity(from: &str, to: &str) -> Node {
    Node { op: "Identity".into(), inputs: vec![from.into()], outputs: vec![to.into()], ..Default::default() }
}

/// What `graph` and its sub-graphs define.
fn definitions<'g>(graph: &'g Graph, found: &mut Vec<&'g str>) {
    found.extend(graph.inputs.iter().map(|input| input.name.as_str()));
    found.extend(graph.initializers.iter().map(|init| init.name.as_str()));
    for node in &graph.nodes {
        found.extend(present(&node.outputs));
        node.subgraphs().for_each(|inner| definitions(inner, found));
    }
}

/// Puts values in place of references to attributes of `call`; an attribute that neither `call` nor a default gives
/// is left out.
fn resolve(node: &mut Node, function: &Function, call: &Node) {
    let value = |wanted: &str| {
        let mut given = call.attributes.iter().chain(&function.defaults);
        given.find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
    };
    node.attributes.retain_mut(|(_, attribute)| match attribute {
        Attribute::Reference { name, .. } => match value(name) {
            Some(given) => {
                *attribute = given;
                true
            }
            None => false,
        },
        _ => true,
    });
    let inner = node.subgraphs_mut().flat_map(|graph| &mut graph.nodes);
    inner.for_each(|node| resolve(node, function, call));
}

/// Bytes that a copy of `node` takes, constants aside: those are shared.
fn weight(node: &Node) -> usize {
    let names = [&node.name, &node.op, &node.domain].into_iter().chain(&node.inputs).chain(&node.outputs);
    let names: usize = names.map(|name| size_of::<String>() + name.len()).sum();
    let attributes = node.attributes.iter().map(|(name, value)| {
        let value = match value {
            Attribute::Floats(values) => size_of_val(&**values),
            Attribute::Ints(values) => size_of_val(&**values),
            Attribute::Strings(values) => size_of_val(&**values),
            Attribute::Tensors(values) => size_of_val(&**values),
            _ => 0,
        };
        size_of::<(String, Attribute)>() + name.len() + value
    });
    let inner = node.subgraphs().map(|graph| {
        let interface = graph.inputs.len() + graph.outputs.len() + graph.value_info.len();
        size_of::<Graph>()
            + interface * size_of::<ValueInfo>()
            + graph.nodes.iter().map(weight).sum::<usize>()
    });
    size_of::<Node>() + names + attributes.sum::<usize>() + inner.sum::<usize>()
}

fn domains<'g>(graph: &'g Graph, found: &mut FxHashSet<&'g str>) {
    for node in &graph.nodes {
        found.insert(&node.domain);
        node.subgraphs().for_each(|inner| domains(inner, found));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{graph, model, names, node, strings};

    fn function(name: &str, inputs: &[&str], nodes: Vec<Node>, outputs: &[&str]) -> Function {
        Function {
            domain: "local".into(),
            name: name.into(),
            inputs: strings(inputs),
            outputs: strings(outputs),
            nodes,
            opsets: [(String::new(), 17), ("local".into(), 1)].into(),
            ..Default::default()
        }
    }

    fn call(function: &str, name: &str, inputs: &[&str], outputs: &[&str]) -> Node {
        Node { domain: "local".into(), name: name.into(), ..node(function, inputs, outputs) }
    }

    fn inlined(functions: Vec<Function>, nodes: Vec<Node>) -> Result<Model, InlineError> {
        let mut model = Model { functions, ..model(graph(&["x"], nodes, &["y"])) };
        model.opsets.insert("local".into(), 1);
        model.inline_within(1 << 20)?;
        Ok(model)
    }

    #[test]
    fn calls_in_calls_unfold_under_names_of_their_own() {
        let twice = vec![call("Once", "first", &["a"], &["t"]), call("Once", "second", &["t"], &["b"])];
        let once = vec![node("Relu", &["a"], &["t"]), node("Neg", &["t"], &["b"])];
        let functions =
            vec![function("Twice", &["a"], twice, &["b"]), function("Once", &["a"], once, &["b"])];
        let model = inlined(functions, vec![call("Twice", "c", &["x"], &["y"])]).unwrap();
        let wiring: Vec<_> =
            model.graph.nodes.iter().map(|n| (&*n.op, &*n.inputs[0], &*n.outputs[0])).collect();
        assert_eq!(
            wiring,
            [
                ("Relu", "x", "c/first/t"),
                ("Neg", "c/first/t", "c/t"),
                ("Relu", "c/t", "c/second/t"),
                ("Neg", "c/second/t", "y"),
            ]
        );
        assert!(model.functions.is_empty());
        assert_eq!(model.opsets.keys().collect::<Vec<_>>(), [""]);
    }

    #[test]
    fn references_become_the_call_s_attribute_the_default_or_nothing() {
        let reference = |name: &str| Attribute::Reference { name: name.into(), kind: 1 };
        let mut leaky = node("LeakyRelu", &["a"], &["b"]);
        for name in ["alpha", "beta", "gamma"] {
            leaky.attributes.push((name.into(), reference(name)));
        }
        let mut body = function("F", &["a"], vec![leaky], &["b"]);
        body.defaults =
            vec![("alpha".into(), Attribute::Float(0.5)), ("beta".into(), Attribute::Float(0.25))];
        let mut once = call("F", "", &["x"], &["y"]);
        once.attributes.push(("alpha".into(), Attribute::Float(0.1)));
        let model = inlined(vec![body], vec![once]).unwrap();
        let expected = [("alpha".into(), Attribute::Float(0.1)), ("beta".into(), Attribute::Float(0.25))];
        assert_eq!(model.graph.nodes[0].attributes, expected);
    }

    #[test]
    fn an_input_handed_through_becomes_an_identity_and_a_left_out_one_stays_left_out() {
        let nodes = vec![node("Clip", &["b", "low"], &["c"])];
        let body = function("F", &["a", "b", "low"], nodes, &["a", "c"]);
        let nodes = vec![call("F", "", &["x", "x"], &["t", "u"]), node("Add", &["t", "u"], &["y"])];
        let model = inlined(vec![body], nodes).unwrap();
        assert_eq!(model.graph.nodes[0].inputs, ["x", ""]);
        assert_eq!(model.graph.nodes[1], identity("x", "t"));
    }

    #[test]
    fn names_inside_sub_graphs_of_a_body_do_not_capture_the_caller_s() {
        let then = graph(&[], vec![node("Neg", &["a"], &["x"])], &["x"]);
        let mut branch = node("If", &["a"], &["b"]);
        branch.attributes.push(("then_branch".into(), Attribute::Graph(Box::new(then))));
        let model =
            inlined(vec![function("F", &["a"], vec![branch], &["b"])], vec![call("F", "", &["x"], &["y"])]);
        let model = model.unwrap();
        let inner = model.graph.nodes[0].subgraphs().next().unwrap();
        assert_eq!(inner.nodes[0].inputs, ["x"]);
        assert_eq!((inner.nodes[0].outputs.clone(), names(&inner.outputs)), (strings(&["x_1"]), vec!["x_1"]));
    }

    #[test]
    fn functions_without_end_are_refused() {
        let body = vec![call("F", "", &["a"], &["b"])];
        let error = inlined(vec![function("F", &["a"], body.clone(), &["b"])], body_call()).unwrap_err();
        assert_eq!(error.to_string(), "function \"F\" calls itself");

        // Each calls the next twice: 2^40 nodes.
        let error = inlined(chain(40, 2), body_call()).unwrap_err();
        assert_eq!(error.to_string(), "functions unfold to more than 1048576 bytes");
        let error = inlined(chain(60, 1), body_call()).unwrap_err();
        assert_eq!(error.to_string(), "functions call each other more than 48 deep");
        assert!(inlined(chain(40, 1), body_call()).is_ok());
    }

    /// `F` calls `F1` so many times, which calls `F2`, and so on.
    fn chain(length: usize, calls: usize) -> Vec<Function> {
        let name = |at: usize| if at == 0 { "F".into() } else { format!("F{at}") };
        let tensor = |at: usize| format!("t{at}");
        let link = |at: usize| {
            let op = name(at + 1);
            let nodes = (0..calls).map(|i| match at + 1 < length {
                true => call(&op, "", &[&tensor(i)], &[&tensor(i + 1)]),
                false => node("Relu", &[&tensor(i)], &[&tensor(i + 1)]),
            });
            function(&name(at), &["t0"], nodes.collect(), &[&tensor(calls)])
        };
        (0..length).map(link).collect()
    }

    fn body_call() -> Vec<Node> {
        vec![call("F", "", &["x"], &["y"])]
    }

    #[test]
    fn bodies_that_use_what_they_do_not_define_are_refused() {
        let body = function("F", &["a"], vec![node("Add", &["a", "x"], &["b"])], &["b"]);
        assert!(matches!(inlined(vec![body], body_call()), Err(InlineError::Body { .. })));
        let body = function("F", &[], vec![node("Constant", &[], &["b"])], &["b"]);
        let error = inlined(vec![body], body_call()).unwrap_err();
        assert_eq!(error.to_string(), "local.F of \"y\" has 1 inputs, its function has 0");
    }
}
