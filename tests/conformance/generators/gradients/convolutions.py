"""Convolutions in both directions, and the matrix products."""

import torch
import torch.nn.functional as F

from .case import operator


def conv(name, weight, image=(3, 7, 8), *, bias=True, strides=(1, 1), pads=(0, 0, 0, 0), dilations=(1, 1), group=1,
         auto_pad=None, opset=17):
    """`pads` are ONNX's: top, left, bottom, right. Where `auto_pad` is given, they are what it must amount to."""
    attributes = {"strides": strides, "dilations": dilations, "group": group, "kernel_shape": weight[2:]}
    attributes |= {"auto_pad": auto_pad} if auto_pad else {"pads": pads}
    top, left, bottom, right = pads
    weights = {"w": weight} | ({"b": weight[:1]} if bias else {})

    def reference(x, w, b=None):
        return F.conv2d(F.pad(x, (left, right, top, bottom)), w, b, strides, 0, dilations, group)

    inputs = ["image", *weights]
    return operator(
        f"conv-{name}", lambda n: n.node("Conv", inputs, **attributes), reference,
        image=image, weights=weights, opset=opset,
    )


def conv_flat():
    def graph(net):
        row = net.node("Reshape", ["image", net.constant([0, 4, 15])])
        return net.node("Conv", [row, "w", "b"], kernel_shape=[4], strides=[2], pads=[2, 1], dilations=[2])

    def reference(x, w, b):
        return F.conv1d(F.pad(x.flatten(2), (2, 1)), w, b, stride=2, dilation=2)

    return operator("conv-1-d", graph, reference, image=(4, 3, 5), weights={"w": (5, 4, 4), "b": (5,)})


def conv_transpose(name, weight, image=(4, 4, 5), *, bias=True, strides=(1, 1), pads=(0, 0, 0, 0), dilations=(1, 1),
                   group=1, output_padding=(0, 0), opset=17):
    top, left, bottom, right = pads
    weights = {"w": weight} | ({"b": (weight[1] * group,)} if bias else {})
    inputs = ["image", *weights]
    attributes = {
        "strides": strides, "pads": pads, "dilations": dilations, "group": group, "output_padding": output_padding,
        "kernel_shape": weight[2:],
    }

    def reference(x, w, b=None):
        y = F.conv_transpose2d(x, w, b, strides, 0, output_padding, group, dilations)
        return y[:, :, top : y.shape[2] - bottom, left : y.shape[3] - right]

    return operator(
        f"conv-transpose-{name}", lambda n: n.node("ConvTranspose", inputs, **attributes), reference,
        image=image, weights=weights, opset=opset,
    )


def gemm(name, reference, *, inputs=("flat", "w", "b"), weights=None, prepare=None, opset=17, after=None, **attributes):
    weights = {"w": (30, 4), "b": (4,)} if weights is None else weights

    def graph(net):
        net.node("Flatten", "image", "flat", axis=1)
        if prepare:
            prepare(net)
        y = net.node("Gemm", list(inputs), **attributes)
        return after(net, y) if after else y

    return operator(
        f"gemm-{name}", graph, lambda x, **w: reference(x.flatten(1), **w), image=(3, 2, 5), weights=weights, opset=opset,
        batch=3,
    )


def transposed(net):
    net.node("Transpose", "flat", "upright", perm=[1, 0])


def second(net):
    net.node("Gemm", ["flat", "v"], "other", transB=1)


def matmul(name, graph, reference, *, weights=None, **options):
    return operator(f"matmul-{name}", graph, reference, image=(3, 5, 6), weights=weights, **options)


def product(*inputs):
    return lambda net: net.node("MatMul", list(inputs))


