"""Networks whose gradient must be refused: something on the image's way to an exit has no rule."""

import dataclasses

from onnx import TensorProto

from .networks import Graph


@dataclasses.dataclass
class Refused:
    net: Graph
    # What the error must name.
    words: list


def start(name, opset, claim):
    net = Graph(name, opset, claim)
    x = net.relu(net.convolve("image", "one", 3, 4))
    net.classify(x, "exit0", 4)
    return net, x


def refused(name, op, claim, opset, graph):
    net, x = start(name, opset, claim)
    net.classify(graph(net, x), "exit1", 4)
    (node,) = (node for node in net.nodes if node.op_type == op)
    node.name = f"the_{op.lower()}_node"
    return Refused(net, [op, node.name])


def float64():
    net, x = start("float64", 17, "a part of the network computes in float64, gradients are float32")
    wide = net.node("Exp", net.node("Cast", x, "wide", to=TensorProto.DOUBLE), "wider")
    net.classify(net.node("Cast", wide, to=TensorProto.FLOAT), "exit1", 4)
    return Refused(net, ["wide", "float64"])


def cases():
    return [
        refused("einsum", "Einsum", "Einsum has no rule", 17, lambda net, x: net.node("Einsum", x, equation="nchw->nchw")),
        refused("top-k", "TopK", "TopK has no rule", 17,
                lambda net, x: net.node("TopK", [x, net.constant([2])], count=2, axis=3)[0]),
        refused("cum-sum", "CumSum", "CumSum has no rule", 17, lambda net, x: net.node("CumSum", [x, net.constant(3)])),
        float64(),
    ]
