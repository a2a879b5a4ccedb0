//! Splitting a random graph at random exits and fusing the parts changes nothing.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

use std::collections::{BTreeMap, BTreeSet};

use offramp_graph::ir::{ElementType, Graph, Initializer, Model, Node, Tensor, ValueInfo};
use offramp_graph::{Types, extract, fuse, partition};
use offramp_models::DType;
use proptest::prelude::*;

const FLOATS: Types<'static> = &|name| Some(ValueInfo::float32(name));

/// One node: its operator, and which of the tensors before it it takes.
#[derive(Clone, Debug)]
struct Step {
    op: &'static str,
    takes: [prop::sample::Index; 2],
}

#[derive(Clone, Debug)]
struct Plan {
    inputs: usize,
    constants: Vec<f32>,
    steps: Vec<Step>,
    exits: Vec<prop::sample::Index>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let step = (prop::sample::select(vec!["Add", "Mul", "Relu", "Twins"]), any::<[prop::sample::Index; 2]>())
        .prop_map(|(op, takes)| Step { op, takes });
    (
        1..3_usize,
        prop::collection::vec(-2_i8..3, 1..4),
        prop::collection::vec(step, 1..40),
        prop::collection::vec(any::<prop::sample::Index>(), 1..6),
    )
        .prop_map(|(inputs, constants, steps, exits)| Plan {
            inputs,
            constants: constants.into_iter().map(f32::from).collect(),
            steps,
            exits,
        })
}

impl Plan {
    /// The whole model and its exits, deepest last.
    fn build(&self) -> (Model, Vec<String>) {
        let mut graph = Graph { name: "random".into(), ..Default::default() };
        graph.inputs = (0..self.inputs).map(|at| ValueInfo::float32(format!("x{at}"))).collect();
        graph.initializers = self.constants.iter().enumerate().map(constant).collect();
        let mut tensors: Vec<String> = graph.inputs.iter().map(|input| input.name.clone()).collect();
        tensors.extend(graph.initializers.iter().map(|init| init.name.clone()));
        for (at, step) in self.steps.iter().enumerate() {
            let taken: Vec<String> = step.takes.iter().map(|index| index.get(&tensors).clone()).collect();
            let (inputs, outputs) = match step.op {
                "Relu" => (taken[..1].to_vec(), vec![format!("t{at}")]),
                "Twins" => (taken, vec![format!("t{at}"), format!("u{at}")]),
                _ => (taken, vec![format!("t{at}")]),
            };
            tensors.extend(outputs.iter().cloned());
            graph.nodes.push(Node { op: step.op.into(), inputs, outputs, ..Default::default() });
        }
        let steps = self.exits.iter().map(|index| index.index(self.steps.len()));
        let exits: Vec<String> = steps.collect::<BTreeSet<_>>().iter().map(|at| format!("t{at}")).collect();
        graph.outputs = exits.iter().map(ValueInfo::float32).collect();
        (Model { ir_version: 8, opsets: [(String::new(), 17)].into(), graph, ..Default::default() }, exits)
    }
}

fn constant((at, value): (usize, &f32)) -> Initializer {
    let data = value.to_le_bytes().to_vec().into();
    let tensor = Tensor { dtype: ElementType::Known(DType::Float32), dims: vec![], data };
    Initializer { name: format!("w{at}"), tensor }
}

type Values = BTreeMap<String, f64>;

/// Runs `graph` on `values` and adds its outputs to them; a graph that is not in order panics.
fn interpret(graph: &Graph, values: &mut Values) {
    let mut scope: Values =
        graph.inputs.iter().map(|input| (input.name.clone(), values[&input.name])).collect();
    for init in &graph.initializers {
        let bytes = init.tensor.data[..4].try_into().unwrap();
        scope.insert(init.name.clone(), f64::from(f32::from_le_bytes(bytes)));
    }
    for node in &graph.nodes {
        let of = |at: usize| scope[&node.inputs[at]];
        // Bounded, so that long chains stay finite.
        let results = match node.op.as_str() {
            "Add" => vec![(of(0) + of(1)).sin()],
            "Mul" => vec![(of(0) * of(1)).cos()],
            "Relu" => vec![of(0).max(0.0)],
            "Twins" => vec![of(0) - of(1), of(1) * 0.5],
            op => panic!("no operator {op}"),
        };
        scope.extend(node.outputs.iter().cloned().zip(results));
    }
    values.extend(graph.outputs.iter().map(|output| (output.name.clone(), scope[&output.name])));
}

fn image(graph: &Graph) -> Values {
    let value = |name: &str| if name == "x0" { 0.75 } else { -1.25 };
    graph.inputs.iter().map(|input| (input.name.clone(), value(&input.name))).collect()
}

fn logits(model: &Model, exits: &[String]) -> Vec<f64> {
    let mut values = image(&model.graph);
    interpret(&model.graph, &mut values);
    exits.iter().map(|exit| values[exit]).collect()
}

fn producers(models: &[Model]) -> Vec<&String> {
    models.iter().flat_map(|model| &model.graph.nodes).map(|node| &node.outputs[0]).collect()
}