def products():
    return [
        gemm("plain", lambda x, w, b: x @ w + b),
        gemm("weight-transposed", lambda x, w, b: F.linear(x, w, b), weights={"w": (4, 30), "b": (4,)}, transB=1, opset=9),
        gemm("scaled", lambda x, w, b: 0.5 * x @ w - 2 * b, alpha=0.5, beta=-2.0),
        gemm("image-transposed", lambda x, w, b: 1.5 * x @ w + b, inputs=("upright", "w", "b"), prepare=transposed,
             transA=1, alpha=1.5),
        gemm("image-on-the-right", lambda x, w, b: (w @ x.T + b).T, inputs=("w", "upright", "b"), prepare=transposed,
             weights={"w": (4, 30), "b": (4, 1)}, after=lambda n, y: n.node("Transpose", y, perm=[1, 0])),
        gemm("image-on-the-right-transposed", lambda x, w, b: (w.T @ x.T + b).T, inputs=("w", "flat", "b"),
             weights={"w": (30, 4), "b": (4, 1)}, transA=1, transB=1,
             after=lambda n, y: n.node("Transpose", y, perm=[1, 0])),
        gemm("no-bias", lambda x, w: x @ w, inputs=("flat", "w"), weights={"w": (30, 4)}),
        gemm("scalar-bias", lambda x, w, b: x @ w + 3 * b, weights={"w": (30, 4), "b": ()}, beta=3.0),
        gemm("bias-of-image", lambda x, w, v: x @ w - 0.5 * x @ v.T, inputs=("flat", "w", "other"),
             weights={"w": (30, 4), "v": (4, 30)}, prepare=second, beta=-0.5),
        matmul("2-d", lambda n: n.node("MatMul", [n.node("Flatten", "image", axis=1), "w"]), lambda x, w: x.flatten(1) @ w,
               weights={"w": (90, 4)}),
        matmul("batched", product("image", "w"), lambda x, w: x @ w, weights={"w": (6, 4)}, opset=9),
        matmul("weight-per-channel", product("image", "w"), lambda x, w: x @ w, weights={"w": (3, 6, 4)}),
        matmul("weight-on-the-left", product("w", "image"), lambda x, w: w @ x, weights={"w": (7, 5)}),
        matmul("weight-per-channel-on-the-left", product("w", "image"), lambda x, w: w @ x, weights={"w": (3, 7, 5)}),
        matmul("image-by-image", lambda n: n.node("MatMul", ["image", n.node("Transpose", "image", perm=[0, 1, 3, 2])]),
               lambda x: x @ x.mT),
        matmul("image-by-its-mean",
               lambda n: n.node("MatMul", ["image", n.node("Transpose", n.node("ReduceMean", "image", axes=[1]), perm=[0, 1, 3, 2])]),
               lambda x: x @ x.mean(1, keepdim=True).mT),
        matmul("mean-by-image",
               lambda n: n.node("MatMul", [n.node("Transpose", n.node("ReduceMean", "image", axes=[1]), perm=[0, 1, 3, 2]), "image"]),
               lambda x: x.mean(1, keepdim=True).mT @ x),
        matmul("broadcast-weight", product("image", "w"), lambda x, w: x.expand(-1, 3, -1, -1) @ w,
               weights={"w": (3, 6, 4)}),
        matmul("mean-by-wider-weight", lambda n: n.node("MatMul", [n.node("ReduceMean", "image", axes=[1]), "w"]),
               lambda x, w: x.mean(1, keepdim=True) @ w, weights={"w": (3, 6, 4)}),
        matmul("vector-on-the-right", product("image", "w"), lambda x, w: x @ w, weights={"w": (6,)}),
        matmul("vector-on-the-left", product("w", "image"), lambda x, w: torch.einsum("i,ncij->ncj", w, x),
               weights={"w": (5,)}),
    ]


