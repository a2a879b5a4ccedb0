"""A tail of an early-exit network on Triton's Python backend: ONNX Runtime on the CPU, one run per batch of requests."""

import json
import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy
import onnxruntime
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        graph = os.path.join(args["model_repository"], args["model_version"], "model.onnx")
        self.session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        self.inputs = [tensor.name for tensor in self.session.get_inputs()]
        self.outputs = [tensor.name for tensor in self.session.get_outputs()]
        self.batched = json.loads(args["model_config"])["max_batch_size"] > 0

    def execute(self, requests):
        asked = [
            [pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in self.inputs]
            for request in requests
        ]
        if not self.batched:
            return [self.answer(self.run(tensors)) for tensors in asked]
        results = self.run([numpy.concatenate(tensors) for tensors in zip(*asked)])
        ends = numpy.cumsum([tensors[0].shape[0] for tensors in asked])[:-1]
        return [self.answer(parts) for parts in zip(*(numpy.split(result, ends) for result in results))]

    def run(self, tensors):
        return self.session.run(self.outputs, dict(zip(self.inputs, tensors)))

    def answer(self, results):
        tensors = [pb_utils.Tensor(name, result) for name, result in zip(self.outputs, results)]
        return pb_utils.InferenceResponse(tensors)
