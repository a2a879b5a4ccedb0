"""Pooling, reductions and normalisation."""

import numpy as np
import torch
import torch.nn.functional as F

from .case import operator

TIES = {"levels": 3, "at_kink": True}


def maximum(name, reference, *, image=(3, 6, 7), opset=17, options=None, **attributes):
    return operator(
        f"max-pool-{name}", lambda n: n.node("MaxPool", "image", **attributes), reference, image=image, opset=opset,
        **(options or {}),
    )


def average(name, kernel, *, image=(3, 6, 7), strides=(1, 1), pads=(0, 0, 0, 0), counts=False, opset=17, auto_pad=None):
    """Sums over windows of the zero-padded image, divided by the window or by what of it lies on the image."""
    top, left, bottom, right = pads
    attributes = {"kernel_shape": kernel, "strides": strides, "count_include_pad": int(counts)}
    attributes |= {"auto_pad": auto_pad} if auto_pad else {"pads": pads}

    def sums(x):
        return F.avg_pool2d(F.pad(x, (left, right, top, bottom)), kernel, strides, divisor_override=1)

    def reference(x):
        return sums(x) / (kernel[0] * kernel[1] if counts else sums(torch.ones_like(x)))

    return operator(
        f"average-pool-{name}", lambda n: n.node("AveragePool", "image", **attributes), reference, image=image, opset=opset
    )


def padded(left, right, top, bottom):
    return lambda x: F.pad(x, (left, right, top, bottom), value=-torch.inf)


def pools():
    two, three = {"kernel_shape": [2, 2]}, {"kernel_shape": [3, 3]}
    first = "a tie goes to the first maximum of the window in row-major order, as in PyTorch"
    return [
        maximum("2x2", lambda x: F.max_pool2d(x, 2, 2), image=(3, 6, 8), strides=[2, 2], opset=9, **two),
        maximum("2x2-leaves-a-rest", lambda x: F.max_pool2d(x, 2, 2), image=(3, 7, 7), strides=[2, 2], **two),
        maximum("stride-1", lambda x: F.max_pool2d(x, 2, 1), strides=[1, 1], **two),
        maximum("overlapping", lambda x: F.max_pool2d(x, 3, 2), image=(3, 7, 7), strides=[2, 2], **three),
        maximum("padded", lambda x: F.max_pool2d(x, 3, 2, 1), strides=[2, 2], pads=[1, 1, 1, 1], **three),
        maximum("same", lambda x: F.max_pool2d(x, 3, 1, 1), strides=[1, 1], pads=[1, 1, 1, 1], **three),
        maximum("same-5x5", lambda x: F.max_pool2d(x, 5, 1, 2), strides=[1, 1], pads=[2, 2, 2, 2], kernel_shape=[5, 5]),
        maximum("asymmetric-pads", lambda x: F.max_pool2d(padded(0, 1, 1, 0)(x), 3, 2), strides=[2, 2],
                pads=[1, 0, 0, 1], **three),
        maximum("auto-pad-same-upper", lambda x: F.max_pool2d(padded(1, 1, 0, 1)(x), 3, 2), strides=[2, 2],
                auto_pad="SAME_UPPER", **three),
        maximum("kernel-and-strides-differ", lambda x: F.max_pool2d(x, (2, 3), (1, 2)), kernel_shape=[2, 3], strides=[1, 2]),
        maximum("window-smaller-than-stride", lambda x: F.max_pool2d(x, 2, 3), image=(3, 8, 8), strides=[3, 3], **two),
        maximum("dilated", lambda x: F.max_pool2d(x, 2, 1, 0, 2), strides=[1, 1], dilations=[2, 2], **two),
        maximum("ceil", lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True), image=(3, 6, 8), strides=[2, 2], ceil_mode=1, **three),
        maximum("below-zero-padded", lambda x: F.max_pool2d(x, 3, 2, 1), strides=[2, 2], pads=[1, 1, 1, 1],
                options={"low": -2.0, "high": -1.0, "claim": "padding is minus infinity, never a zero that wins"}, **three),
        operator("max-pool-1-d",
                 lambda n: n.node("MaxPool", n.node("Reshape", ["image", n.constant([0, 3, 20])]), kernel_shape=[4], strides=[4]),
                 lambda x: F.max_pool1d(x.flatten(2), 4, stride=4), image=(3, 4, 5)),
        maximum("tie-2x2", lambda x: F.max_pool2d(x, 2, 2), image=(3, 6, 8), strides=[2, 2],
                options=TIES | {"claim": first}, **two),
        maximum("tie-overlapping-padded", lambda x: F.max_pool2d(x, 3, 2, 1), strides=[2, 2], pads=[1, 1, 1, 1],
                options=TIES | {"claim": first}, **three),
        operator("max-pool-tie-after-relu",
                 lambda n: n.node("MaxPool", n.node("Relu", "image"), strides=[2, 2], **three),
                 lambda x: F.max_pool2d(torch.relu(x), 3, 2), image=(3, 7, 7), claim=first, **TIES),
        average("2x2", (2, 2), image=(3, 6, 8), strides=(2, 2), opset=9),
        average("leaves-a-rest", (2, 2), strides=(2, 2), image=(3, 7, 7)),
        average("overlapping", (3, 3), strides=(2, 2)),
        average("stride-1", (3, 3), pads=(1, 1, 1, 1)),
        average("padded", (3, 3), strides=(2, 2), pads=(1, 1, 1, 1)),
        average("padding-counted", (3, 3), strides=(2, 2), pads=(1, 1, 1, 1), counts=True),
        average("asymmetric-pads", (3, 2), strides=(2, 1), pads=(0, 1, 1, 0)),
        average("asymmetric-pads-counted", (3, 2), strides=(2, 1), pads=(0, 1, 1, 0), counts=True),
        average("auto-pad-same-upper", (3, 3), strides=(2, 2), pads=(0, 1, 1, 1), auto_pad="SAME_UPPER"),
        operator("average-pool-ceil",
                 lambda n: n.node("AveragePool", "image", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
                 lambda x: F.avg_pool2d(x, 3, 2, ceil_mode=True, count_include_pad=False), image=(3, 6, 8), opset=20),
        operator("global-average-pool", lambda n: n.node("GlobalAveragePool", "image"), lambda x: x.mean((2, 3))),
        operator("global-max-pool", lambda n: n.node("GlobalMaxPool", "image"), lambda x: F.adaptive_max_pool2d(x, 1)),
        operator("global-max-pool-tie", lambda n: n.node("GlobalMaxPool", "image"), lambda x: F.adaptive_max_pool2d(x, 1),
                 claim="a tie goes to the first maximum in row-major order, as in adaptive_max_pool2d", **TIES),
    ]