def cases():
    return [
        conv("plain", (4, 3, 3, 3), opset=9),
        conv("padded", (4, 3, 3, 3), pads=(1, 1, 1, 1)),
        conv("no-bias", (4, 3, 3, 3), pads=(1, 1, 1, 1), bias=False),
        conv("pointwise", (5, 3, 1, 1)),
        conv("pointwise-stride-2", (5, 3, 1, 1), strides=(2, 2)),
        conv("pointwise-padded", (2, 3, 1, 1), pads=(1, 0, 0, 1)),
        conv("stride-2", (4, 3, 3, 3), strides=(2, 2), pads=(1, 1, 1, 1)),
        conv("stride-2-5x5", (2, 3, 5, 5), strides=(2, 2), pads=(2, 2, 2, 2)),
        conv("stride-3", (4, 3, 3, 3), image=(3, 9, 9), strides=(3, 3)),
        conv("stride-3-leaves-a-rest", (4, 3, 2, 2), image=(3, 9, 10), strides=(3, 3)),
        conv("stride-2-leaves-a-rest", (4, 3, 3, 3), image=(3, 8, 10), strides=(2, 2)),
        conv("stride-4-by-patches", (4, 3, 4, 4), image=(3, 8, 8), strides=(4, 4)),
        conv("strides-differ", (4, 3, 3, 2), image=(3, 8, 9), strides=(1, 3), pads=(1, 0, 1, 0)),
        conv("asymmetric-pads", (4, 3, 3, 3), pads=(0, 1, 2, 0)),
        conv("asymmetric-pads-stride-2", (4, 3, 3, 3), pads=(2, 0, 1, 1), strides=(2, 2)),
        conv("pads-beyond-kernel", (2, 3, 2, 2), pads=(2, 3, 2, 0)),
        conv("even-kernel", (4, 3, 2, 4), pads=(0, 1, 1, 2)),
        conv("dilated", (4, 3, 3, 3), pads=(2, 2, 2, 2), dilations=(2, 2)),
        conv("dilated-stride-2", (4, 3, 3, 2), image=(3, 9, 9), pads=(1, 2, 1, 0), dilations=(2, 3), strides=(2, 2)),
        conv("groups", (6, 2, 3, 3), image=(4, 6, 5), pads=(1, 1, 1, 1), group=2),
        conv("groups-stride-2", (6, 2, 3, 3), image=(4, 6, 7), pads=(1, 1, 1, 1), group=2, strides=(2, 2)),
        conv("depthwise", (3, 1, 3, 3), pads=(1, 1, 1, 1), group=3),
        conv("depthwise-stride-2", (3, 1, 3, 3), pads=(1, 1, 1, 1), group=3, strides=(2, 2)),
        conv("depthwise-5x5-dilated", (3, 1, 5, 5), pads=(4, 4, 4, 4), group=3, dilations=(2, 2)),
        conv("depthwise-multiplier", (6, 1, 3, 3), group=3),
        conv("auto-pad-same-upper", (4, 3, 3, 2), image=(3, 8, 7), strides=(2, 2), pads=(0, 0, 1, 1), auto_pad="SAME_UPPER"),
        conv("auto-pad-same-upper-stride-1", (4, 3, 4, 3), pads=(1, 1, 2, 1), auto_pad="SAME_UPPER"),
        conv("auto-pad-same-lower", (4, 3, 3, 2), image=(3, 8, 7), strides=(2, 2), pads=(1, 1, 0, 0), auto_pad="SAME_LOWER"),
        conv("auto-pad-valid", (4, 3, 3, 3), strides=(2, 2), auto_pad="VALID"),
        conv_flat(),
        conv_transpose("plain", (4, 3, 3, 3), opset=11),
        conv_transpose("stride-2", (4, 3, 2, 2), strides=(2, 2)),
        conv_transpose("stride-2-output-padding", (4, 3, 3, 3), strides=(2, 2), pads=(1, 1, 1, 1), output_padding=(1, 1)),
        conv_transpose("stride-3-wide", (4, 2, 4, 4), image=(4, 3, 3), strides=(3, 3), pads=(1, 1, 1, 1), bias=False),
        conv_transpose("asymmetric-pads", (4, 3, 3, 3), strides=(2, 2), pads=(0, 1, 1, 0)),
        conv_transpose("groups", (4, 3, 3, 3), strides=(2, 2), pads=(1, 1, 1, 1), group=2),
        conv_transpose("depthwise", (4, 1, 3, 3), strides=(2, 2), group=4, bias=False),
        conv_transpose("dilated", (4, 3, 3, 2), pads=(1, 1, 1, 1), dilations=(2, 2)),
        *products(),
    ]
