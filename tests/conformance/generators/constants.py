"""Graphs full of what exporters leave behind: shape arithmetic, constants, functions, weights elsewhere."""

import numpy as np
from onnx import helper, numpy_helper

from .network import Network

SMALLEST = -(2**63) + 1
LARGEST = 2**63 - 1


def constant_chains():
    net = Network(
        "constant-chains", 11, "Reshape targets from Shape, Gather, Unsqueeze and Concat; a weight in a Constant node",
        [
            "An initialiser that nothing reads and a branch that reaches no output must be dropped.",
            "The third convolution's weight is a Constant node: it counts as a parameter.",
        ],
    )

    def flat(x, channels):
        y = net.node("AveragePool", x, kernel_shape=[6, 6], strides=[6, 6])
        extent = net.node("Gather", [net.node("Shape", y), net.constant_node(0)], axis=0)
        parts = [net.node("Unsqueeze", part, axes=[0]) for part in (extent, net.constant_node(-1))]
        y = net.node("Reshape", [y, net.node("Concat", parts, axis=0)])
        return y, 4 * channels

    x = net.conv_relu(net.input(3, 12), 3, 6, out="features0")
    net.exit(net.gemm(*flat(x, 6), 10, out="exit0"))
    net.cut("features0")
    x = net.conv_relu(x, 6, 6, out="features1")
    net.exit(net.gemm(*flat(x, 6), 10, out="exit1"))
    net.cut("features1")
    net.weight(4, 4, name="unused_weight")
    net.node("Tanh", x, "unused_branch")
    kernel = net.constant_node(0.4 * (2 * net.random.random((6, 6, 3, 3)) - 1), np.float32)
    x = net.relu(net.node("Conv", [x, kernel], pads=[1, 1, 1, 1], kernel_shape=[3, 3]))
    net.exit(net.gemm(*flat(x, 6), 10, out="exit2"))
    return net