def reductions():
    def reduce(name, op, reference, opset, axes, **attributes):
        """Axes are an input from operator set 13 on for ReduceSum and 18 for the others."""
        as_input = opset >= (13 if op == "ReduceSum" else 18)

        def graph(net):
            if as_input:
                return net.node(op, ["image", net.constant(axes)], **attributes)
            return net.node(op, "image", axes=axes, **attributes)

        return operator(name, graph, reference, opset=opset)

    made = []
    for op, function, name in (("ReduceMean", torch.mean, "reduce-mean"), ("ReduceSum", torch.sum, "reduce-sum")):
        made += [
            reduce(f"{name}-rows-and-columns", op, lambda x, f=function: f(x, (2, 3)), 9, [2, 3]),
            reduce(f"{name}-dropped", op, lambda x, f=function: f(x, (2, 3)), 11, [2, 3], keepdims=0),
            reduce(f"{name}-negative-axis", op, lambda x, f=function: f(x, -2), 11, [-2], keepdims=0),
            reduce(f"{name}-axes-as-input", op, lambda x, f=function: f(x, (1, 3)), 18, [1, 3], keepdims=1),
            reduce(f"{name}-axes-as-input-dropped", op, lambda x, f=function: f(x, (1, -1)), 21, [-1, 1], keepdims=0),
        ]
    spread = "equal maxima share the gradient evenly, as in torch.amax"
    return made + [
        operator("reduce-max", lambda n: n.node("ReduceMax", "image", axes=[3], keepdims=0), lambda x: torch.amax(x, 3)),
        operator("reduce-max-tie", lambda n: n.node("ReduceMax", "image", axes=[3], keepdims=0),
                 lambda x: torch.amax(x, 3), claim=spread, **TIES),
    ]


