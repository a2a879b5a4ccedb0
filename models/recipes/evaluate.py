"""Prints what a multi-exit ONNX network does on a test split: each exit alone, and all with early exit.

    python models/recipes/evaluate.py shapes-sdn.onnx shapes-calibration.npz shapes-test.npz

The threshold is the lowest that costs at most `--drop` of accuracy on the calibration split; the test split only judges
it, and may find it to cost more. An exit is taken when its largest softmax probability reaches the threshold.
"""

import argparse
import hashlib
from math import prod
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

BATCH = 100


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("calibration", type=Path, help="npz with `x` and `y`")
    parser.add_argument("test", type=Path, help="npz with `x` and `y`")
    parser.add_argument("--drop", type=float, default=0.01, help="accuracy that early exit may cost, in [0, 1]")
    arguments = parser.parse_args()

    costs = relative_costs(onnx.load(arguments.model))
    session = onnxruntime.InferenceSession(arguments.model, providers=["CPUExecutionProvider"])
    threshold = calibrate(*outcomes(session, arguments.calibration), arguments.drop)
    correct, confidence = outcomes(session, arguments.test)
    exits = exits_taken(confidence, threshold)
    taken = np.bincount(exits, minlength=len(costs)) / len(exits)

    print(f"sha256 {hashlib.sha256(arguments.model.read_bytes()).hexdigest()}, {arguments.model.stat().st_size} bytes")
    print(f"{len(exits)} test images, threshold {threshold:.3f} chosen on {arguments.calibration.name}")
    print("| exit | MACs fraction | accuracy, always stopping here | share of images taken | accuracy on those |")
    print("|---|---|---|---|---|")
    for index, cost in enumerate(costs):
        own = correct[exits == index, index]
        accuracy = f"{100 * own.mean():.1f} %" if len(own) else "-"
        alone = 100 * correct[:, index].mean()
        print(f"| {index} | {cost:.3f} | {alone:.1f} % | {100 * taken[index]:.1f} % | {accuracy} |")
    early, final = correct[np.arange(len(exits)), exits].mean(), correct[:, -1].mean()
    print(f"accuracy {100 * early:.2f} % with early exit, {100 * final:.2f} % at the final exit")
    print(f"mean MACs fraction {np.asarray(costs)[exits].mean():.3f}")


def outcomes(session: onnxruntime.InferenceSession, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Whether each exit is right about each image, and its largest softmax probability: [images, exits] both."""
    with np.load(path) as arrays:
        images, labels = arrays["x"], arrays["y"]
    batches = [
        np.stack(session.run(None, {"image": images[start : start + BATCH].astype(np.float32) / 255}), axis=1)
        for start in range(0, len(images), BATCH)
    ]
    logits = np.concatenate(batches).astype(np.float64)
    exponentials = np.exp(logits - logits.max(2, keepdims=True))
    return logits.argmax(2) == labels[:, None], exponentials.max(2) / exponentials.sum(2)


def exits_taken(confidence: np.ndarray, threshold: float) -> np.ndarray:
    """The first exit of each image whose confidence reaches the threshold; the final one where none does."""
    confident = confidence >= threshold
    confident[:, -1] = True
    return confident.argmax(1)


def calibrate(correct: np.ndarray, confidence: np.ndarray, drop: float) -> float:
    """The lowest threshold on a grid of thousandths that costs at most `drop` of the final exit's accuracy."""
    floor = correct[:, -1].mean() - drop
    for threshold in np.arange(1000) / 1000:
        exits = exits_taken(confidence, threshold)
        if correct[np.arange(len(exits)), exits].mean() >= floor:
            return float(threshold)
    return 1.0


def relative_costs(model: onnx.ModelProto) -> list[float]:
    """Multiply-adds of convolutions and linear layers up to each exit, over those up to the last."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    weights = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    shapes = {
        value.name: [extent.dim_value for extent in value.type.tensor_type.shape.dim]
        for value in [*graph.value_info, *graph.output]
    }
    total, costs = 0, {}
    for node in graph.node:
        if node.op_type == "Conv":
            total += prod(weights[node.input[1]][1:]) * prod(shapes[node.output[0]][1:])
        if node.op_type == "Gemm":
            total += prod(weights[node.input[1]])
        costs.update((output.name, total) for output in graph.output if output.name in node.output)
    return [costs[output.name] / total for output in graph.output]


if __name__ == "__main__":
    main()
