"""Two tensors and more: broadcasting in every direction, and the same tensor twice."""

import numpy as np
import torch

from .case import operator

BINARY = {"Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "Div": torch.div}




def broadcasts(op, function):
    """The image or its channel means, on either side, with a constant or with each other."""
    random = np.random.Generator(np.random.PCG64(len(op)))
    constants = {"scalar": (), "one": (1,), "channels": (3, 1, 1), "all": (3, 5, 6), "row": (6,), "leading": (1, 3, 1, 6)}
    made = []

    def case(name, graph, reference, **options):
        made.append(operator(f"{op.lower()}-{name}", graph, reference, low=0.4, high=1.6, **options))

    def means(net):
        return net.node("ReduceMean", "image", axes=[2, 3])

    for name, shape in constants.items():
        c = {"c": np.asarray(0.5 + random.random(shape), np.float32)}
        case(f"{name}-right", lambda n: n.node(op, ["image", "c"]), lambda x, c: function(x, c), exact=c)
        if name in ("scalar", "channels"):
            case(f"{name}-left", lambda n: n.node(op, ["c", "image"]), lambda x, c: function(c, x), exact=c, opset=9)
    wide = {"c": np.asarray(0.5 + random.random((3, 5, 6)), np.float32)}
    case("means-with-wider-constant", lambda n: n.node(op, [means(n), "c"]),
         lambda x, c: function(x.mean((2, 3), keepdim=True), c), exact=wide)
    case("wider-constant-with-means", lambda n: n.node(op, ["c", means(n)]),
         lambda x, c: function(c, x.mean((2, 3), keepdim=True)), exact=wide)
    case("image-with-means", lambda n: n.node(op, ["image", means(n)]),
         lambda x: function(x, x.mean((2, 3), keepdim=True)))
    case("means-with-image", lambda n: n.node(op, [means(n), "image"]),
         lambda x: function(x.mean((2, 3), keepdim=True), x), opset=13)
    case("rows-with-columns",
         lambda n: n.node(op, [n.node("ReduceMean", "image", axes=[2]), n.node("ReduceMean", "image", axes=[3])]),
         lambda x: function(x.mean(2, keepdim=True), x.mean(3, keepdim=True)))
    case("both-whole", lambda n: n.node(op, ["image", n.node("Exp", "image")]), lambda x: function(x, x.exp()))
    return made


def power(name, exponent, *, low, dtype=np.float32, **options):
    values = np.asarray(exponent)
    return operator(
        f"pow-{name}", lambda n: n.node("Pow", ["image", n.constant(values, dtype)]),
        lambda x, **_: x ** torch.from_numpy(values.astype(np.float64)), low=low, high=1.6, **options,
    )


def powers():
    return [
        power("2", 2.0, low=-1.5),
        power("3", 3.0, low=-1.5, opset=9),
        power("half", 0.5, low=0.4),
        power("minus-1", -1.0, low=0.4),
        power("integer-exponent", 2, low=-1.5, dtype=np.int64),
        power("tensor", [[[2.0]], [[0.5]], [[-1.5]]], low=0.4),
        power("tensor-with-one-and-zero", [[[1.0]], [[0.0]], [[2.0]]], low=0.4),
    ]


def extremes():
    made = []
    for op, function in (("Max", torch.maximum), ("Min", torch.minimum)):
        made += [
            operator(f"{op.lower()}-constant", lambda n, op=op: n.node(op, ["image", "c"]), lambda x, c, f=function: f(x, c),
                     weights={"c": (3, 1, 1)}),
            operator(f"{op.lower()}-both", lambda n, op=op: n.node(op, ["image", n.node("Tanh", n.node("Neg", "image"))]),
                     lambda x, f=function: f(x, torch.tanh(-x)), opset=13),
            operator(f"{op.lower()}-broadcast",
                     lambda n, op=op: n.node(op, ["image", n.node("ReduceMean", "image", axes=[2, 3])]),
                     lambda x, f=function: f(x, x.mean((2, 3), keepdim=True).expand_as(x))),
            operator(f"{op.lower()}-tie", lambda n, op=op: n.node(op, ["image", n.node("Mul", ["image", "c"])]),
                     lambda x, c, f=function: f(x, x * c), exact={"c": np.asarray(2.0, np.float32)}, levels=5,
                     at_kink=True, claim=f"{op} of equal operands gives each half of the gradient, as PyTorch does"),
        ]
    return made


def selections():
    mask = (np.indices((3, 5, 6)).sum(0) % 3 == 0)

    def where(net, yes, no):
        return net.node("Where", [net.constant(mask, np.bool_), yes, no])

    chosen = torch.from_numpy(mask)

    def means(net):
        return net.node("ReduceMean", "image", axes=[2, 3])

    return [
        operator("where-image-or-constant", lambda n: where(n, "image", "c"), lambda x, c: torch.where(chosen, x, c),
                 weights={"c": (3, 1, 1)}),
        operator("where-constant-or-image", lambda n: where(n, "c", "image"), lambda x, c: torch.where(chosen, c, x),
                 weights={"c": ()}, opset=9),
        operator("where-both", lambda n: where(n, "image", n.node("Exp", "image")),
                 lambda x: torch.where(chosen, x, x.exp())),
        operator("where-broadcast", lambda n: where(n, means(n), "image"),
                 lambda x: torch.where(chosen, x.mean((2, 3), keepdim=True), x)),
        operator("where-mask-of-image",
                 lambda n: n.node("Where", [n.node("Greater", ["image", "c"]), n.node("Exp", "image"), "image"]),
                 lambda x, c: torch.where(x > c, x.exp(), x), exact={"c": np.asarray(0.1, np.float32)}),
    ]


def cases():
    made = [case for op, function in BINARY.items() for case in broadcasts(op, function)]
    made += [
        operator("add-same-twice", lambda n: n.node("Add", ["image", "image"]), lambda x: x + x),
        operator("mul-same-twice", lambda n: n.node("Mul", ["image", "image"]), lambda x: x * x),
        operator("sum-three", lambda n: n.node("Sum", ["image", n.node("ReduceMean", "image", axes=[1]), "c"]),
                 lambda x, c: x + x.mean(1, keepdim=True) + c, weights={"c": (3, 1, 1)}),
        operator("sum-one", lambda n: n.node("Sum", [n.node("Tanh", "image")]), torch.tanh),
        operator("sum-same-thrice", lambda n: n.node("Sum", [n.node("Tanh", "image", "t"), "t", "t"]),
                 lambda x: 3 * torch.tanh(x)),
    ]
    return made + powers() + extremes() + selections()