def option_a():
    net = Network(
        "option-a", 17, "parameter-free shortcuts: strided Slice, and Pad whose pads are computed from ConstantOfShape",
        ["The pad arithmetic is, node for node, what PyTorch's tracing exporter writes for `F.pad`."],
    )

    def every_second(x, axis):
        starts, ends, axes, steps = (net.constant_node([v]) for v in (0, LARGEST, axis, 2))
        return net.node("Slice", [x, starts, ends, axes, steps])

    def widened(x, by):
        short = net.constant_node([0, 0, 0, 0, by, by])
        zeros = net.node("ConstantOfShape", net.constant_node([2]), value=numpy_helper.from_array(np.array([0], np.int64)))
        pairs = net.node("Reshape", [net.node("Concat", [short, zeros], axis=0), net.constant_node([-1, 2])], allowzero=0)
        axes, starts, ends, steps = (net.constant_node([v]) for v in (0, -1, SMALLEST, -1))
        turned = net.node("Transpose", net.node("Slice", [pairs, starts, ends, axes, steps]), perm=[1, 0])
        pads = net.node("Cast", net.node("Reshape", [turned, net.constant_node([-1])], allowzero=0), to=7)
        return net.node("Pad", [x, pads, ""], mode="constant")

    def block(x, before, after, out):
        y = net.conv(net.conv_relu(x, before, after, stride=2), after, after)
        shortcut = widened(every_second(every_second(x, 2), 3), (after - before) // 2)
        return net.relu(net.node("Add", [y, shortcut]), out)

    x = net.conv_relu(net.input(3, 12), 3, 4, out="stem")
    net.head(x, 4, "exit0")
    net.cut("stem")
    x = block(x, 4, 8, "stage0")
    net.head(x, 8, "exit1")
    net.cut("stage0")
    net.head(block(x, 8, 16, "stage1"), 16, "exit2")
    return net


def shared_shape():
    net = Network(
        "shared-shape", 13, "one Shape of the image serves every Reshape of the network: no shape crosses a cut",
        ["Copied along a cut, the batch extent would be a tensor without a batch axis."],
    )
    image = net.input(3, 8)
    picked = net.node("Gather", [net.node("Shape", image), net.constant_node(0)], axis=0)
    batch = net.node("Unsqueeze", [picked, net.constant_node([0])])

    def flat(x, features):
        return net.node("Reshape", [x, net.node("Concat", [batch, net.constant_node([features])], axis=0)])

    x = net.conv_relu(image, 3, 6, stride=2, out="features0")
    net.exit(net.gemm(flat(x, 96), 96, 10, out="exit0"))
    net.cut("features0")
    x = net.conv_relu(x, 6, 8, stride=2, out="features1")
    net.exit(net.gemm(flat(x, 32), 32, 10, out="exit1"))
    net.cut("features1")
    net.exit(net.gemm(flat(net.conv_relu(x, 8, 8), 32), 32, 10, out="exit2"))
    return net


def shared_weights():
    net = Network(
        "shared-weights", 17, "one head's weight at two exits, one convolution's weight in two segments, one through Identity",
        ["Each counts once among the parameters; each segment that reads one holds it."],
    )
    kernel, bias = net.weight(8, 8, 3, 3, scale=0.25, name="shared_kernel"), net.weight(8, scale=0.2, name="shared_bias")
    weight, offset = net.weight(10, 8, scale=1.4, name="shared_head"), net.weight(10, scale=0.5, name="shared_offset")

    def again(x, kernel, out):
        return net.relu(net.node("Conv", [x, kernel, bias], pads=[1, 1, 1, 1], kernel_shape=[3, 3]), out)

    def head(x, name):
        return net.exit(net.node("Gemm", [net.pooled(x), weight, offset], name, transB=1))

    x = again(net.conv_relu(net.input(3, 10), 3, 8), kernel, "features0")
    head(x, "exit0")
    net.cut("features0")
    x = net.node("Add", [x, net.conv(x, 8, 8)], "features1")
    net.head(x, 8, "exit1")
    net.cut("features1")
    head(again(x, net.node("Identity", kernel), None), "exit2")
    return net


def external_data():
    net = Network("external-data", 17, "weights in a file beside the model, each at its offset")
    net.external = True
    x = net.conv_relu(net.input(3, 12), 3, 8, out="features0")
    net.head(x, 8, "exit0")
    net.cut("features0")
    x = net.conv_relu(x, 8, 16, stride=2, out="features1")
    net.head(x, 16, "exit1")
    net.cut("features1")
    net.head(net.conv_relu(x, 16, 16), 16, "exit2")
    return net


def local_function():
    net = Network(
        "local-function", 20, "model-local functions, one calling another and one with an attribute, as the new exporter writes",
        ["The cuts lie at outputs of calls, so their names do not depend on how calls are inlined."],
    )
    domain, opsets = "network.layers", [helper.make_opsetid("", 20)]
    net.opsets[domain] = 1
    stride = helper.make_node("Conv", ["x", "w", "b"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    reference = stride.attribute.add()
    reference.name, reference.ref_attr_name, reference.type = "strides", "strides", reference.INTS
    layer = helper.make_function(
        domain, "ConvRelu", ["x", "w", "b"], ["r"], [stride, helper.make_node("Relu", ["y"], ["r"])], opsets, ["strides"]
    )
    calls = [
        helper.make_node("ConvRelu", ["x", "w0", "b0"], ["h"], domain=domain, strides=[1, 1]),
        helper.make_node("Conv", ["h", "w1", "b1"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["x", "y"], ["s"]),
        helper.make_node("Relu", ["s"], ["r"]),
    ]
    block = helper.make_function(
        domain, "Residual", ["x", "w0", "b0", "w1", "b1"], ["r"], calls, [*opsets, helper.make_opsetid(domain, 1)]
    )
    net.functions += [layer, block]

    def conv_relu(x, before, after, stride, out=None):
        weights = [net.weight(after, before, 3, 3, scale=0.8 / before**0.5), net.weight(after, scale=0.2)]
        return net.node("ConvRelu", [x, *weights], out, domain=domain, strides=[stride, stride])

    def residual(x, channels, out):
        weights = [net.weight(*shape, scale=0.25) for shape in ((channels, channels, 3, 3), (channels,)) * 2]
        return net.node("Residual", [x, *weights], out, domain=domain)

    x = residual(conv_relu(net.input(3, 10), 3, 8, 1), 8, "block0")
    net.head(x, 8, "exit0")
    net.cut("block0")
    x = conv_relu(x, 8, 12, 2, "block1")
    net.head(x, 12, "exit1")
    net.cut("block1")
    net.head(residual(x, 12, "block2"), 12, "exit2")
    return net


def weights_as_inputs():
    net = Network(
        "weights-as-inputs", 9, "every initialiser is listed among the graph's inputs, as IR version 3 demanded",
        ["The network has one input: the image. BatchNormalization, Reshape and Dropout are of operator set 9."],
    )
    net.ir_version, net.weights_are_inputs = 3, True

    def normalised(x, channels, out):
        numbers = [net.weight(channels, scale=0.3, shift=shift) for shift in (1.0, 0.0, 0.0, 0.6)]
        return net.relu(net.node("BatchNormalization", [x, *numbers], epsilon=1e-5), out)

    def head(x, channels, name):
        y = net.node("Reshape", [net.node("GlobalAveragePool", x), net.constant([-1, channels])])
        net.exit(net.gemm(net.node("Dropout", y, ratio=0.5), channels, 10, out=name))

    x = normalised(net.conv(net.input(3, 10), 3, 6), 6, "features0")
    head(x, 6, "exit0")
    net.cut("features0")
    x = normalised(net.conv(x, 6, 8, stride=2), 8, "features1")
    head(x, 8, "exit1")
    net.cut("features1")
    head(normalised(net.conv(x, 8, 8), 8, None), 8, "exit2")
    return net


CASES = [
    constant_chains, option_a, shared_shape, shared_weights, external_data, local_function, weights_as_inputs,
]
