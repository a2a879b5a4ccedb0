"""Early-exit networks: a chain of blocks with internal classifiers on the way.

Source: Kaya et al. 2019, "Shallow-Deep Networks: Understanding and Mitigating Network Overthinking".
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

SIZE = 32
POOLED = 4


@dataclass
class Backbone:
    """Blocks in order, what turns the last one's features into logits, and where internal classifiers go."""

    blocks: list[nn.Module]
    classifier: nn.Module
    taps: list[int]
    """Positions of the blocks after which an image may leave, ascending, the last block excluded."""


class EarlyExitNetwork(nn.Module):
    """Maps images [batch, 3, 32, 32] in [0, 1] to the logits [batch, classes] of every exit."""

    def __init__(self, backbone: Backbone, classes: int, mean: list[float], std: list[float]):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("scale", 1 / torch.tensor(std).view(1, 3, 1, 1))
        self.blocks = nn.ModuleList(backbone.blocks)
        self.classifier = backbone.classifier
        shapes = feature_shapes(self.blocks)
        self.internal = nn.ModuleDict(
            {str(tap): InternalClassifier(*shapes[tap], classes) for tap in backbone.taps}
        )

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        logits = []
        features = (image - self.mean) * self.scale
        for position, block in enumerate(self.blocks):
            features = block(features)
            if str(position) in self.internal:
                logits.append(self.internal[str(position)](features))
        return (*logits, self.classifier(features))


class InternalClassifier(nn.Module):
    """Mixes max and average pooling to 4x4 by a learned weight, then applies one linear layer."""

    def __init__(self, channels: int, side: int, classes: int):
        super().__init__()
        self.kernel = max(side // POOLED, 1)
        # Pooling by one is the identity: there is nothing to mix.
        self.mix = nn.Parameter(torch.rand(())) if self.kernel > 1 else None
        self.linear = nn.Linear(channels * (side // self.kernel) ** 2, classes)

    def forward(self, features: Tensor) -> Tensor:
        if self.mix is not None:
            highest = functional.max_pool2d(features, self.kernel)
            mean = functional.avg_pool2d(features, self.kernel)
            features = mean + self.mix * (highest - mean)
        return self.linear(features.flatten(1))


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity, or beside a 1x1 projection where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(
            *convolution(inputs, outputs, 3, stride), nn.ReLU(), *convolution(outputs, outputs, 3, 1)
        )
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else nn.Sequential(*convolution(inputs, outputs, 1, stride))

    def forward(self, features: Tensor) -> Tensor:
        return functional.relu(self.body(features) + self.shortcut(features))


def convolution(inputs: int, outputs: int, kernel: int, stride: int) -> tuple[nn.Module, nn.Module]:
    """A convolution that keeps the side (over the stride), and batch normalisation."""
    weights = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    nn.init.kaiming_normal_(weights.weight, mode="fan_out", nonlinearity="relu")
    return weights, nn.BatchNorm2d(outputs)


def resnet(classes: int) -> Backbone:
    """A stem and nine residual blocks of nearly equal cost; one at 32x32, three at 16x16, three at 8x8, two at 4x4."""
    blocks: list[nn.Module] = [nn.Sequential(*convolution(3, 8, 3, 1), nn.ReLU())]
    channels = 8
    for width, count in [(8, 1), (16, 3), (32, 3), (64, 2)]:
        for _ in range(count):
            blocks.append(Residual(channels, width, 1 if width == channels else 2))
            channels = width
    classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
    return Backbone(blocks, classifier, taps=[1, 3, 4, 6, 7])


def vgg(classes: int) -> Backbone:
    """Seven plain 3x3 convolutions: one at 32x32, then two each at 16x16, 8x8 and 4x4, max pooling in front of each pair.

    Source: Simonyan and Zisserman 2014, "Very Deep Convolutional Networks for Large-Scale Image Recognition"; the batch
    normalisation is later than the paper.
    """
    blocks: list[nn.Module] = []
    channels = 3
    for width, count in [(16, 1), (32, 2), (64, 2), (128, 2)]:
        for position in range(count):
            pool = [nn.MaxPool2d(2)] if blocks and position == 0 else []
            blocks.append(nn.Sequential(*pool, *convolution(channels, width, 3, 1), nn.ReLU()))
            channels = width
    classifier = nn.Sequential(
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(channels * 4, 128), nn.ReLU(), nn.Linear(128, classes)
    )
    return Backbone(blocks, classifier, taps=[1, 2, 3, 4, 5])


ARCHITECTURES = {"resnet": resnet, "vgg": vgg}


def feature_shapes(blocks: nn.ModuleList) -> list[tuple[int, int]]:
    """Channels and side of every block's features."""
    shapes = []
    with torch.no_grad():
        features = torch.zeros(2, 3, SIZE, SIZE)
        for block in blocks:
            features = block.eval()(features)
            shapes.append((features.shape[1], features.shape[2]))
    return shapes


def relative_costs(network: EarlyExitNetwork) -> list[float]:
    """Multiply-adds up to each exit over those up to the last, heads passed on the way included."""
    total, exits = 0, []
    heads = {id(head) for head in [*network.internal.values(), network.classifier]}

    def count(module: nn.Module, _: object, output: Tensor):
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += module.weight[0].numel() * output[0].numel()
        if isinstance(module, nn.Linear):
            total += module.weight.numel()
        if id(module) in heads:
            exits.append(total)

    hooks = [module.register_forward_hook(count) for module in network.modules()]
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, SIZE, SIZE))
    for hook in hooks:
        hook.remove()
    return [cost / total for cost in exits]
