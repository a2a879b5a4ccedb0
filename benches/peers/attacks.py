"""Holds `offramp attack` against attacks written in PyTorch on the same network and images. Prints Markdown.

    python attacks.py BUNDLE --input DATA.npz --offramp target/release/offramp

FGSM, PGD and MI-FGSM at the final exit, linf; accuracy of every exit before and after, in percent, and the largest difference
between the two. Status 3 when FGSM differs by more than one image in 200, or an iterated attack by more than 1 %.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import torch
from torch.nn import functional as F

from peers import bundle, eager

METHODS = {"fgsm": 1 / 200, "pgd": 0.01, "mi-fgsm": 0.01}


def perturbed(network, images, labels, method, epsilon, step, iterations):
    """Linf ascent of the final exit's cross-entropy from the images."""
    adversarial, velocity = images.clone(), torch.zeros_like(images)
    if method == "fgsm":
        step, iterations = epsilon, 1
    for _ in range(iterations):
        adversarial.requires_grad_(True)
        # In float32 `p - 1` of a confident exit is rounding, and so is the sign of its gradient: PyTorch's own float32 and
        # float64 losses disagree there. The network stays in float32.
        loss = F.cross_entropy(network(adversarial)[-1].double(), labels, reduction="sum")
        gradient = torch.autograd.grad(loss, adversarial)[0]
        if method == "mi-fgsm":
            velocity = velocity + gradient / gradient.abs().sum((1, 2, 3), keepdim=True)
            gradient = velocity
        moved = adversarial.detach() + step * gradient.sign()
        adversarial = (images + (moved - images).clamp(-epsilon, epsilon)).clamp(0, 1)
    return adversarial


def accuracies(network, images, labels, batch):
    with torch.no_grad():
        right = [
            torch.stack([logits.argmax(1) == part for logits in network(pictures)])
            for pictures, part in zip(images.split(batch), labels.split(batch))
        ]
    return torch.cat(right, 1).double().mean(1).tolist()


def crafted(arguments, method, folder):
    command = [
        arguments.offramp, "attack", arguments.bundle, "--method", method, "--epsilon", str(arguments.epsilon),
        "--input", arguments.input, "-o", os.path.join(folder, "set.npz"), "--backend", arguments.backend,
        "--threads", str(arguments.threads), "--limit", str(arguments.limit), "--batch", str(arguments.batch), "--json",
    ]
    if method != "fgsm":
        command += ["--step", str(arguments.step), "--iterations", str(arguments.iterations)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--input", required=True, help="npz with x uint8 and y")
    parser.add_argument("--offramp", required=True, help="path of the program")
    parser.add_argument("--backend", default="ort")
    parser.add_argument("--epsilon", type=float, default=8 / 255)
    parser.add_argument("--step", type=float, default=2 / 255)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--limit", type=int, default=1 << 30, help="images")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    network = eager.Whole(bundle.Bundle(arguments.bundle)).eval()
    with np.load(arguments.input) as arrays:
        images = torch.from_numpy(arrays["x"][: arguments.limit]).float() / 255
        labels = torch.from_numpy(arrays["y"][: arguments.limit]).long()
    arguments.limit = len(images)
    benign, failed = accuracies(network, images, labels, arguments.batch), False
    print(f"{len(images)} images, epsilon {arguments.epsilon * 255:g}/255, {arguments.backend}\n")
    print("| method | program | " + " | ".join(f"exit {k}" for k in range(len(benign))) + " | largest difference |")
    print("|---" * (len(benign) + 3) + "|")
    row = lambda *cells: print("| " + " | ".join(cells) + " |")
    percent = lambda values: [f"{100 * value:.2f}" for value in values]
    row("none", "PyTorch", *percent(benign), "")
    for method, allowed in METHODS.items():
        with tempfile.TemporaryDirectory() as folder:
            exits = crafted(arguments, method, folder)["summary"]["exits"]
        parts = zip(images.split(arguments.batch), labels.split(arguments.batch))
        settings = (method, arguments.epsilon, arguments.step, arguments.iterations)
        after = accuracies(network, torch.cat([perturbed(network, *part, *settings) for part in parts]), labels, arguments.batch)
        before, found, stored = zip(*(exit["accuracy"] for exit in exits))
        difference = max(abs(a - b) for a, b in zip(found, after))
        unlike = max(abs(a - b) for a, b in zip(before, benign)) > 0
        failed |= difference > allowed or unlike
        row(method, "PyTorch", *percent(after), "")
        row(method, "offramp", *percent(found), f"{100 * difference:.2f} (allowed {100 * allowed:.2f})")
        row(method, "offramp, 8 bits", *percent(stored), "")
        sys.stdout.flush()
    sys.exit(3 if failed else 0)


if __name__ == "__main__":
    main()
