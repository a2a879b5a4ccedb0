"""PyTorch eager: every segment rebuilt from its ONNX graph as a module, with the decision between modules in Python."""

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from torch.nn import functional as F

from .bundle import confidence


def attributes_of(node):
    found = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in found.items()}


class Segment(torch.nn.Module):
    """A segment's nodes as calls of torch functions, in order; what does not depend on its inputs is computed once."""

    def __init__(self, model, inputs, outputs):
        super().__init__()
        graph = model.graph
        self.opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        self.fixed = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self.weights, self.steps = {}, []
        self.names, self.results = inputs, outputs
        last_reader = {}
        for node in graph.node:
            if all(not name or name in self.fixed for name in node.input):
                self.fixed |= self.evaluated(node)
            elif node.op_type == "Shape":
                raise NotImplementedError("a shape is computed while running: fold it first")
            else:
                step = self.step(node)
                for name in step[1]:
                    last_reader[name] = len(self.steps)
                self.steps.append(step)
        # Tensors are let go after their last reader, as local variables of a handwritten `forward` are.
        kept = set(outputs)
        self.dropped = [[] for _ in self.steps]
        for name, position in last_reader.items():
            if name not in kept and name not in self.weights:
                self.dropped[position].append(name)

    def evaluated(self, node):
        graph = onnx.helper.make_graph(
            [node], "constant", [onnx.helper.make_empty_tensor_value_info(n) for n in node.input if n],
            [onnx.helper.make_empty_tensor_value_info(n) for n in node.output],
        )
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", self.opset)])
        results = ReferenceEvaluator(model).run(None, {name: self.fixed[name] for name in node.input if name})
        return {name: np.asarray(value) for name, value in zip(node.output, results)}

    def step(self, node):
        """A function of tensors, the names it reads and the name it gives."""
        convert = getattr(Conversions, node.op_type, None)
        if convert is None or node.domain not in ("", "ai.onnx") or len(node.output) != 1:
            raise NotImplementedError(f"no conversion of operator {node.domain or 'ai.onnx'} {node.op_type}")
        call, reads = convert(attributes_of(node), list(node.input), self.fixed)
        for name in reads:
            if name in self.fixed:
                self.weights[name] = torch.nn.Parameter(torch.tensor(self.fixed[name]), requires_grad=False)
        return call, tuple(reads), node.output[0]

    def forward(self, values):
        tensors = dict(self.weights)
        for name in self.names:
            tensors[name] = values[name]
        for (call, reads, gives), dropped in zip(self.steps, self.dropped):
            tensors[gives] = call(*[tensors[name] for name in reads])
            for name in dropped:
                del tensors[name]
        return {name: tensors[name] for name in self.results}


def elementwise(function):
    return staticmethod(lambda attributes, inputs, fixed: (function, inputs))


def spatial(pads):
    """ONNX pads `[top, left, bottom, right]` as torch's symmetric pair, or the four for `F.pad`."""
    top, left, bottom, right = pads or (0, 0, 0, 0)
    return ((top, left), None) if (top, left) == (bottom, right) else ((0, 0), (left, right, top, bottom))


def reduction(function):
    def convert(attributes, inputs, fixed):
        axes = attributes.get("axes") or (fixed[inputs[1]].tolist() if len(inputs) > 1 else None)
        keep = bool(attributes.get("keepdims", 1))
        return lambda x: function(x, dim=axes, keepdim=keep), inputs[:1]

    return staticmethod(convert)