proptest! {
    /// Exits in the order of production: an exit is never computed on the way to an earlier one.
    #[test]
    fn parts_one_after_the_other_compute_what_the_whole_computes(plan in plan()) {
        let (whole, exits) = plan.build();
        let parts = partition(&whole, &exits, FLOATS).unwrap();
        let mut values = image(&whole.graph);
        for part in &parts {
            interpret(&part.graph, &mut values);
        }
        let composed: Vec<f64> = exits.iter().map(|exit| values[exit]).collect();
        prop_assert_eq!(composed, logits(&whole, &exits));
    }

    #[test]
    fn every_needed_node_is_in_exactly_one_part(plan in plan()) {
        let (whole, exits) = plan.build();
        let parts = partition(&whole, &exits, FLOATS).unwrap();
        let index = offramp_graph::Index::new(&whole.graph);
        let mut needed = BTreeSet::new();
        for exit in &exits {
            needed.extend(index.ancestors(exit).iter().map(|node| &whole.graph.nodes[node].outputs[0]));
        }
        let placed = producers(&parts);
        prop_assert_eq!(placed.len(), needed.len());
        prop_assert_eq!(placed.into_iter().collect::<BTreeSet<_>>(), needed);
    }

    #[test]
    fn no_tensor_crosses_that_no_later_part_takes(plan in plan()) {
        let (whole, exits) = plan.build();
        let parts = partition(&whole, &exits, FLOATS).unwrap();
        for (at, part) in parts.iter().enumerate() {
            prop_assert_eq!(&part.graph.outputs[0].name, &exits[at]);
            for output in &part.graph.outputs[1..] {
                let later = parts[at + 1..].iter().flat_map(|part| &part.graph.inputs);
                prop_assert!(later.into_iter().any(|input| input.name == output.name), "{}", output.name);
            }
            for input in &part.graph.inputs {
                let taken = part.graph.nodes.iter().any(|node| node.inputs.contains(&input.name));
                prop_assert!(taken, "{}", input.name);
            }
        }
    }

    #[test]
    fn fused_parts_are_the_whole_again(plan in plan()) {
        let (whole, exits) = plan.build();
        let parts = partition(&whole, &exits, FLOATS).unwrap();
        let fused = fuse(&parts).unwrap();
        prop_assert_eq!(logits(&fused, &exits), logits(&whole, &exits));
        let outputs: Vec<_> = fused.graph.outputs.iter().map(|output| &output.name).collect();
        prop_assert_eq!(outputs, exits.iter().collect::<Vec<_>>());
        let constants: BTreeSet<_> = fused.graph.initializers.iter().map(|init| &init.name).collect();
        prop_assert_eq!(constants.len(), fused.graph.initializers.len());
        prop_assert_eq!(producers(std::slice::from_ref(&fused)), producers(&parts));
        let again = partition(&fused, &exits, FLOATS).unwrap();
        let nodes = |parts: &[Model]| parts.iter().map(|part| part.graph.nodes.clone()).collect::<Vec<_>>();
        prop_assert_eq!(nodes(&again), nodes(&parts));
    }

    #[test]
    fn a_tail_computes_the_later_exits_from_what_crosses_the_cut(plan in plan(), cut in any::<prop::sample::Index>()) {
        let (whole, exits) = plan.build();
        let parts = partition(&whole, &exits, FLOATS).unwrap();
        let cut = cut.index(parts.len());
        let mut values = image(&whole.graph);
        for part in &parts[..cut] {
            interpret(&part.graph, &mut values);
        }
        let fused = fuse(&parts[cut..]).unwrap();
        let inputs: Vec<String> = fused.graph.inputs.iter().map(|input| input.name.clone()).collect();
        let made: BTreeSet<&String> = parts[cut..].iter().flat_map(|part| &part.graph.outputs).map(|info| &info.name).collect();
        let taken = parts[cut..].iter().flat_map(|part| &part.graph.inputs).map(|info| &info.name);
        let crossing: BTreeSet<&String> = taken.filter(|name| !made.contains(name)).collect();
        prop_assert_eq!(inputs.iter().collect::<BTreeSet<_>>(), crossing);
        let later: BTreeSet<&String> = exits[cut..].iter().collect();
        let extracted = extract(&whole, &inputs, &exits[cut..], FLOATS).unwrap();
        for tail in [&fused, &extracted] {
            prop_assert_eq!(tail.graph.outputs.iter().map(|info| &info.name).collect::<BTreeSet<_>>(), later.clone());
            let mut values = values.clone();
            interpret(&tail.graph, &mut values);
            let composed: Vec<f64> = exits.iter().map(|exit| values[exit]).collect();
            prop_assert_eq!(composed, logits(&whole, &exits));
        }
    }

    /// An input under another name, as where something is put before a graph, changes nothing either.
    #[test]
    fn a_renamed_input_is_the_same_input(plan in plan(), cut in any::<prop::sample::Index>()) {
        let (whole, exits) = plan.build();
        let parts = partition(&whole, &exits, FLOATS).unwrap();
        let cut = cut.index(parts.len());
        let mut values = image(&whole.graph);
        for part in &parts[..cut] {
            interpret(&part.graph, &mut values);
        }
        let mut tail = fuse(&parts[cut..]).unwrap();
        let mut given = Values::new();
        for input in tail.graph.inputs.clone() {
            // A name that many of these graphs have.
            given.insert(tail.graph.rename(&input.name, "t0"), values[&input.name]);
        }
        interpret(&tail.graph, &mut given);
        let found: Vec<f64> = exits[cut..].iter().map(|exit| given[exit]).collect();
        prop_assert_eq!(found, &logits(&whole, &exits)[cut..]);
    }

    #[test]
    fn nodes_in_any_order_are_read_in_topological_order(plan in plan(), seed in any::<u64>()) {
        let (mut whole, exits) = plan.build();
        let expected = logits(&whole, &exits);
        let count = whole.graph.nodes.len();
        let mut state = seed | 1;
        for at in (1..count).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            whole.graph.nodes.swap(at, (state >> 33) as usize % (at + 1));
        }
        let read = Model::from_bytes(whole.to_bytes().unwrap()).unwrap();
        prop_assert_eq!(logits(&read, &exits), expected);
    }
}
