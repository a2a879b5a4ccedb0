"""Inputs, outputs and edges between segments that are not the plainest ones."""

import numpy as np

from .network import Network


def uint8_nhwc():
    net = Network("uint8-nhwc", 17, "bytes in, channels last: Cast, Transpose and normalisation are inside the network")
    image = net.input(3, 12, dtype=np.uint8, layout="NHWC")
    x = net.node("Transpose", net.node("Cast", image, to=1), perm=[0, 3, 1, 2])
    x = net.node("Mul", [x, net.constant(1 / 255, np.float32)])
    x = net.node("Sub", [x, net.constant(np.reshape([0.49, 0.48, 0.45], (1, 3, 1, 1)), np.float32)])
    x = net.conv_relu(x, 3, 8, out="features0")
    net.head(x, 8, "exit0")
    net.cut("features0")
    x = net.conv_relu(x, 8, 12, stride=2, out="features1")
    net.head(x, 12, "exit1")
    net.cut("features1")
    net.head(net.conv_relu(x, 12, 12), 12, "exit2")
    return net


def shuffled_outputs():
    net = Network(
        "shuffled-outputs", 18, "the final output is listed first and names say nothing: depth comes from the graph",
        ["Output order in the file: final, third, first, second. One name is a number, one is not ASCII, one has slashes."],
    )
    x = net.conv_relu(net.input(3, 10), 3, 8, out="1")
    net.head(x, 8, "zz/früh")
    net.cut("1")
    x = net.conv_relu(x, 8, 8, out="0")
    net.head(x, 8, "7")
    net.cut("0")
    x = net.conv_relu(x, 8, 8, stride=2, out="exit0")
    net.head(x, 8, "aux/classifier.2::out")
    net.cut("exit0")
    net.head(net.conv_relu(x, 8, 8), 8, "a-main")
    net.outputs = ["a-main", "aux/classifier.2::out", "zz/früh", "7"]
    return net


def softmax_exits():
    net = Network(
        "softmax-exits", 13, "outputs are probabilities already: the logits are the tensors before Softmax",
        ["Expected values are logits. Taking the outputs as logits would apply softmax twice."],
    )

    def head(x, channels, name):
        logits = net.gemm(net.pooled(x), channels, 10, out=f"{name}_logits")
        net.exit(net.node("Softmax", logits, name, axis=-1 if name == "exit1" else 1), logits)

    x = net.conv_relu(net.input(3, 10), 3, 8, out="features0")
    head(x, 8, "exit0")
    net.cut("features0")
    x = net.conv_relu(x, 8, 12, stride=2, out="features1")
    head(x, 12, "exit1")
    net.cut("features1")
    head(net.conv_relu(x, 12, 12), 12, "exit2")
    return net


def fixed_batch():
    net = Network(
        "fixed-batch", 17, "the batch is fixed at 1, in the input and in every Reshape",
        ["The arrays hold three images: each is one run."],
    )
    net.batch = 1

    def head(x, features, name):
        net.exit(net.gemm(net.node("Reshape", [x, net.constant([1, features])]), features, 10, out=name))

    x = net.conv_relu(net.input(3, 8), 3, 6, stride=2, out="features0")
    head(x, 96, "exit0")
    net.cut("features0")
    x = net.conv_relu(x, 6, 8, stride=2, out="features1")
    head(x, 32, "exit1")
    net.cut("features1")
    head(net.conv_relu(x, 8, 8), 32, "exit2")
    return net


def cascade():
    net = Network(
        "cascade", 17, "an exit's logits feed later segments: they are an output and cross the cut as well",
        ["exit0 is read by both later segments, exit1 by the last one only."],
    )
    x = net.conv_relu(net.input(3, 10), 3, 8, out="features0")
    first = net.head(x, 8, "exit0")
    net.cut("features0", "exit0")
    x = net.conv_relu(x, 8, 12, stride=2, out="features1")
    second = net.exit(net.gemm(net.node("Concat", [net.pooled(x), first], axis=1), 22, 10, out="exit1"))
    net.cut("features1", "exit0", "exit1")
    x = net.pooled(net.conv_relu(x, 12, 12))
    own = net.gemm(x, 12, 10)
    net.exit(net.node("Add", [own, net.node("Add", [first, second])], "exit2"))
    return net


def late_input():
    net = Network(
        "late-input", 17, "the last segment reads the image again: it crosses every cut",
        ["Segment 1 does not read the image; it is passed by."],
    )
    image = net.input(3, 12)
    x = net.conv_relu(image, 3, 8, stride=2, out="features0")
    net.head(x, 8, "exit0")
    net.cut("features0", image=True)
    x = net.conv_relu(x, 8, 8, out="features1")
    net.head(x, 8, "exit1")
    net.cut("features1", image=True)
    small = net.node("AveragePool", image, kernel_shape=[2, 2], strides=[2, 2])
    x = net.conv_relu(net.node("Concat", [x, small], axis=1), 11, 12)
    net.head(x, 12, "exit2")
    return net


def long_skip():
    net = Network(
        "long-skip", 18, "a tensor of segment 0 is read by segment 2 alone: it crosses two cuts",
        ["Segment 1 neither takes nor gives it."],
    )
    skip = net.conv_relu(net.input(3, 12), 3, 6, out="skip")
    x = net.conv_relu(skip, 6, 8, stride=2, out="features0")
    net.head(x, 8, "exit0")
    net.cut("features0", "skip")
    x = net.conv_relu(x, 8, 8, out="features1")
    net.head(x, 8, "exit1")
    net.cut("features1", "skip")
    scales = net.constant([1.0, 1.0, 2.0, 2.0], np.float32, "scales")
    x = net.node("Resize", [x, "", scales], mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric")
    x = net.conv_relu(net.node("Concat", [x, skip], axis=1), 14, 8)
    net.head(x, 8, "exit2")
    return net


def gemmless_heads():
    net = Network(
        "gemmless-heads", 20, "classifiers without Gemm: MatMul and Add, a 1x1 convolution flattened, a mean of class maps",
    )
    x = net.conv_relu(net.input(3, 10), 3, 8, out="features0")
    y = net.node("MatMul", [net.pooled(x), net.weight(8, 10, scale=1.4)])
    net.exit(net.node("Add", [y, net.weight(10, scale=0.5)], "exit0"))
    net.cut("features0")
    x = net.conv_relu(x, 8, 12, stride=2, out="features1")
    y = net.conv(net.node("GlobalAveragePool", x), 12, 10, kernel=1)
    net.exit(net.node("Flatten", y, "exit1", axis=1))
    net.cut("features1")
    y = net.conv(net.conv_relu(x, 12, 12), 12, 10, kernel=1)
    net.exit(net.node("ReduceMean", [y, net.constant([2, 3])], "exit2", keepdims=0))
    return net


CASES = [
    uint8_nhwc, shuffled_outputs, softmax_exits, fixed_batch, cascade, late_input, long_skip, gemmless_heads,
]
