"""ONNX Runtime in Python: the whole model, and loops over the segments."""

import numpy as np
import onnxruntime

from .bundle import confidence

# No confidence reaches it: the final exit is forced.
NEVER = 2.0


def session(model, threads, level=onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL):
    """A CPU session for a path or for ONNX bytes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level, options.log_severity_level = level, 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def buffer(shape, dtype="float32"):
    """Room for a tensor of one image, and the array that shares its memory."""
    array = np.zeros([extent or 1 for extent in shape], dtype)
    return onnxruntime.OrtValue.ortvalue_from_numpy(array, "cpu"), array


class Bound:
    """A session whose inputs and outputs stay where they are."""

    def __init__(self, runner, inputs, outputs):
        self.runner, self.binding = runner, runner.io_binding()
        for name, value in inputs.items():
            self.binding.bind_ortvalue_input(name, value)
        for name, value in outputs.items():
            self.binding.bind_ortvalue_output(name, value)

    def run(self):
        self.runner.run_with_iobinding(self.binding)


class Whole:
    """The whole multi-exit model in one session, inputs and outputs bound: it cannot stop early."""

    title = "ONNX Runtime, whole model, bound"

    def __init__(self, bundle, model, threads):
        assert bundle.names == bundle.logits, f"outputs of the model are not its logits: {bundle.names}"
        runner = session(model, threads)
        declared = [output.name for output in runner.get_outputs()]
        image, self.image = buffer(bundle.input["shape"], bundle.input["dtype"])
        values = {name: buffer([1, bundle.classes]) for name in declared}
        self.values = [values[name][1] for name in bundle.names]
        self.bound = Bound(runner, {bundle.input["name"]: image}, {name: value for name, (value, _) in values.items()})

    def infer(self, image, threshold):
        np.copyto(self.image, image)
        self.bound.run()
        return len(self.values) - 1, int(self.values[-1].argmax())

    def decide(self, image, threshold):
        """Where early exit would have stopped, the margin by which it is decided, and the label."""
        self.infer(image, threshold)
        rows = [confidence(values[0]) for values in self.values]
        stop = next((i for i, (sure, _) in enumerate(rows) if sure >= threshold), len(rows) - 1)
        margin = min((abs(sure - threshold) for sure, _ in rows[: stop + 1]), default=1.0)
        return stop, rows[stop][1], margin


class BoundLoop:
    """A Python loop over the segments, every tensor bound to memory that is made once."""

    title = "Python loop over segments, bound"

    def __init__(self, bundle, model, threads):
        image, self.image = buffer(bundle.input["shape"], bundle.input["dtype"])
        values = {bundle.input["name"]: (image, self.image)}
        self.steps = []
        for index, segment in enumerate(bundle.segments):
            runner = session(bundle.path(index), threads)
            values |= {spec["name"]: buffer(spec["shape"], spec["dtype"]) for spec in segment["outputs"]}
            inputs, outputs = (
                {spec["name"]: values[spec["name"]][0] for spec in segment[side]} for side in ("inputs", "outputs")
            )
            self.steps.append((Bound(runner, inputs, outputs), values[bundle.logits[index]][1][0]))

    def infer(self, image, threshold):
        np.copyto(self.image, image)
        last = len(self.steps) - 1
        for index, (bound, logits) in enumerate(self.steps):
            bound.run()
            sure, label = confidence(logits)
            if sure >= threshold or index == last:
                return index, label


class PlainLoop:
    """A Python loop over the segments as one writes it first: `session.run` with dictionaries."""

    title = "Python loop over segments, `session.run`"

    def __init__(self, bundle, model, threads):
        self.input, self.steps = bundle.input["name"], []
        for index, segment in enumerate(bundle.segments):
            inputs, outputs = ([spec["name"] for spec in segment[side]] for side in ("inputs", "outputs"))
            self.steps.append((session(bundle.path(index), threads), inputs, outputs, bundle.logits[index]))

    def infer(self, image, threshold):
        values, last = {self.input: image}, len(self.steps) - 1
        for index, (runner, inputs, outputs, logits) in enumerate(self.steps):
            results = runner.run(outputs, {name: values[name] for name in inputs})
            values.update(zip(outputs, results))
            sure, label = confidence(values[logits][0])
            if sure >= threshold or index == last:
                return index, label
