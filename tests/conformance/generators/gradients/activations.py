"""Functions of one tensor, element by element or along an axis."""

import numpy as np
import torch
import torch.nn.functional as F

from .case import operator


def one(name, op, reference, *, inputs=("image",), opset=17, attributes=None, **options):
    return operator(name, lambda n: n.node(op, list(inputs), **(attributes or {})), reference, opset=opset, **options)


def kink(name, op, reference, levels=5, **options):
    """Images of few levels, zero and the bounds among them."""
    return one(name, op, reference, at_kink=True, levels=levels, **options)


def flattened(function, axis):
    """Softmax before operator set 13: over all axes from `axis` on, as if they were one."""
    return lambda x: function(x.flatten(axis), dim=-1)


def tensor(values):
    return np.asarray(values, np.float32)


def softmaxes():
    made = []
    for op, function in (("Softmax", torch.softmax), ("LogSoftmax", torch.log_softmax)):
        name = "softmax" if op == "Softmax" else "log-softmax"
        wide = {"low": -2.0, "high": 2.0}
        made += [
            one(f"{name}-last-axis", op, lambda x, f=function: f(x, dim=-1), opset=13, attributes={"axis": -1}, **wide),
            one(f"{name}-channels", op, lambda x, f=function: f(x, dim=1), opset=13, attributes={"axis": 1}, **wide),
            one(f"{name}-default-axis", op, lambda x, f=function: f(x, dim=-1), opset=21, **wide),
            one(f"{name}-flattening", op, flattened(function, 1), opset=11, attributes={"axis": 1}, **wide),
            one(f"{name}-flattening-default-axis", op, flattened(function, 1), opset=9, **wide),
            one(f"{name}-flattening-from-rows", op, flattened(function, 2), opset=11, attributes={"axis": 2}, **wide),
            one(f"{name}-flattening-last-axis", op, lambda x, f=function: f(x, dim=-1), opset=11,
                attributes={"axis": -1}, **wide),
        ]
    return made


def kinks():
    bounds = {"low": tensor(0.0), "high": tensor(0.5)}
    clipped = "at its bounds Clip stops the gradient, as torch.clamp by numbers and relu6 do"
    return [
        kink("relu-at-zero", "Relu", torch.relu),
        kink("leaky-relu-at-zero", "LeakyRelu", lambda x: F.leaky_relu(x, 0.25), attributes={"alpha": 0.25}),
        kink("prelu-at-zero", "PRelu", lambda x, slope: F.prelu(x, slope.flatten()), inputs=("image", "slope"),
             weights={"slope": (3, 1, 1)}),
        kink("abs-at-zero", "Abs", torch.abs),
        kink("clip-at-bounds", "Clip", lambda x, low, high: x.clamp(0.0, 0.5), inputs=("image", "low", "high"),
             exact=bounds, levels=9, claim=clipped),
        kink("clip-attributes-at-bounds", "Clip", lambda x: x.clamp(-0.5, 0.5), opset=9,
             attributes={"min": -0.5, "max": 0.5}, claim=clipped),
        kink("hard-sigmoid-at-bounds", "HardSigmoid", F.hardsigmoid, attributes={"alpha": 1 / 6}, low=-6.0, high=6.0,
             claim="at -3 and 3 the slope is zero"),
        kink("hard-swish-at-bounds", "HardSwish", F.hardswish, low=-6.0, high=6.0, claim="the slope is 0 at -3 and 1 at 3"),
        kink("elu-at-zero", "Elu", lambda x: F.elu(x, 0.5), attributes={"alpha": 0.5}, claim="the slope at zero is alpha"),
    ]


def cases():
    positive = {"low": 0.3, "high": 2.0}
    half, zero = tensor(0.5), tensor(-0.25)
    return [
        one("relu", "Relu", torch.relu),
        one("leaky-relu", "LeakyRelu", lambda x: F.leaky_relu(x, 0.2), attributes={"alpha": 0.2}),
        one("leaky-relu-default", "LeakyRelu", lambda x: F.leaky_relu(x, 0.01), opset=9),
        one("prelu-shared", "PRelu", lambda x, slope: F.prelu(x, slope.flatten()), inputs=("image", "slope"),
            exact={"slope": tensor([0.3])}, opset=9),
        one("prelu-channels", "PRelu", lambda x, slope: F.prelu(x, slope.flatten()), inputs=("image", "slope"),
            weights={"slope": (3, 1, 1)}),
        one("clip-inputs", "Clip", lambda x, low, high: x.clamp(-0.25, 0.5), inputs=("image", "low", "high"),
            exact={"low": zero, "high": half}, opset=13),
        one("clip-attributes", "Clip", lambda x: x.clamp(-0.25, 0.5), opset=9, attributes={"min": -0.25, "max": 0.5}),
        one("clip-below", "Clip", lambda x, low: x.clamp(min=-0.25), inputs=("image", "low"), exact={"low": zero}),
        one("clip-above", "Clip", lambda x, high: x.clamp(max=0.5), inputs=("image", "", "high"), exact={"high": half}),
        one("clip-above-attribute", "Clip", lambda x: x.clamp(max=0.5), opset=9, attributes={"max": 0.5}),
        one("elu", "Elu", F.elu),
        one("elu-alpha", "Elu", lambda x: F.elu(x, 0.5), attributes={"alpha": 0.5}),
        one("sigmoid", "Sigmoid", torch.sigmoid, low=-4.0, high=4.0),
        one("hard-sigmoid", "HardSigmoid", lambda x: (0.2 * x + 0.5).clamp(0.0, 1.0), low=-4.0, high=4.0),
        one("hard-sigmoid-sixth", "HardSigmoid", F.hardsigmoid, attributes={"alpha": 1 / 6, "beta": 0.5}, low=-5.0, high=5.0),
        one("hard-swish", "HardSwish", F.hardswish, opset=14, low=-5.0, high=5.0),
        one("tanh", "Tanh", torch.tanh, low=-3.0, high=3.0),
        one("erf", "Erf", torch.erf, low=-2.0, high=2.0),
        one("gelu", "Gelu", F.gelu, opset=20, low=-3.0, high=3.0),
        one("gelu-tanh", "Gelu", lambda x: F.gelu(x, approximate="tanh"), opset=20, attributes={"approximate": "tanh"},
            low=-3.0, high=3.0),
        one("sqrt", "Sqrt", torch.sqrt, **positive),
        one("exp", "Exp", torch.exp, low=-2.0, high=2.0),
        one("log", "Log", torch.log, **positive),
        one("neg", "Neg", torch.neg),
        one("abs", "Abs", torch.abs),
        one("reciprocal", "Reciprocal", torch.reciprocal, low=-2.0, high=-0.3),
        *softmaxes(),
        *kinks(),
    ]
