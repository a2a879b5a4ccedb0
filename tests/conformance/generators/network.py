"""A network under construction: nodes, seeded weights, exits and the cuts it claims."""

import zlib

import numpy as np
from onnx import TensorProto, helper, numpy_helper

# The oldest IR version that carries the operator set: what an exporter of its day wrote.
IR_VERSIONS = {9: 4, 10: 5, 11: 6, 13: 7, 14: 7, 15: 8, 17: 8, 18: 8, 20: 9, 21: 10}


class Network:
    """Collects nodes in order. Weights depend on the network's name alone."""

    def __init__(self, name, opset, claim, notes=(), classes=10):
        self.name, self.opset, self.claim, self.notes, self.classes = name, opset, claim, list(notes), classes
        self.random = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
        self.nodes, self.initializers, self.inputs, self.functions = [], [], [], []
        self.exits, self.outputs, self.claimed_cuts = [], None, []
        self.opsets = {"": opset}
        self.ir_version = IR_VERSIONS[opset]
        self.batch = "batch"
        self.layout, self.image = "NCHW", None
        self.external = False
        self.weights_are_inputs = False

    def input(self, channels, size, name="image", dtype=np.float32, layout="NCHW"):
        """Declares the image and draws three of them: float32 in [0, 1] or uint8."""
        self.layout = layout
        extents = [channels, size, size] if layout == "NCHW" else [size, size, channels]
        self.inputs.append((name, dtype, extents))
        pixels = self.random.random((3, *extents))
        if dtype == np.uint8:
            self.image = np.floor(pixels * 256).astype(np.uint8)
        else:
            self.image = pixels.astype(np.float32)
        return name

    def fresh(self, stem):
        return f"{stem}_{len(self.nodes)}"

    def constant(self, values, dtype=np.int64, name=None):
        """An initialiser with these values."""
        name = name or f"number_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(values, dtype=dtype), name))
        return name

    def weight(self, *shape, scale=None, shift=0.0, name=None):
        """An initialiser drawn evenly from `shift` plus or minus `scale`; by default fan-in keeps the variance."""
        if scale is None:
            scale = (3.0 / np.prod(shape[1:] or shape)) ** 0.5
        values = shift + scale * (2 * self.random.random(shape) - 1)
        return self.constant(values, np.float32, name or f"weight_{len(self.initializers)}")

    def node(self, op, inputs, out=None, count=1, domain="", **attributes):
        """Appends a node; returns its output, or the list of them where `count` is not one."""
        inputs = [inputs] if isinstance(inputs, str) else inputs
        outputs = [out or self.fresh(op.lower())] if count == 1 else out or [
            f"{self.fresh(op.lower())}_{i}" for i in range(count)
        ]
        self.nodes.append(helper.make_node(op, inputs, outputs, name=f"{op}_{len(self.nodes)}", domain=domain, **attributes))
        return outputs[0] if count == 1 else outputs

    def constant_node(self, values, dtype=np.int64):
        """A `Constant` node, as tracing exporters write them."""
        return self.node("Constant", [], value=numpy_helper.from_array(np.asarray(values, dtype=dtype)))

    def conv(self, x, before, after, kernel=3, stride=1, groups=1, bias=True, out=None):
        inputs = [x, self.weight(after, before // groups, kernel, kernel, scale=(6.0 * groups / (before * kernel**2)) ** 0.5)]
        if bias:
            inputs.append(self.weight(after, scale=0.2))
        pads = [kernel // 2] * 4
        return self.node(
            "Conv", inputs, out, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pads, group=groups
        )

    def relu(self, x, out=None):
        return self.node("Relu", x, out)

    def conv_relu(self, x, before, after, out=None, **options):
        return self.relu(self.conv(x, before, after, **options), out)

    def gemm(self, x, before, after, out=None):
        """Fully connected, weight stored as PyTorch does: `[after, before]`."""
        inputs = [x, self.weight(after, before, scale=4.0 / before**0.5), self.weight(after, scale=0.5)]
        return self.node("Gemm", inputs, out, transB=1)

    def pooled(self, x):
        """Mean over rows and columns, `[batch, channels]`."""
        return self.node("Flatten", self.node("GlobalAveragePool", x), axis=1)

    def exit(self, tensor, logits=None):
        """Declares an output; `logits` names the tensor before it where the output is not logits itself."""
        self.exits.append((tensor, logits or tensor))
        return tensor

    def head(self, x, channels, name):
        """The plainest internal classifier: global average pooling, one fully connected layer."""
        return self.exit(self.gemm(self.pooled(x), channels, self.classes, out=name))

    def cut(self, *tensors, image=False):
        """Claims what crosses the next cut: these tensors, and the image where a later segment reads it again."""
        self.claimed_cuts.append((sorted(tensors), image))

    def model(self):
        """The finished ONNX model."""
        kind = {np.float32: TensorProto.FLOAT, np.uint8: TensorProto.UINT8}
        inputs = [helper.make_tensor_value_info(n, kind[t], [self.batch, *extents]) for n, t, extents in self.inputs]
        if self.weights_are_inputs:
            inputs += [helper.make_tensor_value_info(i.name, i.data_type, i.dims) for i in self.initializers]
        names = self.outputs or [name for name, _ in self.exits]
        outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [self.batch, self.classes]) for n in names]
        graph = helper.make_graph(self.nodes, self.name, inputs, outputs, self.initializers)
        opsets = [helper.make_opsetid(domain, version) for domain, version in self.opsets.items()]
        return helper.make_model(
            graph, opset_imports=opsets, functions=self.functions, ir_version=self.ir_version,
            producer_name="offramp-conformance",
        )
