"""Models that must be refused, each for one reason that the error names."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from .files import model_bytes, move_weights_out, npz_bytes
from .network import Network


class Refusal:
    """Files of one case by suffix, the reason's keyword, and the step that refuses: `split`, `prepare` or `run`."""

    def __init__(self, name, reason, claim, files, refused_by="split", words=()):
        self.name, self.reason, self.claim, self.files = name, reason, claim, files
        self.refused_by, self.words = refused_by, list(words)


def two_exits(name, opset=17):
    """The smallest network with two exits, to be spoilt."""
    net = Network(name, opset, "")
    x = net.conv_relu(net.input(3, 8), 3, 4, out="features0")
    net.head(x, 4, "exit0")
    net.head(net.conv_relu(x, 4, 4, out="features1"), 4, "exit1")
    return net


def onnx(model):
    return {".onnx": model_bytes(model)}


def single_output():
    net = two_exits("single-output")
    net.exits = net.exits[1:]
    claim = "one output only: nothing to stop at, unless split as a static network"
    return Refusal(net.name, "single-output", claim, onnx(net.model()))


def class_counts():
    net = Network("class-counts", 17, "")
    x = net.conv_relu(net.input(3, 8), 3, 4)
    net.exit(net.gemm(net.pooled(x), 4, 10, out="exit0"))
    net.exit(net.gemm(net.pooled(net.conv_relu(x, 4, 4)), 4, 7, out="exit1"))
    model = net.model()
    model.graph.output[1].type.tensor_type.shape.dim[1].dim_value = 7
    claim = "outputs have 10 and 7 classes"
    return Refusal(net.name, "class-counts", claim, onnx(model), words=["10", "7"])


def rank_four_output():
    net = two_exits("rank-four-output")
    model = net.model()
    extents = ["batch", 4, 8, 8]
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("features0", TensorProto.FLOAT, extents))
    claim = "an output is a feature map of rank 4, not logits"
    return Refusal(net.name, "not-logits", claim, onnx(model), words=["features0"])


def sigmoid_outputs():
    net = Network("sigmoid-outputs", 17, "")
    x = net.conv_relu(net.input(3, 8), 3, 4)
    for index in range(2):
        logits = net.gemm(net.pooled(x), 4, 10)
        net.exit(net.node("Sigmoid", logits, f"exit{index}"))
        x = net.conv_relu(x, 4, 4)
    claim = "outputs end in Sigmoid: independent probabilities have no softmax confidence"
    return Refusal(net.name, "not-logits", claim, onnx(net.model()), words=["exit0", "Sigmoid"])


def no_image():
    net = Network("no-image", 17, "")
    net.inputs = [("features", np.float32, [12])]
    x = net.relu(net.gemm("features", 12, 8))
    net.exit(net.gemm(x, 8, 10, out="exit0"))
    net.exit(net.gemm(net.relu(net.gemm(x, 8, 8)), 8, 10, out="exit1"))
    claim = "the input has rank 2: no image"
    return Refusal(net.name, "not-an-image", claim, onnx(net.model()), words=["features"])


def two_inputs():
    net = two_exits("two-inputs")
    net.inputs.append(("depth", np.float32, [4, 8, 8]))
    net.nodes[0].output[0] = "unjoined"
    net.nodes.insert(1, helper.make_node("Add", ["unjoined", "depth"], [net.nodes[1].input[0]]))
    claim = "two inputs: an image and another one"
    return Refusal(net.name, "several-inputs", claim, onnx(net.model()), words=["image", "depth"])


def sparse_initializer():
    net = two_exits("sparse-initializer")
    model = net.model()
    dense = model.graph.initializer[0]
    flat = numpy_helper.to_array(dense).ravel()
    kept = np.arange(0, flat.size, 3)
    values = numpy_helper.from_array(flat[kept], dense.name)
    sparse = helper.make_sparse_tensor(values, numpy_helper.from_array(kept), list(dense.dims))
    del model.graph.initializer[0]
    model.graph.sparse_initializer.append(sparse)
    claim = "a weight is a sparse initialiser"
    return Refusal(net.name, "sparse-initializer", claim, onnx(model), words=[values.name])


def missing_external_data():
    net = two_exits("missing-external-data")
    model = net.model()
    location = f"{net.name}.onnx.data"
    move_weights_out(model, location)
    claim = "weights are said to be in a file that is not there"
    return Refusal(net.name, "external-data", claim, onnx(model), words=[location])


