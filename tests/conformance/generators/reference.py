"""What a case must compute and what an exporter must find in it, without a runtime.

The expected logits come from onnx's reference evaluator with every float32 of the model widened to float64. Facts come
from the graph's edges and from the shapes that the evaluation produced; a network claims its cuts by hand and both
must agree.
"""

import copy

import numpy as np
from onnx import TensorProto, helper, inliner, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

EVALUATOR = "onnx.reference.ReferenceEvaluator, float64"


class LRN(OpRun):
    """Local response normalisation as the operator's definition has it.

    onnx 1.23's own normalises only as many channels as the batch has images (op_lrn.py loops over `x.shape[0]`).
    """

    def _run(self, x, alpha=None, beta=None, bias=None, size=None):
        before, after = (size - 1) // 2, size // 2
        total = np.zeros_like(x)
        for channel in range(x.shape[1]):
            window = x[:, max(0, channel - before) : channel + after + 1]
            total[:, channel] = (window**2).sum(axis=1)
        return (x / (bias + alpha / size * total) ** beta,)


class BatchNormalization(OpRun):
    """Batch normalisation as inference has it.

    onnx 1.23's own takes operator set 9 for training mode, because `momentum` has a default there.
    """

    def _run(self, x, scale, bias, mean, variance, epsilon=None, momentum=None, training_mode=None):
        scale, bias, mean, variance = (array.reshape(-1, 1, 1) for array in (scale, bias, mean, variance))
        return (scale * (x - mean) / np.sqrt(variance + epsilon) + bias,)


WRITTEN_HERE = [LRN, BatchNormalization]


def definition(model):
    """Says what computes the expected logits of `model`."""
    ops = {node.op_type for node in model.graph.node}
    names = [op.__name__ for op in WRITTEN_HERE if op.__name__ in ops]
    return EVALUATOR + (f", {' and '.join(names)} written out in numpy" if names else "")


def widen(model):
    """The same network with float64 in place of every float32."""
    model = copy.deepcopy(model)
    single, double = TensorProto.FLOAT, TensorProto.DOUBLE

    def tensor(old):
        if old.data_type == single:
            old.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(old).astype(np.float64), old.name))

    def nodes(body):
        for node in body:
            for attribute in node.attribute:
                if attribute.type == attribute.TENSOR:
                    tensor(attribute.t)
                if attribute.name == "to" and attribute.i == single:
                    attribute.i = double

    for initializer in model.graph.initializer:
        tensor(initializer)
    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        if value.type.tensor_type.elem_type == single:
            value.type.tensor_type.elem_type = double
    nodes(model.graph.node)
    for function in model.functions:
        nodes(function.node)
    return model


def evaluate(model, image, fetch):
    """The tensors named in `fetch`, float64, for each image; a fixed batch of one is fed image by image."""
    model = widen(inliner.inline_local_functions(model))
    name = next(i.name for i in model.graph.input if i.name not in {w.name for w in model.graph.initializer})
    extent = next(i for i in model.graph.input if i.name == name).type.tensor_type.shape.dim[0]
    del model.graph.output[:]
    for tensor in fetch:
        model.graph.output.append(helper.make_value_info(tensor, helper.make_tensor_type_proto(TensorProto.DOUBLE, None)))
    evaluator = ReferenceEvaluator(model, new_ops=WRITTEN_HERE)
    image = image.astype(np.float64) if image.dtype == np.float32 else image
    pieces = [image] if not extent.dim_value else np.split(image, len(image))
    results = [evaluator.run(list(fetch), {name: piece}) for piece in pieces]
    return {t: np.concatenate(parts) if len(parts) > 1 else parts[0] for t, parts in zip(fetch, zip(*results))}