def local_response(x, size, alpha, beta, bias):
    squares = F.pad(x**2, (0, 0, 0, 0, (size - 1) // 2, size // 2))
    sums = sum(squares[:, i : i + x.shape[1]] for i in range(size))
    return x / (bias + alpha / size * sums) ** beta


def layer_norm(x, axes, epsilon):
    centred = x - x.mean(axes, keepdim=True)
    return centred / (centred.square().mean(axes, keepdim=True) + epsilon).sqrt()


def normalisations():
    def lrn(name, image, **settings):
        return operator(
            f"lrn-{name}", lambda n: n.node("LRN", "image", **settings), lambda x: local_response(x, **settings),
            image=image, low=-2.0, high=2.0, opset=9 if name == "plain" else 17,
        )

    def batch_norm(name, reference, opset, image="image", **attributes):
        random = np.random.Generator(np.random.PCG64(opset))
        channels = 3 if image == "image" else 90
        exact = {k: (0.3 + random.random(channels)).astype(np.float32) for k in ("scale", "bias", "mean", "variance")}

        def graph(net):
            x = "image" if image == "image" else net.node("Flatten", "image", axis=1)
            return net.node("BatchNormalization", [x, *exact], **attributes)

        return operator(f"batch-normalization-{name}", graph, reference, opset=opset, exact=exact)

    def normalised(x, scale, bias, mean, variance, epsilon):
        shape = (-1,) + (1,) * (x.dim() - 2)
        scale, bias, mean, variance = (w.reshape(shape) for w in (scale, bias, mean, variance))
        return (x - mean) / (variance + epsilon).sqrt() * scale + bias

    def chain(net):
        centred = net.node("Sub", ["image", net.node("ReduceMean", "image", axes=[-1])])
        variance = net.node("ReduceMean", net.node("Pow", [centred, net.constant(2.0, np.float32)]), axes=[-1])
        deviation = net.node("Sqrt", net.node("Add", [variance, net.constant(1e-3, np.float32)]))
        return net.node("Add", [net.node("Mul", [net.node("Div", [centred, deviation]), "scale"]), "bias"])

    last = {"scale": (6,), "bias": (6,)}
    return [
        lrn("plain", (4, 4, 5), size=3, alpha=0.5, beta=0.75, bias=1.0),
        lrn("wider-than-channels", (3, 4, 5), size=7, alpha=1.0, beta=0.5, bias=2.0),
        lrn("many-channels", (6, 6, 7), size=5, alpha=0.8, beta=0.75, bias=1.0),
        batch_norm("plain", lambda x, **w: normalised(x, epsilon=1e-5, **w), 9),
        batch_norm("epsilon", lambda x, **w: normalised(x, epsilon=0.1, **w), 15, epsilon=0.1),
        batch_norm("features", lambda x, **w: normalised(x.flatten(1), epsilon=1e-5, **w), 17, image="flat"),
        operator("layer-normalization", lambda n: n.node("LayerNormalization", ["image", "scale", "bias"], epsilon=1e-3),
                 lambda x, scale, bias: layer_norm(x, -1, 1e-3) * scale + bias, weights=last),
        operator("layer-normalization-no-bias", lambda n: n.node("LayerNormalization", ["image", "scale"], axis=-1),
                 lambda x, scale: layer_norm(x, -1, 1e-5) * scale, weights={"scale": (6,)}),
        operator("layer-normalization-two-axes",
                 lambda n: n.node("LayerNormalization", ["image", "scale", "bias"], axis=2),
                 lambda x, scale, bias: layer_norm(x, (2, 3), 1e-5) * scale + bias,
                 weights={"scale": (5, 6), "bias": (5, 6)}),
        operator("layer-normalization-three-axes",
                 lambda n: n.node("LayerNormalization", ["image", "scale", "bias"], axis=-3),
                 lambda x, scale, bias: layer_norm(x, (1, 2, 3), 1e-5) * scale + bias,
                 weights={"scale": (3, 5, 6), "bias": (3, 5, 6)}),
        operator("layer-normalization-chain", chain,
                 lambda x, scale, bias, **_: layer_norm(x, -1, 1e-3) * scale + bias, weights=last, opset=13),
    ]


def cases():
    return pools() + reductions() + normalisations()