class Conversions:
    """Per operator: attributes, input names and constants to a torch call and the names it reads."""

    Add, Sub, Mul, Div = (elementwise(f) for f in (torch.add, torch.sub, torch.mul, torch.div))
    Relu, Sigmoid, Tanh, Sqrt, Erf = (elementwise(f) for f in (torch.relu, torch.sigmoid, torch.tanh, torch.sqrt, torch.erf))
    MatMul, Pow, HardSwish, Identity = (elementwise(f) for f in (torch.matmul, torch.pow, F.hardswish, lambda x: x))
    GlobalAveragePool = elementwise(lambda x: x.mean((2, 3), keepdim=True))
    ReduceMean, ReduceMax = reduction(torch.mean), reduction(torch.amax)

    @staticmethod
    def Conv(attributes, inputs, fixed):
        assert attributes.get("auto_pad", "NOTSET") == "NOTSET", "auto_pad has no conversion"
        padding, extra = spatial(attributes.get("pads"))
        stride, dilation = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
        groups = attributes.get("group", 1)

        def call(x, weight, bias=None):
            x = x if extra is None else F.pad(x, extra)
            return F.conv2d(x, weight, bias, stride, padding, dilation, groups)

        return call, inputs

    @staticmethod
    def BatchNormalization(attributes, inputs, fixed):
        bn_epsilon = attributes.get("epsilon", 1e-5)
        return lambda x, w, b, mean, var: F.batch_norm(x, mean, var, w, b, False, 0.0, bn_epsilon), inputs

    @staticmethod
    def LayerNormalization(attributes, inputs, fixed):
        assert attributes.get("axis", -1) == -1, "LayerNormalization has a conversion for the last axis only"
        epsilon = attributes.get("epsilon", 1e-5)
        return lambda x, w, b=None: F.layer_norm(x, x.shape[-1:], w, b, epsilon), inputs

    @staticmethod
    def LRN(attributes, inputs, fixed):
        size, alpha, beta, bias = (attributes.get(k, v) for k, v in (("size", 1), ("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0)))
        assert size % 2 == 1, "LRN has a conversion for odd sizes only"
        return lambda x: F.local_response_norm(x, size, alpha, beta, bias), inputs

    @staticmethod
    def HardSigmoid(attributes, inputs, fixed):
        alpha, beta = attributes.get("alpha", 0.2), attributes.get("beta", 0.5)
        return lambda x: torch.clamp(alpha * x + beta, 0.0, 1.0), inputs

    @staticmethod
    def Gelu(attributes, inputs, fixed):
        form = attributes.get("approximate", "none")
        return lambda x: F.gelu(x, approximate=form), inputs

    @staticmethod
    def Gemm(attributes, inputs, fixed):
        alpha, beta = attributes.get("alpha", 1.0), attributes.get("beta", 1.0)
        first, second = attributes.get("transA", 0), attributes.get("transB", 0)
        if (alpha, beta, first, second) == (1.0, 1.0, 0, 1):
            return F.linear, inputs

        def call(a, b, c=None):
            product = alpha * ((a.T if first else a) @ (b.T if second else b))
            return product if c is None else product + beta * c

        return call, inputs

    @staticmethod
    def MaxPool(attributes, inputs, fixed):
        padding, extra = spatial(attributes.get("pads"))
        kernel, stride = attributes["kernel_shape"], attributes.get("strides", [1, 1])
        dilation, ceil = attributes.get("dilations", [1, 1]), bool(attributes.get("ceil_mode", 0))
        if extra is None:
            return lambda x: F.max_pool2d(x, kernel, stride, padding, dilation, ceil), inputs
        return lambda x: F.max_pool2d(F.pad(x, extra, value=-torch.inf), kernel, stride, 0, dilation, ceil), inputs

    @staticmethod
    def AveragePool(attributes, inputs, fixed):
        padding, extra = spatial(attributes.get("pads"))
        counted, ceil = bool(attributes.get("count_include_pad", 0)), bool(attributes.get("ceil_mode", 0))
        assert extra is None, "AveragePool with asymmetric pads has no conversion"
        kernel, stride = attributes["kernel_shape"], attributes.get("strides", [1, 1])
        return lambda x: F.avg_pool2d(x, kernel, stride, padding, ceil, counted), inputs

    @staticmethod
    def Flatten(attributes, inputs, fixed):
        assert attributes.get("axis", 1) == 1, "Flatten has a conversion for axis 1 only"
        return lambda x: x.flatten(1), inputs

    @staticmethod
    def Reshape(attributes, inputs, fixed):
        wanted = fixed[inputs[1]].tolist()
        if 0 not in wanted or attributes.get("allowzero", 0):
            return lambda x: x.reshape(wanted), inputs[:1]
        return lambda x: x.reshape([x.shape[i] if extent == 0 else extent for i, extent in enumerate(wanted)]), inputs[:1]

    @staticmethod
    def Transpose(attributes, inputs, fixed):
        order = attributes.get("perm")
        return lambda x: x.permute(order or range(x.ndim)[::-1]), inputs

    @staticmethod
    def Squeeze(attributes, inputs, fixed):
        axes = attributes.get("axes") or fixed[inputs[1]].tolist()
        return lambda x: x.squeeze(tuple(axes)), inputs[:1]

    @staticmethod
    def Concat(attributes, inputs, fixed):
        axis = attributes["axis"]
        return lambda *parts: torch.cat(parts, axis), inputs

    @staticmethod
    def Softmax(attributes, inputs, fixed):
        axis = attributes.get("axis", -1)
        return lambda x: torch.softmax(x, axis), inputs

    @staticmethod
    def Clip(attributes, inputs, fixed):
        low, high = (
            float(fixed[inputs[i]]) if len(inputs) > i and inputs[i] else attributes.get(key)
            for i, key in ((1, "min"), (2, "max"))
        )
        return lambda x: torch.clamp(x, low, high), inputs[:1]

    @staticmethod
    def Cast(attributes, inputs, fixed):
        kind = torch.from_numpy(np.zeros(0, onnx.helper.tensor_dtype_to_np_dtype(attributes["to"]))).dtype
        return lambda x: x.to(kind), inputs

    @staticmethod
    def Gather(attributes, inputs, fixed):
        index, axis = fixed[inputs[1]], attributes.get("axis", 0)
        if index.ndim == 0:
            return lambda x: x.select(axis, int(index)), inputs[:1]
        assert index.ndim == 1, "Gather has a conversion for indices of rank 0 and 1 only"
        positions = torch.tensor(index)
        return lambda x: x.index_select(axis, positions), inputs[:1]

    @staticmethod
    def Slice(attributes, inputs, fixed):
        starts, ends = fixed[inputs[1]].tolist(), fixed[inputs[2]].tolist()
        axes = fixed[inputs[3]].tolist() if len(inputs) > 3 and inputs[3] else range(len(starts))
        steps = fixed[inputs[4]].tolist() if len(inputs) > 4 else [1] * len(starts)
        assert min(steps) > 0, "Slice with a negative step has no conversion"
        ranges = dict(zip(axes, map(slice, starts, ends, steps)))

        def call(x):
            return x[tuple(ranges.get(axis, ranges.get(axis - x.ndim, slice(None))) for axis in range(x.ndim))]

        return call, inputs[:1]

    @staticmethod
    def Pad(attributes, inputs, fixed):
        assert attributes.get("mode", "constant") == "constant", "Pad has a conversion for mode constant only"
        assert len(inputs) < 4 or not inputs[3], "Pad with axes has no conversion"
        pads = fixed[inputs[1]].tolist()
        value = float(fixed[inputs[2]]) if len(inputs) > 2 and inputs[2] else 0.0
        rank = len(pads) // 2
        widths = [pads[side * rank + axis] for axis in reversed(range(rank)) for side in (0, 1)]
        return lambda x: F.pad(x, widths, value=value), inputs[:1]


def segments(bundle):
    """A module per segment of a bundle."""
    return [
        Segment(bundle.load(i), *([spec["name"] for spec in segment[side]] for side in ("inputs", "outputs"))).eval()
        for i, segment in enumerate(bundle.segments)
    ]


class Whole(torch.nn.Module):
    """All segments, one after the other: the network's input to the logits of every exit."""

    def __init__(self, bundle):
        super().__init__()
        self.input, self.logits = bundle.input["name"], bundle.logits
        self.segments = torch.nn.ModuleList(segments(bundle))

    def forward(self, image):
        values = {self.input: image}
        for segment in self.segments:
            values |= segment(values)
        return [values[name] for name in self.logits]


class Eager:
    title = "PyTorch eager, early exit in Python"

    def __init__(self, bundle, model, threads):
        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
        self.input, self.logits = bundle.input["name"], bundle.logits
        self.segments = segments(bundle)

    @torch.inference_mode()
    def infer(self, image, threshold):
        values, last = {self.input: torch.from_numpy(image)}, len(self.segments) - 1
        for index, segment in enumerate(self.segments):
            values.update(segment(values))
            sure, label = confidence(values[self.logits[index]][0].numpy())
            if sure >= threshold or index == last:
                return index, label
