"""Operators that move elements, choose among them or leave them as they are."""

import numpy as np
import torch
import torch.nn.functional as F
from onnx import TensorProto

from .case import operator


def move(name, op, reference, *numbers, opset=17, image=(3, 5, 6), **attributes):
    """`numbers` are the operator's further inputs, int64 but for floats."""

    def graph(net):
        inputs = [
            "" if n is None else net.constant(n, np.float32 if np.asarray(n).dtype.kind == "f" else np.int64)
            for n in numbers
        ]
        return net.node(op, ["image", *inputs], **attributes)

    return operator(name, graph, lambda x, **_: reference(x), opset=opset, image=image)


def last(x):
    """The image after a Tanh, so that what splits or joins reads a tensor of the network's own."""
    return torch.tanh(x)


def splits():
    def case(name, parts, reference, *, opset, sizes=None, as_input=True, used=None, axis=1, image=(4, 4, 5), **attributes):
        def graph(net):
            inputs = [net.node("Tanh", "image")]
            if sizes and as_input:
                inputs.append(net.constant(sizes))
            elif sizes:
                attributes["split"] = sizes
            pieces = net.node("Split", inputs, count=parts, axis=axis, **attributes)
            chosen = [pieces[i] for i in used or range(parts)]
            # Every piece is treated differently, so that mixing them up shows.
            treated = [net.node("Mul", [piece, net.constant(k + 1.0, np.float32)]) for k, piece in enumerate(chosen)]
            return net.node("Concat", treated, axis=axis) if len(treated) > 1 else treated[0]

        def all_of(x, **_):
            pieces = reference(last(x))
            chosen = [pieces[i] for i in used or range(parts)]
            return torch.cat([(k + 1) * piece for k, piece in enumerate(chosen)], axis)

        return operator(f"split-{name}", graph, all_of, opset=opset, image=image)

    return [
        case("equal", 2, lambda x: x.chunk(2, 1), opset=11),
        case("equal-on-columns", 3, lambda x: x.chunk(3, -1), opset=13, axis=-1, image=(3, 4, 6)),
        case("uneven-attribute", 2, lambda x: x.split([1, 3], 1), opset=11, sizes=[1, 3], as_input=False),
        case("uneven-input", 3, lambda x: x.split([2, 1, 1], 1), opset=13, sizes=[2, 1, 1]),
        case("number-of-outputs", 2, lambda x: x.split(3, 3), opset=18, num_outputs=2, axis=3),
        case("output-unused", 3, lambda x: x.split([2, 1, 1], 1), opset=17, sizes=[2, 1, 1], used=[0, 2]),
        case("only-middle-used", 3, lambda x: x.split([2, 1, 1], 1), opset=17, sizes=[2, 1, 1], used=[1]),
    ]


def concats():
    def case(name, parts, reference, axis, **options):
        return operator(f"concat-{name}", lambda n: n.node("Concat", parts(n), axis=axis), reference, **options)

    return [
        case("channels", lambda n: ["image", n.node("Tanh", "image")], lambda x: torch.cat([x, x.tanh()], 1), 1, opset=9),
        case("columns", lambda n: [n.node("ReduceMean", "image", axes=[3]), "image"],
             lambda x: torch.cat([x.mean(3, keepdim=True), x], 3), -1),
        case("same-twice", lambda n: [n.node("Tanh", "image", "t"), "t"], lambda x: torch.cat([x.tanh(), x.tanh()], 1), 1),
        case("three-uneven",
             lambda n: [n.node("ReduceMean", "image", axes=[1]), "image", n.node("Concat", ["image", "image"], axis=1)],
             lambda x: torch.cat([x.mean(1, keepdim=True), x, x, x], 1), 1),
        case("with-constant-rows",
             lambda n: [n.node("Mul", ["image", "c"]), n.node("Expand", ["d", n.node("Shape", "image")])],
             lambda x, c, d: torch.cat([x * c, d.expand_as(x)], 2), 2, weights={"c": (3, 1, 1), "d": (1, 3, 1, 6)}),
    ]


