#!/usr/bin/env python3
"""A network for 224x224 pictures, random weights and five exits, where features after the first segments are fewer bytes than the picture.

    python3 benches/pictures224.py OUT_DIR [--images 64] [--seed 0]

Writes OUT_DIR/pictures224.onnx, about 0.4 GMACs, and OUT_DIR/pictures224.npz, random pictures without labels. Needs numpy and onnx.
It answers nothing sensible: it is for measuring where the later part of a network is best run (`offramp bench --offload`).
"""
import argparse
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CLASSES = 10
# Channels, and 3x3 convolutions, of each stage; every stage halves both sides, and an exit follows each but the first.
STAGES = [(16, 1), (32, 3), (64, 4), (128, 4), (256, 4), (256, 3)]


def network(seed):
    rng = np.random.default_rng(seed)
    nodes, weights, outputs = [], [], []

    def weight(name, *shape):
        scale = (2 / np.prod(shape[1:])) ** 0.5
        weights.append(numpy_helper.from_array((rng.standard_normal(shape) * scale).astype(np.float32), name))
        return name

    value, channels = "image", 3
    for stage, (width, convolutions) in enumerate(STAGES):
        for at in range(convolutions):
            name = f"s{stage}c{at}"
            # The last two stages are of one size.
            stride = 2 if at == 0 and stage < len(STAGES) - 1 else 1
            nodes.append(helper.make_node("Conv", [value, weight(f"{name}w", width, channels, 3, 3)], [name], pads=[1] * 4, strides=[stride] * 2))
            nodes.append(helper.make_node("Relu", [name], [f"{name}r"]))
            value, channels = f"{name}r", width
        if stage == 0:
            continue
        exit_ = f"exit{stage - 1}"
        nodes.append(helper.make_node("GlobalAveragePool", [value], [f"{exit_}p"]))
        nodes.append(helper.make_node("Flatten", [f"{exit_}p"], [f"{exit_}f"]))
        nodes.append(helper.make_node("Gemm", [f"{exit_}f", weight(f"{exit_}w", CLASSES, channels)], [exit_], transB=1))
        outputs.append(helper.make_tensor_value_info(exit_, TensorProto.FLOAT, ["batch", CLASSES]))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 224, 224])
    graph = helper.make_graph(nodes, "pictures224", [image], outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    onnx.save(network(arguments.seed), arguments.out / "pictures224.onnx")
    pictures = np.random.default_rng(arguments.seed + 1).integers(0, 256, [arguments.images, 3, 224, 224], dtype=np.uint8)
    np.savez(arguments.out / "pictures224.npz", x=pictures)
    print(arguments.out / "pictures224.onnx", arguments.out / "pictures224.npz")


if __name__ == "__main__":
    main()