def short_external_data():
    net = two_exits("short-external-data")
    model = net.model()
    location = f"{net.name}.onnx.data"
    data = move_weights_out(model, location)
    claim = "the file of weights ends before the last weight does"
    files = onnx(model) | {".onnx.data": data[: len(data) // 2]}
    return Refusal(net.name, "external-data", claim, files, words=[location])


def escaping_external_data():
    net = two_exits("escaping-external-data")
    model = net.model()
    location = "../networks/residual.onnx"
    move_weights_out(model, location)
    claim = "external data points out of the model's folder"
    return Refusal(net.name, "external-data", claim, onnx(model), words=[location])


def nan_weights():
    net = two_exits("nan-weights")
    model = net.model()
    tensor = next(t for t in model.graph.initializer if t.name == net.nodes[0].input[1])
    weight = numpy_helper.to_array(tensor).copy()
    weight[0, 0, 0, 0] = np.nan
    tensor.CopyFrom(numpy_helper.from_array(weight, tensor.name))
    claim = "a weight is NaN, so logits are: no policy may see them"
    files = onnx(model) | {".npz": npz_bytes({"image": net.image})}
    return Refusal(net.name, "not-finite", claim, files, refused_by="run")


def infinite_logits():
    net = two_exits("infinite-logits")
    model = net.model()
    tensor = next(t for t in model.graph.initializer if t.name == net.nodes[-1].input[2])
    bias = numpy_helper.to_array(tensor).copy()
    bias[3] = np.inf
    tensor.CopyFrom(numpy_helper.from_array(bias, tensor.name))
    claim = "the final exit's bias is infinite; exit 0 is finite"
    files = onnx(model) | {".npz": npz_bytes({"image": net.image})}
    return Refusal(net.name, "not-finite", claim, files, refused_by="run")


def unknown_operator():
    net = two_exits("unknown-operator")
    model = net.model()
    model.opset_import.append(helper.make_opsetid("acme", 1))
    relu = next(n for n in model.graph.node if n.output[0] == "features1")
    relu.op_type, relu.domain = "Sharpen", "acme"
    claim = "segment 1 holds an operator of domain acme, which no backend has"
    return Refusal(net.name, "operator", claim, onnx(model), refused_by="prepare", words=["acme", "Sharpen"])


def truncated():
    data = model_bytes(two_exits("truncated").model())
    claim = "the file ends in the middle of a weight"
    return Refusal("truncated", "not-onnx", claim, {".onnx": data[: len(data) * 2 // 3]})


def text():
    data = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 132\n"
    claim = "a text file, such as a pointer that a version control system left"
    return Refusal("text", "not-onnx", claim, {".onnx": data})


def empty():
    return Refusal("empty", "not-onnx", "a file of no bytes, which protobuf reads as a message", {".onnx": b""})


def string_tensor():
    net = two_exits("string-tensor")
    model = net.model()
    labels = helper.make_tensor("labels", TensorProto.STRING, [2], [b"cat", b"dog"])
    model.graph.initializer.append(labels)
    position = helper.make_node("Cast", ["labels"], ["numbers"], to=TensorProto.FLOAT)
    total = helper.make_node("ReduceSum", ["numbers"], ["total"], keepdims=0)
    gemm = model.graph.node[-1]
    gemm.output[0] = "unlabelled"
    model.graph.node.extend([position, total, helper.make_node("Add", ["unlabelled", "total"], ["exit1"])])
    claim = "an initialiser holds strings"
    return Refusal(net.name, "string-tensor", claim, onnx(model), words=["labels"])


def cycle():
    net = two_exits("cycle")
    model = net.model()
    first = model.graph.node[0]
    first.input[0] = "features1"
    claim = "a tensor depends on itself"
    return Refusal(net.name, "cycle", claim, onnx(model), words=["Conv_0", "its own result"])


def unknown_tensor():
    net = two_exits("unknown-tensor")
    model = net.model()
    model.graph.node[-1].input[0] = "nowhere"
    claim = "a node reads a tensor that nothing produces"
    return Refusal(net.name, "unknown-tensor", claim, onnx(model), words=["nowhere"])


CASES = [
    single_output, class_counts, rank_four_output, sigmoid_outputs, no_image, two_inputs, sparse_initializer,
    missing_external_data, short_external_data, escaping_external_data, nan_weights, infinite_logits,
    unknown_operator, truncated, text, empty, string_tensor, cycle, unknown_tensor,
]
