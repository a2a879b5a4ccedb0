"""A tail of an early-exit network as an MLServer runtime: ONNX Runtime on the CPU."""

import asyncio
import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from mlserver.utils import get_model_uri


class Tail(MLModel):
    async def load(self) -> bool:
        graph = await get_model_uri(self._settings)
        self.session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        self.logits = [tensor.name for tensor in self.session.get_outputs()]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        asked = {tensor.name: NumpyCodec.decode_input(tensor) for tensor in payload.inputs}
        results = await asyncio.to_thread(self.session.run, self.logits, asked)
        outputs = [NumpyCodec.encode_output(name, result) for name, result in zip(self.logits, results)]
        return InferenceResponse(id=payload.id, model_name=self.name, outputs=outputs)
