#!/usr/bin/env python3
"""Splitting a large model against copying it and hashing input and output, and the peak memory of splitting.

    python3 benches/large.py --offramp target/release/offramp [--mebibytes 500]

Makes a convolutional network of that size with four exits (random weights), then times, in turns: `cp` plus SHA-256 of the
model plus SHA-256 of the segments, and `offramp split --no-proof`. Needs numpy and onnx.
"""
import argparse
import hashlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time


def make(path, mebibytes, seed=0):
    """A chain of 3x3 convolutions of 512 channels, 9 MiB of weights each, with an exit after every quarter."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(seed)
    channels, exits = 512, 4
    layers = max(exits, round(mebibytes * 2**20 / (channels * channels * 9 * 4)))
    nodes, weights, outputs = [], [], []

    def weight(name, *shape):
        weights.append(numpy_helper.from_array(rng.standard_normal(shape, dtype=np.float32) / 70, name))
        return name

    nodes.append(helper.make_node("Conv", ["image", weight("stem", channels, 3, 4, 4)], ["t0"], strides=[4, 4]))
    for layer in range(layers):
        conv = helper.make_node("Conv", [f"t{layer}", weight(f"w{layer}", channels, channels, 3, 3)], [f"c{layer}"], pads=[1, 1, 1, 1])
        nodes += [conv, helper.make_node("Relu", [f"c{layer}"], [f"t{layer + 1}"])]
        if (layer + 1) * exits // layers != layer * exits // layers:
            k = len(outputs)
            nodes.append(helper.make_node("GlobalAveragePool", [f"t{layer + 1}"], [f"p{k}"]))
            nodes.append(helper.make_node("Flatten", [f"p{k}"], [f"f{k}"]))
            nodes.append(helper.make_node("Gemm", [f"f{k}", weight(f"h{k}", channels, 10)], [f"exit{k}"]))
            outputs.append(helper.make_tensor_value_info(f"exit{k}", TensorProto.FLOAT, ["batch", 10]))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 32, 32])
    graph = helper.make_graph(nodes, "large", [image], outputs, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--offramp", required=True)
    arguments.add_argument("--mebibytes", type=int, default=500)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--make", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.make:
        return make(options.make, options.mebibytes)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model, copy, bundle = folder / "large.onnx", folder / "copy.onnx", folder / "bundle"
        # In a process of its own: a child's peak memory starts at what its parent holds.
        build = [sys.executable, __file__, "--offramp", options.offramp, "--mebibytes", str(options.mebibytes), "--make", str(model)]
        subprocess.run(build, check=True)
        size = model.stat().st_size / 2**20
        reference, split, peaks = [], [], []
        for _ in range(options.rounds):
            shutil.rmtree(bundle, ignore_errors=True)
            started = time.perf_counter()
            command = [options.offramp, "split", str(model), "-o", str(bundle), "--no-proof", "--json"]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            split.append(time.perf_counter() - started)
            if status:
                raise SystemExit("offramp split failed")
            peaks.append(usage.ru_maxrss / 1024)
            segments = [bundle / row["file"] for row in json.loads((bundle / "manifest.json").read_text())["segments"]]
            copy.unlink(missing_ok=True)
            started = time.perf_counter()
            subprocess.run(["cp", str(model), str(copy)], check=True)
            for file in [model, *segments]:
                sha256(file)
            reference.append(time.perf_counter() - started)
        ratio = statistics.median(a / b for a, b in zip(split, reference))
        print("| model MiB | split s | copy + hashes s | ratio | peak MiB | peak / size |\n|---|---|---|---|---|---|")
        medians = (statistics.median(values) for values in (split, reference))
        a, b = medians
        peak = statistics.median(peaks)
        print(f"| {size:.0f} | {a:.2f} | {b:.2f} | {ratio:.2f} | {peak:.0f} | {peak / size:.2f} |")


if __name__ == "__main__":
    main()
