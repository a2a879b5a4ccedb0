"""Times logits of every exit and the gradient with respect to the image: gradient graphs in ONNX Runtime against PyTorch eager.

    offramp split MODEL.onnx -o BUNDLE --gradients
    python gradients.py BUNDLE --input DATA.npz

One process, one thread, blocks of runs in turn; medians and ratios as Markdown. The cotangents are random, the same for both.
"""

import argparse
import os
import statistics
import time

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import onnxruntime
import torch

from peers import bundle, eager

BLOCK = 5


def session(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


class Graphs:
    """The bundle's gradient graphs, wired once: residuals are the forward graph's outputs."""

    def __init__(self, split, images, cotangents, threads):
        folder = split.folder / "gradient"
        self.forward, self.backward = (session(folder / f"{name}.onnx", threads) for name in ("forward", "backward"))
        self.first = self.forward.io_binding()
        self.first.bind_ortvalue_input(split.input["name"], onnxruntime.OrtValue.ortvalue_from_numpy(images))
        for output in self.forward.get_outputs():
            self.first.bind_output(output.name, "cpu")
        self.forward.run_with_iobinding(self.first)
        values = dict(zip((output.name for output in self.forward.get_outputs()), self.first.get_outputs()))
        # What was allocated by the first run is bound, so that later runs allocate nothing.
        for name, value in values.items():
            self.first.bind_ortvalue_output(name, value)
        given = {f"cotangent.{name}": onnxruntime.OrtValue.ortvalue_from_numpy(c) for name, c in zip(split.logits, cotangents)}
        self.second = self.backward.io_binding()
        for tensor in self.backward.get_inputs():
            self.second.bind_ortvalue_input(tensor.name, given.get(tensor.name) or values[tensor.name])
        self.result = onnxruntime.OrtValue.ortvalue_from_numpy(np.empty_like(images))
        self.second.bind_ortvalue_output(self.backward.get_outputs()[0].name, self.result)

    def ahead(self):
        self.forward.run_with_iobinding(self.first)

    def both(self):
        self.forward.run_with_iobinding(self.first)
        self.backward.run_with_iobinding(self.second)

    def gradient(self):
        self.both()
        return self.result.numpy()


class Plain:
    """The forward pass alone, no residuals kept: what the segments compute."""

    def __init__(self, model, split, images, threads):
        self.session = session(model, threads)
        self.binding = self.session.io_binding()
        self.binding.bind_ortvalue_input(split.input["name"], onnxruntime.OrtValue.ortvalue_from_numpy(images))
        for name in split.logits:
            self.binding.bind_ortvalue_output(
                name, onnxruntime.OrtValue.ortvalue_from_numpy(np.empty((len(images), split.classes), np.float32))
            )

    def run(self):
        self.session.run_with_iobinding(self.binding)


class Torch:
    def __init__(self, split, images, cotangents):
        self.network = eager.Whole(split).eval()
        self.images = torch.from_numpy(images).requires_grad_(True)
        self.cotangents = [torch.from_numpy(c) for c in cotangents]

    def ahead(self):
        with torch.inference_mode():
            self.network(self.images)

    def gradient(self):
        return torch.autograd.grad(self.network(self.images), self.images, self.cotangents)[0].numpy()


def interleave(runs, rounds):
    times = {name: [] for name in runs}
    names = list(runs)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            runs[name]()
            for _ in range(BLOCK):
                begin = time.perf_counter()
                runs[name]()
                times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(taken) for name, taken in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", help="a bundle split with --gradients")
    parser.add_argument("--model", required=True, help="the model that the bundle was split from")
    parser.add_argument("--input", required=True, help="npz with x")
    parser.add_argument("--batch", type=int, action="append", help="may be given several times; 1 and 64 by default")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    split = bundle.Bundle(arguments.bundle)
    print("| batch | forward, ms | with residuals / forward | forward and gradient / forward | PyTorch / ours | PyTorch forward / forward | largest difference |")
    print("|---|---|---|---|---|---|---|")
    for batch in arguments.batch or [1, 64]:
        images = np.concatenate(split.images(arguments.input, batch))
        generator = np.random.default_rng(0)
        cotangents = [generator.standard_normal((len(images), split.classes)).astype(np.float32) for _ in split.logits]
        graphs, torched = Graphs(split, images, cotangents, arguments.threads), Torch(split, images, cotangents)
        plain = Plain(arguments.model, split, images, arguments.threads)
        expected, found = torched.gradient(), graphs.gradient()
        difference = abs(found - expected).max() / abs(expected).max()
        runs = {"plain": plain.run, "ahead": graphs.ahead, "both": graphs.both, "torch": torched.gradient, "torch ahead": torched.ahead}
        median = interleave(runs, arguments.rounds)
        base = median["plain"]
        print(
            f"| {batch} | {1e3 * base:.2f} | {median['ahead'] / base:.2f} | {median['both'] / base:.2f} "
            f"| {median['torch'] / median['both']:.2f} | {median['torch ahead'] / base:.2f} | {difference:.1e} |"
        )


if __name__ == "__main__":
    main()