def slices():
    biggest = np.iinfo(np.int64).max
    return [
        move("slice-attributes", "Slice", lambda x: x[:, :, 1:4, :-1], opset=9, starts=[1, 0], ends=[4, -1], axes=[2, 3]),
        move("slice-strided", "Slice", lambda x: x[:, :, ::2, 1::2], [0, 1], [biggest] * 2, [2, 3], [2, 2]),
        move("slice-strided-leaves-a-rest", "Slice", lambda x: x[:, :, :, 1:5:3], [1], [5], [3], [3], opset=11),
        move("slice-negative-ends", "Slice", lambda x: x[:, -2:, :-2], [-2, 0], [biggest, -2], [1, 2], opset=13),
        move("slice-backwards", "Slice", lambda x: x.flip(3), [-1], [-biggest], [3], [-1]),
        move("slice-backwards-strided", "Slice", lambda x: x[:, :, [4, 2], :], [-1], [0], [2], [-2]),
        move("slice-beyond-ends", "Slice", lambda x: x[:, :, 2:], [2], [1000], [-2]),
        move("slice-no-axes", "Slice", lambda x: x[:, 1:3], [0, 1], [biggest, 3]),
    ]


def gathers():
    return [
        move("gather-repeated", "Gather", lambda x: x[:, [0, 2, 2, 1, 2]], [0, 2, 2, 1, 2], axis=1),
        move("gather-some", "Gather", lambda x: x[:, :, [3, 1]], [3, 1], axis=2, opset=9),
        move("gather-scalar", "Gather", lambda x: x[:, 1], 1, axis=1),
        move("gather-negative", "Gather", lambda x: x[..., [-1, 0, -2]], [-1, 0, -2], axis=-1, opset=11),
        move("gather-negative-scalar", "Gather", lambda x: x[..., -1], -1, axis=3),
        move("gather-matrix", "Gather", lambda x: x[:, [[0, 2], [2, 2]]], [[0, 2], [2, 2]], axis=1),
    ]


def pads():
    return [
        move("pad-attributes", "Pad", lambda x: F.pad(x, (0, 2, 1, 0)), opset=9, mode="constant", pads=[0, 0, 1, 0, 0, 0, 0, 2]),
        move("pad-rows-and-columns", "Pad", lambda x: F.pad(x, (1, 1, 1, 1)), [0, 0, 1, 1, 0, 0, 1, 1], opset=11),
        move("pad-channels", "Pad", lambda x: F.pad(x, (0, 0, 0, 0, 2, 1)), [0, 2, 0, 0, 0, 1, 0, 0]),
        move("pad-asymmetric-value", "Pad", lambda x: F.pad(x, (2, 0, 0, 3), value=0.5), [0, 0, 0, 2, 0, 0, 3, 0], 0.5),
        move("pad-negative", "Pad", lambda x: x[:, :, 1:, :-2], [0, 0, -1, 0, 0, 0, 0, -2]),
        move("pad-negative-and-positive", "Pad", lambda x: F.pad(x, (-1, 2, 1, -1)), [0, 0, 1, -1, 0, 0, -1, 2], opset=13),
        move("pad-axes", "Pad", lambda x: F.pad(x, (1, 2)), [1, 2], None, [3], opset=18),
    ]


def resizes():
    floor = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    half = {"mode": "nearest", "coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_floor"}
    both, tall, third = [1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 1.0, 3.0], [1.0, 1.0, 3.0, 3.0]
    small = (3, 3, 4)
    return [
        move("resize-opset-10", "Resize", lambda x: F.interpolate(x, scale_factor=2), both, opset=10, image=small, mode="nearest"),
        move("resize-asymmetric", "Resize", lambda x: F.interpolate(x, scale_factor=2), None, both, opset=13, image=small, **floor),
        move("resize-asymmetric-empty-roi", "Resize", lambda x: F.interpolate(x, scale_factor=2),
             np.zeros(0, np.float32), both, opset=11, image=small, **floor),
        move("resize-half-pixel", "Resize", lambda x: F.interpolate(x, scale_factor=2, mode="nearest-exact"),
             None, both, opset=13, image=small, **half),
        move("resize-one-axis", "Resize", lambda x: F.interpolate(x, scale_factor=(1, 3)), None, tall, image=small, **floor),
        move("resize-threefold-half-pixel", "Resize", lambda x: F.interpolate(x, scale_factor=3, mode="nearest-exact"),
             None, third, image=small, **half),
        move("resize-to-sizes", "Resize", lambda x: F.interpolate(x, size=(6, 8)), None, None, [6, 8], axes=[2, 3],
             opset=18, image=small, **floor),
    ]


