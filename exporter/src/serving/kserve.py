"""Serves the tails in this folder with the KServe SDK: ONNX Runtime on the CPU, one model per tail.

    python serve.py --grpc_port 8081 --http_port 8080
"""

import json
import os
import pathlib

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy
import onnxruntime
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from kserve.utils.numpy_codec import from_np_dtype

FOLDER = pathlib.Path(__file__).resolve().parent


class Tail(Model):
    def __init__(self, listed):
        super().__init__(listed["name"])
        self.listed = listed

    def load(self) -> bool:
        graph = str(FOLDER / self.name / "model.onnx")
        self.session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        self.logits = [tensor.name for tensor in self.session.get_outputs()]
        self.ready = True
        return self.ready

    async def get_input_types(self):
        return [described(tensor) for tensor in self.listed["inputs"]]

    async def get_output_types(self):
        return [described(tensor) for tensor in self.listed["outputs"]]

    def predict(self, payload: InferRequest, headers=None, response_headers=None) -> InferResponse:
        asked = {tensor.name: tensor.as_numpy() for tensor in payload.inputs}
        outputs = []
        for name, result in zip(self.logits, self.session.run(self.logits, asked)):
            output = InferOutput(name=name, shape=list(result.shape), datatype=from_np_dtype(result.dtype))
            output.set_data_from_numpy(result, binary_data=True)
            outputs.append(output)
        return InferResponse(response_id=payload.id, model_name=self.name, infer_outputs=outputs)


def described(tensor):
    shape = [-1 if extent is None else extent for extent in tensor["shape"]]
    datatype = from_np_dtype(numpy.dtype(tensor["dtype"]))
    return {"name": tensor["name"], "datatype": datatype, "shape": shape}


if __name__ == "__main__":
    tails = [Tail(listed) for listed in json.loads((FOLDER / "export.json").read_text())["tails"]]
    for tail in tails:
        tail.load()
    ModelServer().start(tails)
