"""Every `config.pbtxt` of a Triton repository is a `ModelConfig`, named as its folder, for ONNX Runtime, with a bounded queue
where requests are joined.

    python configs.py REPOSITORY
"""

import pathlib
import sys

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

paths = sorted(pathlib.Path(sys.argv[1]).glob("*/config.pbtxt"))
assert paths, f"{sys.argv[1]} holds no model"
for path in paths:
    config = text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())
    assert config.name == path.parent.name, path
    assert config.platform == "onnxruntime_onnx", path
    assert len(config.parameters["segment_sha256"].string_value) == 64, path
    queue = config.dynamic_batching.default_queue_policy
    assert config.max_batch_size == 0 or (queue.max_queue_size > 0 and queue.timeout_action == queue.REJECT), path
    assert all(tensor.name and tensor.dims for tensor in [*config.input, *config.output]), path
