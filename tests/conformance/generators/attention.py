"""Transformers, as exporters of two generations write them."""

import numpy as np

from .network import Network

WIDTH, HEADS, TOKENS = 12, 2, 10
EACH = WIDTH // HEADS


def linear(net, x, before, after):
    """MatMul and Add on the last axis, for any number of leading axes."""
    y = net.node("MatMul", [x, net.weight(before, after, scale=(3.0 / before) ** 0.5)])
    return net.node("Add", [y, net.weight(after, scale=0.2)])


def transformer():
    net = Network(
        "transformer", 20, "a vision transformer: LayerNormalization, attention with batched MatMul, Gelu, class token",
        ["The batch stays axis 0 at both cuts; inside attention four axes are transposed."],
    )
    image = net.input(3, 12)

    def norm(x):
        scale, bias = net.weight(WIDTH, scale=0.3, shift=1.0), net.weight(WIDTH, scale=0.2)
        return net.node("LayerNormalization", [x, scale, bias], axis=-1, epsilon=1e-6)

    def attention(x):
        y = linear(net, x, WIDTH, 3 * WIDTH)
        y = net.node("Reshape", [y, net.constant([0, TOKENS, 3, HEADS, EACH])])
        y = net.node("Transpose", y, perm=[2, 0, 3, 1, 4])
        query, key, value = (net.node("Gather", [y, net.constant(i)], axis=0) for i in range(3))
        query = net.node("Mul", [query, net.constant(EACH**-0.5, np.float32)])
        weights = net.node("MatMul", [query, net.node("Transpose", key, perm=[0, 1, 3, 2])])
        y = net.node("MatMul", [net.node("Softmax", weights, axis=-1), value])
        y = net.node("Transpose", y, perm=[0, 2, 1, 3])
        return linear(net, net.node("Reshape", [y, net.constant([0, TOKENS, WIDTH])]), WIDTH, WIDTH)

    def block(x, out):
        x = net.node("Add", [x, attention(norm(x))])
        y = net.node("Gelu", linear(net, norm(x), WIDTH, 2 * WIDTH))
        return net.node("Add", [x, linear(net, y, 2 * WIDTH, WIDTH)], out)

    def classify(x, name):
        return net.exit(net.gemm(net.node("Gather", [norm(x), net.constant(0)], axis=1), WIDTH, 10, out=name))

    x = net.conv(image, 3, WIDTH, kernel=4, stride=4)
    net.nodes[-1].attribute[2].ints[:] = [0, 0, 0, 0]
    x = net.node("Transpose", net.node("Reshape", [x, net.constant([0, WIDTH, TOKENS - 1])]), perm=[0, 2, 1])
    batch = net.node("Shape", image, start=0, end=1)
    shape = net.node("Concat", [batch, net.constant([1, WIDTH])], axis=0)
    token = net.node("Expand", [net.weight(1, 1, WIDTH, scale=0.5, name="class_token"), shape])
    x = net.node("Concat", [token, x], axis=1)
    x = net.node("Add", [x, net.weight(1, TOKENS, WIDTH, scale=0.5, name="positions")])
    x = block(x, "tokens0")
    classify(x, "exit0")
    net.cut("tokens0")
    x = block(x, "tokens1")
    classify(x, "exit1")
    net.cut("tokens1")
    classify(block(x, None), "exit2")
    return net