def casts():
    def masked(net):
        above = net.node("Greater", ["image", net.constant(0.1, np.float32)])
        return net.node("Mul", [net.node("Exp", "image"), net.node("Cast", above, to=TensorProto.FLOAT)])

    return [
        move("identity", "Identity", lambda x: x),
        move("dropout", "Dropout", lambda x: x, opset=11, ratio=0.5),
        move("dropout-ratio-input", "Dropout", lambda x: x, 0.5, opset=13),
        move("cast-to-float", "Cast", lambda x: x, to=TensorProto.FLOAT),
        operator("cast-of-mask", masked, lambda x, **_: x.exp() * (x > 0.1)),
    ]


def reshapes():
    def from_shape(net):
        extents = [net.node("Gather", [net.node("Shape", "image"), net.constant(i)], axis=0) for i in (0, 1)]
        rows = [net.node("Unsqueeze", [e, net.constant([0])]) for e in extents]
        shape = net.node("Concat", [*rows, net.constant([-1])], axis=0)
        return net.node("Softmax", net.node("Reshape", ["image", shape]), axis=-1)

    def means(x):
        return x.mean(1, keepdim=True)

    return [
        operator("flatten-rows", lambda n: n.node("Reshape", [n.node("Softmax", n.node("Flatten", "image", axis=2), axis=-1),
                                                               n.constant([-1, 90])]),
                 lambda x: x.flatten(0, 1).flatten(1).softmax(-1).reshape(-1, 90)),
        operator("flatten-negative-axis", lambda n: n.node("Flatten", n.node("Tanh", "image"), axis=-3), torch.tanh, opset=13),
        operator("reshape-zero-and-minus-one",
                 lambda n: n.node("Softmax", n.node("Reshape", ["image", n.constant([0, -1, 10])]), axis=-1),
                 lambda x: x.reshape(-1, 9, 10).softmax(-1)),
        operator("reshape-minus-one-first", lambda n: n.node("Tanh", n.node("Reshape", ["image", n.constant([-1, 90])])),
                 torch.tanh, opset=9),
        operator("reshape-from-shape", from_shape, lambda x: x.flatten(2).softmax(-1)),
        operator("squeeze-attribute", lambda n: n.node("Squeeze", n.node("ReduceMean", "image", axes=[1]), axes=[1]),
                 means, opset=11),
        operator("squeeze-input", lambda n: n.node("Squeeze", [n.node("ReduceMean", "image", axes=[2, 3]), n.constant([2, -1])]),
                 lambda x: x.mean((2, 3)), opset=13),
        operator("unsqueeze-attribute",
                 lambda n: n.node("Mul", [n.node("Unsqueeze", "image", axes=[2]), "w"]),
                 lambda x, w: x.unsqueeze(2) * w, opset=11, weights={"w": (4, 1, 1)}),
        operator("unsqueeze-input",
                 lambda n: n.node("Mul", [n.node("Unsqueeze", ["image", n.constant([1, -1])]), "w"]),
                 lambda x, w: x.unsqueeze(1).unsqueeze(-1) * w, opset=13, image=(3, 3, 4), weights={"w": (2, 1, 1, 1, 3)}),
        move("transpose", "Transpose", lambda x: x.permute(0, 2, 3, 1), perm=[0, 2, 3, 1]),
        move("transpose-swap", "Transpose", lambda x: x.permute(0, 1, 3, 2), perm=[0, 1, 3, 2]),
        operator("transpose-default", lambda n: n.node("Transpose", n.node("Mul", [n.node("Transpose", "image"), "w"])),
                 lambda x, w: x * w.permute(3, 2, 1, 0), weights={"w": (6, 5, 3, 1)}),
        operator("expand-means", lambda n: n.node("Mul", [n.node("Expand", [n.node("ReduceMean", "image", axes=[2, 3]),
                                                                           n.constant([1, 3, 5, 6])]), "w"]),
                 lambda x, w: x.mean((2, 3), keepdim=True).expand(-1, 3, 5, 6) * w, weights={"w": (3, 5, 6)}),
        operator("expand-keeps-image-extents", lambda n: n.node("Expand", [n.node("ReduceMean", "image", axes=[1]), n.constant([4, 1, 1])]),
                 lambda x: x.mean(1, keepdim=True).expand(-1, 4, -1, -1)),
    ]


def cases():
    return reshapes() + concats() + splits() + slices() + gathers() + pads() + resizes() + casts()
