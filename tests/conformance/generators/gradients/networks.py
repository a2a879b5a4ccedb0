"""Small whole networks of the families that early-exit networks are built from, every exit with a cotangent."""

import numpy as np
import torch
import torch.nn.functional as F

from generators.network import Network

from .case import Case

CLASSES = 5
# Thousands of activations keep this from a kink: a hundred rounding errors of float32.
MARGIN = 1e-4


class Graph(Network):
    """The ONNX side. A layer's weights are named after it; the PyTorch side below finds them by that name."""

    def __init__(self, name, opset, claim, image=(3, 8, 8), batch="batch"):
        super().__init__(name, opset, claim, classes=CLASSES)
        self.inputs.append(("image", np.float32, list(image)))
        self.batch = batch

    def convolve(self, x, name, before, after, kernel=3, stride=1, groups=1, pads=None):
        scale = (6.0 * groups / (before * kernel**2)) ** 0.5
        self.weight(after, before // groups, kernel, kernel, scale=scale, name=f"{name}.w")
        self.weight(after, scale=0.2, name=f"{name}.b")
        return self.node(
            "Conv", [x, f"{name}.w", f"{name}.b"], kernel_shape=[kernel] * 2, strides=[stride] * 2, group=groups,
            pads=pads or [kernel // 2] * 4,
        )

    def normalise(self, x, name, channels):
        for part, scale, shift in (("s", 0.5, 1.0), ("b", 0.3, 0.0), ("m", 0.3, 0.0), ("v", 0.4, 0.6)):
            self.weight(channels, scale=scale, shift=shift, name=f"{name}.{part}")
        return self.node("BatchNormalization", [x, *(f"{name}.{part}" for part in "sbmv")], epsilon=1e-3)

    def linear(self, x, name, before, after, out=None):
        self.weight(after, before, scale=2.0 / before**0.5, name=f"{name}.w")
        self.weight(after, scale=0.5, name=f"{name}.b")
        return self.node("Gemm", [x, f"{name}.w", f"{name}.b"], out, transB=1)

    def classify(self, x, name, channels):
        return self.exit(self.linear(self.pooled(x), name, channels, CLASSES, out=name))

    def number(self, value):
        return self.constant(value, np.float32)


def convolve(x, p, name, stride=1, groups=1):
    return F.conv2d(x, p[f"{name}.w"], p[f"{name}.b"], stride, p[f"{name}.w"].shape[-1] // 2, 1, groups)


def normalise(x, p, name):
    return F.batch_norm(x, p[f"{name}.m"], p[f"{name}.v"], p[f"{name}.s"], p[f"{name}.b"], False, 0.0, 1e-3)


def linear(x, p, name):
    return F.linear(x, p[f"{name}.w"], p[f"{name}.b"])


def classify(x, p, name):
    return linear(x.mean((2, 3)), p, name)


def case(net, reference, **options):
    return Case(net, reference, margin=MARGIN, **{"batch": 3} | options)


def residual(name="residual", batch="batch", opset=13):
    claim = "residual blocks, activation after the sum, projection shortcuts, batch normalisation"
    net = Graph(name, opset, claim if batch == "batch" else "the batch is fixed at 2", batch=batch)

    def block(x, name, before, after, stride):
        y = net.relu(net.normalise(net.convolve(x, f"{name}a", before, after, stride=stride), f"{name}an", after))
        y = net.normalise(net.convolve(y, f"{name}b", after, after), f"{name}bn", after)
        if stride > 1:
            x = net.convolve(x, f"{name}p", before, after, kernel=1, stride=stride)
        return net.relu(net.node("Add", [y, x]))

    x = block(net.relu(net.convolve("image", "stem", 3, 6)), "one", 6, 6, 1)
    net.classify(x, "exit0", 6)
    x = block(x, "two", 6, 8, 2)
    net.classify(x, "exit1", 8)
    net.classify(block(x, "three", 8, 8, 1), "exit2", 8)

    def reference(x, **p):
        def block(x, name, stride):
            y = torch.relu(normalise(convolve(x, p, f"{name}a", stride), p, f"{name}an"))
            y = normalise(convolve(y, p, f"{name}b"), p, f"{name}bn")
            return torch.relu(y + (convolve(x, p, f"{name}p", stride) if stride > 1 else x))

        one = block(torch.relu(convolve(x, p, "stem")), "one", 1)
        two = block(one, "two", 2)
        return [classify(one, p, "exit0"), classify(two, p, "exit1"), classify(block(two, "three", 1), p, "exit2")]

    return case(net, reference, batch=3 if batch == "batch" else batch)


def fixed_batch():
    return residual("residual-fixed-batch", batch=2, opset=17)


def pre_activation():
    net = Graph("residual-pre-activation", 9, "residual blocks, normalisation and activation before each convolution")

    def block(x, name, before, after, stride):
        y = net.relu(net.normalise(x, f"{name}an", before))
        shortcut = net.convolve(y, f"{name}p", before, after, kernel=1, stride=stride) if stride > 1 else x
        y = net.convolve(y, f"{name}a", before, after, stride=stride)
        y = net.convolve(net.relu(net.normalise(y, f"{name}bn", after)), f"{name}b", after, after)
        return net.node("Add", [shortcut, y])

    x = block(net.convolve("image", "stem", 3, 6), "one", 6, 6, 1)
    net.classify(net.relu(net.normalise(x, "head0", 6)), "exit0", 6)
    x = block(x, "two", 6, 8, 2)
    net.classify(net.relu(net.normalise(x, "head1", 8)), "exit1", 8)

    def reference(x, **p):
        def block(x, name, stride):
            y = torch.relu(normalise(x, p, f"{name}an"))
            shortcut = convolve(y, p, f"{name}p", stride) if stride > 1 else x
            y = convolve(y, p, f"{name}a", stride)
            return shortcut + convolve(torch.relu(normalise(y, p, f"{name}bn")), p, f"{name}b")

        one = block(convolve(x, p, "stem"), "one", 1)
        two = block(one, "two", 2)
        heads = [torch.relu(normalise(x, p, f"head{i}")) for i, x in enumerate((one, two))]
        return [classify(x, p, f"exit{i}") for i, x in enumerate(heads)]

    return case(net, reference)


def inverted_residual():
    net = Graph("inverted-residual", 17, "depthwise convolutions, HardSwish, squeeze-and-excite with HardSigmoid")

    def swish(x):
        return net.node("HardSwish", x)

    def block(x, name, before, after, stride, kernel):
        wide = 2 * before
        y = swish(net.convolve(x, f"{name}e", before, wide, kernel=1))
        y = net.convolve(y, f"{name}d", wide, wide, stride=stride, groups=wide, kernel=kernel)
        s = net.relu(net.convolve(net.node("GlobalAveragePool", y), f"{name}s", wide, 3, kernel=1))
        s = net.node("HardSigmoid", net.convolve(s, f"{name}t", 3, wide, kernel=1), alpha=1 / 6)
        y = net.convolve(swish(net.node("Mul", [s, y])), f"{name}p", wide, after, kernel=1)
        return net.node("Add", [x, y]) if stride == 1 else y

    x = block(swish(net.convolve("image", "stem", 3, 4, stride=2)), "one", 4, 4, 1, 3)
    net.classify(x, "exit0", 4)
    x = block(x, "two", 4, 6, 2, 5)
    net.classify(x, "exit1", 6)

    def reference(x, **p):
        def block(x, name, stride):
            y = F.hardswish(convolve(x, p, f"{name}e"))
            y = convolve(y, p, f"{name}d", stride, y.shape[1])
            s = torch.relu(convolve(y.mean((2, 3), keepdim=True), p, f"{name}s"))
            y = convolve(F.hardswish(F.hardsigmoid(convolve(s, p, f"{name}t")) * y), p, f"{name}p")
            return x + y if stride == 1 else y

        one = block(F.hardswish(convolve(x, p, "stem", 2)), "one", 1)
        return [classify(one, p, "exit0"), classify(block(one, "two", 2), p, "exit1")]

    return case(net, reference)


def depthwise():
    net = Graph("depthwise", 11, "depthwise separable convolutions between Clip from 0 to 6, sigmoid gates")
    low, high = net.number(0.0), net.number(6.0)

    def clip(x):
        return net.node("Clip", [x, low, high])

    def separable(x, name, before, after, stride):
        y = clip(net.convolve(x, f"{name}d", before, before, stride=stride, groups=before))
        y = clip(net.convolve(y, f"{name}p", before, after, kernel=1))
        gate = net.node("Sigmoid", net.convolve(net.node("GlobalAveragePool", y), f"{name}g", after, after, kernel=1))
        return net.node("Mul", [y, gate])

    x = separable(clip(net.convolve("image", "stem", 3, 4)), "one", 4, 6, 1)
    net.classify(x, "exit0", 6)
    net.classify(separable(x, "two", 6, 8, 2), "exit1", 8)

    def reference(x, **p):
        def separable(x, name, stride):
            y = convolve(x, p, f"{name}d", stride, x.shape[1]).clamp(0, 6)
            y = convolve(y, p, f"{name}p").clamp(0, 6)
            return y * torch.sigmoid(convolve(y.mean((2, 3), keepdim=True), p, f"{name}g"))

        one = separable(convolve(x, p, "stem").clamp(0, 6), "one", 1)
        return [classify(one, p, "exit0"), classify(separable(one, "two", 2), p, "exit1")]

    return case(net, reference)


def dense():
    net = Graph("dense", 13, "dense blocks: every layer reads all before it; a transition averages")
    features, width = [net.convolve("image", "stem", 3, 4)], 4
    for layer in range(3):
        x = net.node("Concat", features, axis=1) if len(features) > 1 else features[0]
        features.append(net.convolve(net.relu(net.normalise(x, f"n{layer}", width)), f"c{layer}", width, 3))
        width += 3
        if layer == 1:
            net.classify(net.relu(net.node("Concat", features, axis=1)), "exit0", width)
    x = net.relu(net.convolve(net.node("Concat", features, axis=1), "t", width, 6, kernel=1))
    x = net.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = net.node("Concat", [x, net.convolve(x, "last", 6, 3)], axis=1)
    net.classify(x, "exit1", 9)

    def reference(x, **p):
        features = [convolve(x, p, "stem")]
        for layer in range(3):
            y = torch.relu(normalise(torch.cat(features, 1), p, f"n{layer}"))
            features.append(convolve(y, p, f"c{layer}"))
        early = torch.relu(torch.cat(features[:3], 1))
        x = F.avg_pool2d(torch.relu(convolve(torch.cat(features, 1), p, "t")), 2)
        x = torch.cat([x, convolve(x, p, "last")], 1)
        return [classify(early, p, "exit0"), classify(x, p, "exit1")]

    return case(net, reference)


WIDTH, HEADS, TOKENS = 8, 2, 5
EACH = WIDTH // HEADS


def transformer(name, opset, claim, norm, gelu, tokens_of):
    """Patches, a class token, two blocks; `norm`, `gelu` and `tokens_of` spell what exporters spell differently."""
    net = Graph(name, opset, claim)

    def project(x, name, before, after):
        net.weight(before, after, scale=(3.0 / before) ** 0.5, name=f"{name}.w")
        net.weight(after, scale=0.2, name=f"{name}.b")
        return net.node("Add", [net.node("MatMul", [x, f"{name}.w"]), f"{name}.b"])

    def normed(x, name):
        net.weight(WIDTH, scale=0.3, shift=1.0, name=f"{name}.s")
        net.weight(WIDTH, scale=0.2, name=f"{name}.b")
        return norm(net, x, f"{name}.s", f"{name}.b")

    def attention(x, name):
        joint = tokens_of(net, project(x, f"{name}q", WIDTH, 3 * WIDTH), TOKENS, 3, HEADS, EACH)
        joint = net.node("Transpose", joint, perm=[2, 0, 3, 1, 4])
        query, key, value = (net.node("Gather", [joint, net.constant(i)], axis=0) for i in range(3))
        query = net.node("Mul", [query, net.number(EACH**-0.5)])
        scores = net.node("MatMul", [query, net.node("Transpose", key, perm=[0, 1, 3, 2])])
        y = net.node("MatMul", [net.node("Softmax", scores, axis=-1), value])
        y = tokens_of(net, net.node("Transpose", y, perm=[0, 2, 1, 3]), TOKENS, WIDTH)
        return project(y, f"{name}o", WIDTH, WIDTH)

    def block(x, name):
        x = net.node("Add", [x, attention(normed(x, f"{name}n"), name)])
        y = gelu(net, project(normed(x, f"{name}m"), f"{name}u", WIDTH, 2 * WIDTH))
        return net.node("Add", [x, project(y, f"{name}d", 2 * WIDTH, WIDTH)])

    def classify_token(x, name):
        token = net.node("Gather", [normed(x, f"{name}n"), net.constant(0)], axis=1)
        net.exit(net.linear(token, name, WIDTH, CLASSES, out=name))

    x = net.convolve("image", "patch", 3, WIDTH, kernel=4, stride=4, pads=[0, 0, 0, 0])
    x = net.node("Transpose", net.node("Reshape", [x, net.constant([0, WIDTH, TOKENS - 1])]), perm=[0, 2, 1])
    net.weight(1, 1, WIDTH, scale=0.5, name="token")
    batch = net.node("Gather", [net.node("Shape", "image"), net.constant([0])], axis=0)
    token = net.node("Expand", ["token", net.node("Concat", [batch, net.constant([1, WIDTH])], axis=0)])
    x = net.node("Concat", [token, x], axis=1)
    net.weight(1, TOKENS, WIDTH, scale=0.5, name="positions")
    x = block(net.node("Add", [x, "positions"]), "one")
    classify_token(x, "exit0")
    classify_token(block(x, "two"), "exit1")

    def reference(x, **p):
        def project(x, name):
            return x @ p[f"{name}.w"] + p[f"{name}.b"]

        def normed(x, name):
            return F.layer_norm(x, (WIDTH,), p[f"{name}.s"], p[f"{name}.b"], 1e-5)

        def heads(x):
            return x.unflatten(2, (HEADS, EACH)).transpose(1, 2)

        def block(x, name):
            query, key, value = (heads(part) for part in project(normed(x, f"{name}n"), f"{name}q").chunk(3, -1))
            y = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
            x = x + project(y, f"{name}o")
            return x + project(F.gelu(project(normed(x, f"{name}m"), f"{name}u")), f"{name}d")

        x = F.conv2d(x, p["patch.w"], p["patch.b"], 4).flatten(2).transpose(1, 2)
        x = torch.cat([p["token"].expand(len(x), -1, -1), x], 1) + p["positions"]
        one = block(x, "one")
        two = block(one, "two")
        return [linear(normed(x, f"exit{i}n")[:, 0], p, f"exit{i}") for i, x in enumerate((one, two))]

    return case(net, reference)


def transformer_operators():
    return transformer(
        "transformer", 21, "attention, LayerNormalization and Gelu as operators, a class token",
        norm=lambda net, x, s, b: net.node("LayerNormalization", [x, s, b], axis=-1, epsilon=1e-5),
        gelu=lambda net, x: net.node("Gelu", x),
        tokens_of=lambda net, x, *extents: net.node("Reshape", [x, net.constant([0, *extents])]),
    )


def transformer_chains():
    def norm(net, x, scale, bias):
        centred = net.node("Sub", [x, net.node("ReduceMean", x, axes=[-1])])
        variance = net.node("ReduceMean", net.node("Pow", [centred, net.number(2.0)]), axes=[-1])
        deviation = net.node("Sqrt", net.node("Add", [variance, net.number(1e-5)]))
        return net.node("Add", [net.node("Mul", [net.node("Div", [centred, deviation]), scale]), bias])

    def gelu(net, x):
        y = net.node("Erf", net.node("Div", [x, net.number(2**0.5)]))
        return net.node("Mul", [net.node("Mul", [x, net.node("Add", [y, net.number(1.0)])]), net.number(0.5)])

    def tokens_of(net, x, *extents):
        batch = net.node("Gather", [net.node("Shape", x), net.constant_node(0)], axis=0)
        batch = net.node("Unsqueeze", [batch, net.constant_node([0])])
        target = net.node("Concat", [batch, *[net.constant_node([e]) for e in extents]], axis=0)
        return net.node("Reshape", [x, target])

    claim = "a transformer as tracing exporters wrote it: normalisation and Gelu in parts, extents from Shape"
    return transformer("transformer-chains", 13, claim, norm, gelu, tokens_of)


def local_response():
    net = Graph("local-response", 9, "LRN, overlapping and padded pools, Dropout: as the first deep networks were", image=(3, 13, 13))

    def pool(x, **options):
        return net.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], **options)

    def respond(x):
        return net.node("LRN", x, size=5, alpha=0.5, beta=0.75, bias=2.0)

    x = pool(respond(net.relu(net.convolve("image", "one", 3, 6, kernel=5))))
    head = net.node("AveragePool", net.relu(net.convolve(x, "head", 6, 4)), kernel_shape=[3, 3], strides=[3, 3])
    head = net.node("Reshape", [head, net.constant([-1, 16])])
    net.exit(net.linear(net.node("Dropout", head), "exit0", 16, CLASSES, out="exit0"))
    x = pool(respond(net.relu(net.convolve(x, "two", 6, 8, groups=2))), pads=[1, 1, 1, 1])
    x = net.node("Flatten", net.relu(net.convolve(x, "three", 8, 6)), axis=1)
    x = net.node("Dropout", net.relu(net.linear(x, "hidden", 54, 12)))
    net.exit(net.linear(x, "exit1", 12, CLASSES, out="exit1"))

    def reference(x, **p):
        def respond(x):
            return F.local_response_norm(x, 5, 0.5, 0.75, 2.0)

        x = F.max_pool2d(respond(torch.relu(convolve(x, p, "one"))), 3, 2)
        head = F.avg_pool2d(torch.relu(convolve(x, p, "head")), 3, 3).flatten(1)
        x = F.max_pool2d(respond(torch.relu(convolve(x, p, "two", 1, 2))), 3, 2, 1)
        x = torch.relu(convolve(x, p, "three")).flatten(1)
        return [linear(head, p, "exit0"), linear(torch.relu(linear(x, p, "hidden")), p, "exit1")]

    return case(net, reference, batch=2)


def shallow_deep():
    net = Graph(
        "shallow-deep", 11, "internal classifiers that mix maximum and average pooling by a learned scalar in a sigmoid",
    )

    def head(x, name, channels, extent):
        """Pools to 2 x 2 both ways."""
        share = net.node("Sigmoid", net.constant([0.3], np.float32, f"{name}.mix"))
        window = {"kernel_shape": [extent // 2] * 2, "strides": [extent // 2] * 2}
        rest = net.node("Sub", [net.number([1.0]), share])
        parts = [
            net.node("Mul", [share, net.node("MaxPool", x, **window)]),
            net.node("Mul", [net.node("AveragePool", x, **window), rest]),
        ]
        x = net.node("Flatten", net.node("Add", parts), axis=1)
        net.exit(net.linear(x, name, 4 * channels, CLASSES, out=name))

    x = net.relu(net.convolve("image", "one", 3, 4))
    head(x, "exit0", 4, 8)
    x = net.relu(net.convolve(x, "two", 4, 6, stride=2))
    head(x, "exit1", 6, 4)
    x = net.relu(net.convolve(net.relu(net.convolve(x, "three", 6, 6)), "four", 6, 6))
    net.classify(x, "exit2", 6)

    def reference(x, **p):
        def head(x, name):
            share, window = torch.sigmoid(p[f"{name}.mix"]), x.shape[-1] // 2
            x = share * F.max_pool2d(x, window) + (1 - share) * F.avg_pool2d(x, window)
            return linear(x.flatten(1), p, name)

        one = torch.relu(convolve(x, p, "one"))
        two = torch.relu(convolve(one, p, "two", 2))
        last = torch.relu(convolve(torch.relu(convolve(two, p, "three")), p, "four"))
        return [head(one, "exit0"), head(two, "exit1"), classify(last, p, "exit2")]

    return case(net, reference)


def multi_scale():
    net = Graph("multi-scale", 13, "two resolutions, down by strides and up by Resize, joined by Concat and Add")

    def up(x):
        return net.node(
            "Resize", [x, "", net.number([1.0, 1.0, 2.0, 2.0])], mode="nearest",
            coordinate_transformation_mode="asymmetric", nearest_mode="floor",
        )

    fine = net.relu(net.convolve("image", "fine", 3, 4))
    coarse = net.relu(net.convolve(fine, "coarse", 4, 6, stride=2))
    net.classify(coarse, "exit0", 6)
    joined = net.node("Concat", [fine, up(coarse)], axis=1)
    fine = net.relu(net.convolve(joined, "fine2", 10, 6))
    coarse = net.relu(net.node("Add", [net.convolve(fine, "down", 6, 6, stride=2), net.convolve(coarse, "coarse2", 6, 6)]))
    lateral = net.node("Add", [up(coarse), fine])
    net.exit(net.linear(net.node("Concat", [net.pooled(lateral), net.pooled(coarse)], axis=1), "exit1", 12, CLASSES, out="exit1"))

    def reference(x, **p):
        fine = torch.relu(convolve(x, p, "fine"))
        coarse = torch.relu(convolve(fine, p, "coarse", 2))
        early = classify(coarse, p, "exit0")
        fine = torch.relu(convolve(torch.cat([fine, F.interpolate(coarse, scale_factor=2)], 1), p, "fine2"))
        coarse = torch.relu(convolve(fine, p, "down", 2) + convolve(coarse, p, "coarse2"))
        lateral = F.interpolate(coarse, scale_factor=2) + fine
        return [early, linear(torch.cat([lateral.mean((2, 3)), coarse.mean((2, 3))], 1), p, "exit1")]

    return case(net, reference)


def cascade():
    net = Graph("cascade", 17, "exit 0's logits are read twice later: as features of exit 1 and as a gate of the network")
    x = net.relu(net.convolve("image", "one", 3, 6))
    net.classify(x, "exit0", 6)
    gate = net.node("Sigmoid", net.linear("exit0", "gate", CLASSES, 6))
    gate = net.node("Unsqueeze", [gate, net.constant([2, 3])])
    x = net.relu(net.convolve(net.node("Mul", [x, gate]), "two", 6, 6, stride=2))
    joined = net.node("Concat", [net.pooled(x), net.node("Tanh", "exit0")], axis=1)
    net.exit(net.node("Add", [net.linear(joined, "last", 11, CLASSES), "exit0"], "exit1"))

    def reference(x, **p):
        x = torch.relu(convolve(x, p, "one"))
        early = classify(x, p, "exit0")
        gate = torch.sigmoid(linear(early, p, "gate"))[:, :, None, None]
        x = torch.relu(convolve(x * gate, p, "two", 2))
        return [early, linear(torch.cat([x.mean((2, 3)), torch.tanh(early)], 1), p, "last") + early]

    return case(net, reference)


def probabilities():
    net = Graph("probabilities", 13, "outputs are probabilities: cotangents belong to the logits before Softmax")
    x = net.relu(net.convolve("image", "one", 3, 6, stride=2))
    for index in range(2):
        logits = net.linear(net.pooled(x), f"logits{index}", 6, CLASSES, out=f"logits{index}")
        net.exit(net.node("Softmax", logits, f"exit{index}", axis=-1), logits)
        if index == 0:
            x = net.node("Tanh", net.convolve(x, "two", 6, 6))

    def reference(x, **p):
        x = torch.relu(convolve(x, p, "one", 2))
        return [classify(x, p, "logits0"), classify(torch.tanh(convolve(x, p, "two")), p, "logits1")]

    return case(net, reference)


def bottleneck_upsampled():
    net = Graph("transposed", 17, "a bottleneck and a transposed convolution back up, PRelu, LeakyRelu and Elu")
    x = net.node("LeakyRelu", net.convolve("image", "one", 3, 6, stride=2), alpha=0.1)
    net.classify(x, "exit0", 6)
    x = net.node("Elu", net.convolve(x, "two", 6, 4, stride=2))
    net.weight(4, 4, 4, 4, scale=0.4, name="up.w")
    net.weight(4, scale=0.2, name="up.b")
    net.weight(4, 1, 1, scale=0.4, name="slope")
    x = net.node("ConvTranspose", [x, "up.w", "up.b"], kernel_shape=[4, 4], strides=[2, 2], pads=[1, 1, 1, 1])
    net.classify(net.node("PRelu", [x, "slope"]), "exit1", 4)

    def reference(x, **p):
        one = F.leaky_relu(convolve(x, p, "one", 2), 0.1)
        x = F.elu(convolve(one, p, "two", 2))
        x = F.prelu(F.conv_transpose2d(x, p["up.w"], p["up.b"], 2, 1), p["slope"].flatten())
        return [classify(one, p, "exit0"), classify(x, p, "exit1")]

    return case(net, reference)


def cases():
    makers = [
        residual, fixed_batch, pre_activation, inverted_residual, depthwise, dense, transformer_operators,
        transformer_chains, local_response, shallow_deep, multi_scale, cascade, probabilities, bottleneck_upsampled,
    ]
    return [make() for make in makers]