class Facts:
    """Exits with their costs, and cuts, by the definitions of the suite's README."""

    def __init__(self, model, image_name, image, logits):
        graph = inliner.inline_local_functions(model).graph
        self.producer = {out: node for node in graph.node for out in node.output if out}
        self.constants = {w.name: numpy_helper.to_array(w) for w in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant":
                self.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        self.image_name = image_name
        self.carries = {image_name}
        for node in graph.node:
            if node.op_type not in ("Shape", "Size") and self.carries.intersection(node.input):
                self.carries.update(out for out in node.output if out)
        names = [name for name in self.producer if self.producer[name].op_type != "Constant"]
        self.shapes = self.evaluate_shapes(model, image, names)
        needed = {tensor: self.ancestors(tensor) for tensor in logits}
        self.order = sorted(logits, key=lambda tensor: len(needed[tensor]))
        segment_of, seen = {}, set()
        for segment, tensor in enumerate(self.order):
            for node in needed[tensor] - seen:
                segment_of[node] = segment
            seen |= needed[tensor]
        self.segment_of = segment_of
        self.nodes = {node.output[0]: node for node in graph.node}

    @staticmethod
    def evaluate_shapes(model, image, names):
        return {name: value.shape for name, value in evaluate(model, image[:1], names).items()}

    def ancestors(self, tensor):
        """Nodes that `tensor` depends on, each by its first output."""
        found, stack = set(), [tensor]
        while stack:
            node = self.producer.get(stack.pop())
            if node is not None and node.output[0] not in found:
                found.add(node.output[0])
                stack.extend(node.input)
        return found

    def cuts(self):
        """Per cut: tensors that cross it, and whether a later segment reads the image."""
        readers = {}
        for key, segment in self.segment_of.items():
            node = self.nodes[key]
            for tensor in node.input if node.op_type not in ("Shape", "Size") else ():
                if tensor in self.carries:
                    readers[tensor] = max(readers.get(tensor, 0), segment)
        cuts = []
        for cut in range(len(self.order) - 1):
            crossing = [
                t for t, last in readers.items()
                if last > cut and t != self.image_name and self.segment_of[self.producer[t].output[0]] <= cut
            ]
            cuts.append((sorted(crossing), readers.get(self.image_name, 0) > cut))
        return cuts

    def macs(self, through):
        """Multiply-adds of segments `0..=through` at batch one."""
        return sum(self.node_macs(self.nodes[key]) for key, s in self.segment_of.items() if s <= through)

    def shape(self, tensor):
        return self.constants[tensor].shape if tensor in self.constants else self.shapes[tensor]

    def node_macs(self, node):
        outputs = int(np.prod(self.shapes[node.output[0]])) if node.op_type in ("Conv", "Gemm", "MatMul") else 0
        if node.op_type == "Conv":
            return outputs * int(np.prod(self.shape(node.input[1])[1:]))
        if node.op_type == "Gemm":
            transposed = any(a.name == "transA" and a.i for a in node.attribute)
            return outputs * self.shape(node.input[0])[0 if transposed else 1]
        return outputs * self.shape(node.input[0])[-1] if node.op_type == "MatMul" else 0

    def params(self, through):
        """Elements of the distinct float constants of rank one and more that segments `0..=through` read."""
        roots = set()
        for key, segment in self.segment_of.items():
            if segment <= through:
                node = self.nodes[key]
                # Scales and regions say where to sample; nothing is multiplied by them.
                inputs = node.input[:1] if node.op_type == "Resize" else node.input
                roots.update(self.root(tensor) for tensor in inputs)
        arrays = [self.constants[name] for name in roots if name in self.constants]
        return sum(a.size for a in arrays if a.dtype == np.float32 and a.ndim > 0)

    def root(self, tensor):
        node = self.producer.get(tensor)
        while node is not None and node.op_type == "Identity":
            tensor = node.input[0]
            node = self.producer.get(tensor)
        return tensor

    def bytes_per_image(self, tensors):
        return sum(4 * int(np.prod(self.shapes[tensor])) for tensor in tensors)