def transformer_decomposed():
    net = Network(
        "transformer-decomposed", 13, "a transformer as tracing exporters wrote it before LayerNormalization and Gelu existed",
        [
            "Normalisation is ReduceMean, Sub, Pow, Sqrt, Div; Gelu is Erf; Reshape targets are built from Shape.",
            "No shape crosses a cut: batch extents fold to the reshaped tensor's own free axis.",
        ],
    )
    image = net.input(3, 12)

    def scalar(value):
        return net.constant(value, np.float32)

    def extent(x, axis):
        picked = net.node("Gather", [net.node("Shape", x), net.constant_node(axis)], axis=0)
        return net.node("Unsqueeze", [picked, net.constant_node([0])])

    def reshape(x, source, *extents):
        target = net.node("Concat", [extent(source, 0), *[net.constant_node([e]) for e in extents]], axis=0)
        return net.node("Reshape", [x, target])

    def norm(x):
        centred = net.node("Sub", [x, net.node("ReduceMean", x, axes=[-1])])
        variance = net.node("ReduceMean", net.node("Pow", [centred, scalar(2.0)]), axes=[-1])
        deviation = net.node("Sqrt", net.node("Add", [variance, scalar(1e-5)]))
        scaled = net.node("Mul", [net.node("Div", [centred, deviation]), net.weight(WIDTH, scale=0.3, shift=1.0)])
        return net.node("Add", [scaled, net.weight(WIDTH, scale=0.2)])

    def gelu(x):
        y = net.node("Erf", net.node("Div", [x, scalar(2**0.5)]))
        y = net.node("Mul", [x, net.node("Add", [y, scalar(1.0)])])
        return net.node("Mul", [y, scalar(0.5)])

    def attention(x):
        def heads(y, perm):
            return net.node("Transpose", reshape(y, x, TOKENS, HEADS, EACH), perm=perm)

        joint = linear(net, x, WIDTH, 3 * WIDTH)
        query, key, value = net.node("Split", [joint, net.constant_node([WIDTH] * 3)], count=3, axis=2)
        weights = net.node("MatMul", [heads(query, [0, 2, 1, 3]), heads(key, [0, 2, 3, 1])])
        weights = net.node("Softmax", net.node("Div", [weights, scalar(EACH**0.5)]), axis=-1)
        y = net.node("MatMul", [weights, heads(value, [0, 2, 1, 3])])
        return linear(net, reshape(net.node("Transpose", y, perm=[0, 2, 1, 3]), x, TOKENS, WIDTH), WIDTH, WIDTH)

    def block(x, out):
        x = net.node("Add", [x, attention(norm(x))])
        y = gelu(linear(net, norm(x), WIDTH, 2 * WIDTH))
        return net.node("Add", [x, linear(net, y, 2 * WIDTH, WIDTH)], out)

    def classify(x, name):
        first = [net.constant_node([v]) for v in (0, 1, 1)]
        token = net.node("Slice", [norm(x), *first])
        token = net.node("Squeeze", [token, net.constant_node([1])])
        return net.exit(net.gemm(token, WIDTH, 10, out=name))

    x = net.conv(image, 3, WIDTH, kernel=4, stride=4)
    net.nodes[-1].attribute[2].ints[:] = [0, 0, 0, 0]
    x = net.node("Transpose", reshape(x, x, WIDTH, -1), perm=[0, 2, 1])
    wanted = net.node("Concat", [extent(image, 0), net.constant_node([-1]), net.constant_node([-1])], axis=0)
    ones = net.node("ConstantOfShape", net.constant_node([3]), value=net_tensor([1]))
    free = net.node("Equal", [wanted, net.node("Mul", [ones, net.constant_node([-1])])])
    token = net.node("Expand", [net.weight(1, 1, WIDTH, scale=0.5, name="class_token"), net.node("Where", [free, ones, wanted])])
    x = net.node("Concat", [token, x], axis=1)
    x = net.node("Add", [x, net.weight(1, TOKENS, WIDTH, scale=0.5, name="positions")])
    x = block(x, "tokens0")
    classify(x, "exit0")
    net.cut("tokens0")
    x = block(x, "tokens1")
    classify(x, "exit1")
    net.cut("tokens1")
    classify(block(x, None), "exit2")
    return net


def net_tensor(values):
    from onnx import numpy_helper

    return numpy_helper.from_array(np.asarray(values, dtype=np.int64))


CASES = [transformer, transformer_decomposed]
