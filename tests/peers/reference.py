"""What every tail of a bundle must answer, from its segments on ONNX Runtime: an archive per tail, `<name>.npz`, with the
names `inputs` and `outputs` and the arrays `input0`, .. and `logits0`, .. of 32 seeded images, or of the batch that the
network insists on; and `tails.json`, what an export lists of them.

    python reference.py BUNDLE EXPORT OUT
"""

import hashlib
import json
import os
import pathlib
import sys

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy
import onnxruntime

IMAGES = 32


def run(path, tensors):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    given = {tensor.name: tensors[tensor.name] for tensor in session.get_inputs()}
    return dict(zip([tensor.name for tensor in session.get_outputs()], session.run(None, given)))


def draw(taken, generator):
    channels = taken["shape"][1] if taken["layout"] == "NCHW" else taken["shape"][3]
    samples = generator.integers(0, 256, [taken["shape"][0] or IMAGES, *taken["shape"][1:]], dtype=numpy.uint8)
    if taken["dtype"] == "uint8":
        return samples
    low, high = taken["range"]
    values = low + samples.astype(numpy.float32) / 255 * (high - low)
    if taken["mean"] is None:
        return values.astype(numpy.float32)
    stretch = [1, channels, 1, 1] if taken["layout"] == "NCHW" else [1, 1, 1, channels]
    mean, std = (numpy.array(taken[key], numpy.float32).reshape(stretch) for key in ("mean", "std"))
    return ((values - mean) / std).astype(numpy.float32)


def check_name(tail, bundle):
    parts = {"cut": tail["cut"], "identity": bundle["identity"], "tail": tail["sha256"], "wire": tail["wire"]}
    digest = hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()[:12]
    expected = f"{bundle['name']}.{digest}.tail{tail['cut']}.{tail['wire']}"
    assert tail["name"] == expected, f"{tail['name']}, expected {expected}"


def write(bundle, export, out):
    bundle, export, out = map(pathlib.Path, (bundle, export, out))
    manifest = json.loads((bundle / "manifest.json").read_text())
    listed = json.loads((export / "export.json").read_text())
    tensors = {manifest["input"]["name"]: draw(manifest["input"], numpy.random.default_rng(0))}
    for segment in manifest["segments"]:
        tensors |= run(bundle / segment["file"], tensors)
    for tail in listed["tails"]:
        check_name(tail, listed["bundle"])
        inputs = [tensor["name"] for tensor in tail["inputs"]]
        outputs = [tensor["name"] for tensor in tail["outputs"]]
        if tail["wire"] == "f32":
            given, answers = [tensors[name] for name in inputs], tensors
        else:
            given = list(run(bundle / f"wire/{tail['cut']}.u8.onnx", tensors).values())
            answers = run(bundle / f"tails/{tail['cut']}.u8.onnx", dict(zip(inputs, given)))
        for name in outputs:
            # Else an answer about other images would pass for the right one.
            rows = answers[name]
            assert len(rows) == 1 or numpy.ptp(rows, axis=0).max() > 1e-3 * max(1, numpy.abs(rows).max()), f"{tail['name']}: {name}"
        arrays = {f"input{at}": array for at, array in enumerate(given)}
        arrays |= {f"logits{at}": answers[name] for at, name in enumerate(outputs)}
        numpy.savez(out / f"{tail['name']}.npz", inputs=inputs, outputs=outputs, **arrays)
    (out / "tails.json").write_text(json.dumps(listed["tails"]))


if __name__ == "__main__":
    write(*sys.argv[1:])
