"""Trains an early-exit network jointly, exit losses and all, and writes it as plain multi-output ONNX.

    python models/recipes/train.py shapes-train.npz -o shapes-sdn.onnx

The file maps `image` [batch, 3, 32, 32], float32 in [0, 1], to the logits `exit0` ... of every exit, or, with
`--static`, to the `logits` of a network that has none but the last.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from network import ARCHITECTURES, SIZE, EarlyExitNetwork, relative_costs

OPSET = 17
BATCH = 128
PEAK_RATE = 0.2
MOMENTUM = 0.9
WEIGHT_DECAY = 5e-4


def main():
    arguments = parse()
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    torch.use_deterministic_algorithms(True)

    images, labels = load(arguments.data)
    classes = int(labels.max()) + 1
    backbone = ARCHITECTURES[arguments.arch](classes)
    if arguments.static:
        backbone.taps = []
    channels = images.float().div(255).transpose(0, 1).flatten(1)
    network = EarlyExitNetwork(backbone, classes, channels.mean(1).tolist(), channels.std(1).tolist())
    print("relative cost of each exit:", *(f"{cost:.3f}" for cost in relative_costs(network)))

    started = time.monotonic()
    train(network, images, labels, arguments.epochs)
    print(f"trained in {time.monotonic() - started:.0f} s")
    export(network.eval(), arguments.output)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="npz with `x` [n, 3, 32, 32] uint8 and `y` [n]")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the ONNX file to write")
    parser.add_argument("--arch", choices=ARCHITECTURES, default="resnet")
    parser.add_argument("--static", action="store_true", help="leave the internal classifiers out")
    parser.add_argument("--epochs", type=int, default=18)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def load(path: Path) -> tuple[Tensor, Tensor]:
    with np.load(path) as arrays:
        return torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["y"]).long()


def train(network: EarlyExitNetwork, images: Tensor, labels: Tensor, epochs: int):
    """Momentum SGD, the rate rising and falling once, on the weighted sum of the exits' cross-entropies."""
    network = network.to(memory_format=torch.channels_last)
    costs = relative_costs(network)
    batches = len(images) // BATCH
    optimizer = torch.optim.SGD(
        network.parameters(), PEAK_RATE, MOMENTUM, weight_decay=WEIGHT_DECAY, nesterov=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, epochs * batches, pct_start=0.2)
    for epoch in range(epochs):
        network.train()
        weights = exit_weights(costs, epoch / epochs)
        correct = torch.zeros(len(costs))
        order = torch.randperm(len(images))
        for batch in order[: batches * BATCH].view(batches, BATCH):
            target = labels[batch]
            logits = network(augment(images[batch]).contiguous(memory_format=torch.channels_last))
            loss = sum(
                weight * functional.cross_entropy(output, target)
                for weight, output in zip(weights, logits)
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            correct += torch.stack([(output.argmax(1) == target).sum() for output in logits])
        accuracies = correct / (batches * BATCH) * 100
        print(f"epoch {epoch + 1:2}: training accuracy", *(f"{accuracy:.1f}" for accuracy in accuracies), flush=True)


def exit_weights(costs: list[float], progress: float) -> list[float]:
    """Weight of each exit's loss: an internal classifier's rises from 0.01 to its relative cost.

    Source: the Shallow-Deep Networks code, `sdn_training`.
    """
    return [min(cost, 0.01 + progress * cost) for cost in costs[:-1]] + [1.0]


def augment(images: Tensor) -> Tensor:
    """Images in [0, 1], mirrored, shifted by up to two pixels and with their colour channels in another order."""
    images = images.float().div(255)
    mirrored = torch.rand(len(images), 1, 1, 1) < 0.5
    images = torch.where(mirrored, images.flip(3), images)
    channels = torch.rand(len(images), 3).argsort(1)
    images = images.gather(1, channels.view(-1, 3, 1, 1).expand_as(images))
    rows, columns = torch.randint(0, 5, (2,)).tolist()
    padded = functional.pad(images, (2, 2, 2, 2), mode="replicate")
    return padded[:, :, rows : rows + SIZE, columns : columns + SIZE]


def export(network: EarlyExitNetwork, path: Path):
    exits = len(network.internal) + 1
    names = [f"exit{index}" for index in range(exits)] if exits > 1 else ["logits"]
    image = torch.zeros(1, 3, SIZE, SIZE)
    torch.onnx.export(
        network.to(memory_format=torch.contiguous_format),
        (image,),
        str(path),
        input_names=["image"],
        output_names=names,
        dynamic_axes={name: {0: "batch"} for name in ["image", *names]},
        opset_version=OPSET,
        dynamo=False,
    )


if __name__ == "__main__":
    main()
