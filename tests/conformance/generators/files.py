"""Bytes of the files of the suite: the same bytes on every machine."""

import io
import json
import zipfile

import numpy as np
from onnx import TensorProto
from onnx.external_data_helper import set_external_data

ALIGNMENT = 64


def model_bytes(model):
    return model.SerializeToString(deterministic=True)


def npz_bytes(arrays):
    """An uncompressed npz. `numpy.savez` would do, but leaves the date and the creating system open."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            member.create_system = 3
            data = io.BytesIO()
            np.lib.format.write_array(data, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
            archive.writestr(member, data.getvalue())
    return buffer.getvalue()


def json_bytes(value):
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def move_weights_out(model, location):
    """Moves every float weight of rank one and more to `location`; returns that file's bytes."""
    data = bytearray()
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and tensor.dims:
            data += bytes(-len(data) % ALIGNMENT)
            raw = tensor.raw_data
            set_external_data(tensor, location, offset=len(data), length=len(raw))
            tensor.ClearField("raw_data")
            data += raw
    return bytes(data)
