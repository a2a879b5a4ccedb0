"""The segments as one ONNX model: an `If` after every exit, whose else-branch holds the rest of the network."""

import numpy as np
from onnx import TensorProto, helper

from .runtime import Bound, buffer, session


def renamed(bundle, index):
    """Nodes and initialisers of one segment, its own tensors prefixed: sub-graphs share their parents' names."""
    graph = bundle.load(index).graph
    shared = {spec["name"] for segment in bundle.segments for spec in segment["outputs"]} | {bundle.input["name"]}

    def name(tensor):
        return tensor if not tensor or tensor in shared else f"segment{index}/{tensor}"

    for node in graph.node:
        assert not any(a.type in (a.GRAPH, a.GRAPHS) for a in node.attribute), f"segment {index} holds a sub-graph"
        node.name = f"segment{index}/{node.name}"
        node.input[:] = [name(tensor) for tensor in node.input]
        node.output[:] = [name(tensor) for tensor in node.output]
    for tensor in graph.initializer:
        tensor.name = name(tensor.name)
    return list(graph.node), list(graph.initializer)


def answer(stem, logits, exit):
    """Nodes that give `logits` and the number of the exit, and the names they give them."""
    number = helper.make_tensor(f"{stem}/number", TensorProto.INT64, [], [exit])
    nodes = [
        helper.make_node("Identity", [logits], [f"{stem}/logits"]),
        helper.make_node("Constant", [], [f"{stem}/exit"], value=number),
    ]
    return nodes, [f"{stem}/logits", f"{stem}/exit"]


def value_infos(names, classes):
    return [
        helper.make_tensor_value_info(names[0], TensorProto.FLOAT, [1, classes]),
        helper.make_tensor_value_info(names[1], TensorProto.INT64, []),
    ]


def continued(bundle, index):
    """Nodes and initialisers from segment `index` on, and the names of the logits and of the exit."""
    nodes, initializers = renamed(bundle, index)
    logits, stem = bundle.logits[index], f"decision{index}"
    if index + 1 == len(bundle.segments):
        more, names = answer(f"{stem}/final", logits, index)
        return nodes + more, initializers, names
    # Without `axes`, ReduceMax means the same in every operator set.
    nodes += [
        helper.make_node("Softmax", [logits], [f"{stem}/probabilities"], axis=1),
        helper.make_node("ReduceMax", [f"{stem}/probabilities"], [f"{stem}/confidence"], keepdims=0),
        helper.make_node("Less", [f"{stem}/confidence", "threshold"], [f"{stem}/unsure"]),
        helper.make_node("Not", [f"{stem}/unsure"], [f"{stem}/stop"]),
    ]
    taken, taken_names = answer(f"{stem}/then", logits, index)
    rest, rest_initializers, rest_names = continued(bundle, index + 1)
    branches = {
        "then_branch": helper.make_graph(taken, f"then{index}", [], value_infos(taken_names, bundle.classes)),
        "else_branch": helper.make_graph(
            rest, f"else{index}", [], value_infos(rest_names, bundle.classes), rest_initializers
        ),
    }
    names = [f"{stem}/logits", f"{stem}/exit"]
    nodes.append(helper.make_node("If", [f"{stem}/stop"], names, **branches))
    return nodes, initializers, names


def nested(bundle):
    """The model. Inputs: the image and `threshold`, a scalar; above 1 it always runs to the final exit."""
    first = bundle.load(0)
    image = next(value for value in first.graph.input if value.name == bundle.input["name"])
    nodes, initializers, names = continued(bundle, 0)
    threshold = helper.make_tensor_value_info("threshold", TensorProto.FLOAT, [])
    graph = helper.make_graph(
        nodes, bundle.name, [image, threshold], value_infos(names, bundle.classes), initializers
    )
    return helper.make_model(graph, opset_imports=first.opset_import, ir_version=first.ir_version), names


class If:
    title = "ONNX Runtime, nested `If`, bound"

    def __init__(self, bundle, model, threads):
        built, names = nested(bundle)
        image, self.image = buffer(bundle.input["shape"], bundle.input["dtype"])
        threshold, self.threshold = buffer([])
        logits, self.logits = buffer([1, bundle.classes])
        exit, self.exit = buffer([], "int64")
        runner = session(built.SerializeToString(), threads)
        self.bound = Bound(
            runner, {bundle.input["name"]: image, "threshold": threshold}, dict(zip(names, (logits, exit)))
        )

    def infer(self, image, threshold):
        np.copyto(self.image, image)
        self.threshold[...] = threshold
        self.bound.run()
        return int(self.exit), int(self.logits.argmax())
