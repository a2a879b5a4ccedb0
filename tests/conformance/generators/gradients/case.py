"""One case: a network as ONNX, the same function in PyTorch, and where it is differentiated."""

import dataclasses

import numpy as np
import torch
from onnx import numpy_helper

from generators.network import Network

from .kinks import Margin

DRAWS = 5000


@dataclasses.dataclass
class Case:
    """`reference` maps the image and the weights by name, all float64, to the logits of every exit."""

    net: Network
    reference: object
    low: float = -1.0
    high: float = 1.0
    # Distance to the nearest kink that the image must keep; None: the image lies on kinks on purpose.
    margin: float | None = 1e-3
    levels: int | None = None
    batch: int = 2

    @property
    def name(self):
        return self.net.name

    def weights(self):
        arrays = {w.name: numpy_helper.to_array(w) for w in self.net.initializers}
        return {k: torch.from_numpy(v.astype(np.float64)) for k, v in arrays.items() if v.dtype == np.float32}

    def evaluate(self, image):
        logits = self.reference(image, **self.weights())
        return logits if isinstance(logits, (list, tuple)) else [logits.flatten(1)]

    def draw(self):
        shape = (self.batch, *self.net.inputs[0][2])
        if self.levels:
            steps = self.net.random.integers(0, self.levels, shape) / (self.levels - 1)
        else:
            steps = self.net.random.random(shape)
        return (self.low + (self.high - self.low) * steps).astype(np.float32)

    def image(self):
        """An image far enough from kinks, or on one where the case asks for that."""
        for _ in range(DRAWS):
            image = self.draw()
            with torch.no_grad(), Margin() as seen:
                self.evaluate(torch.from_numpy(image.astype(np.float64)))
            if seen.margin == 0.0 if self.margin is None else seen.margin >= self.margin:
                return image
        raise AssertionError(f"{self.name}: no image in {DRAWS} keeps {self.margin} from kinks")

    def differentiate(self, image):
        """Logits, cotangents and the gradient in float64; random cotangents for every exit."""
        x = torch.from_numpy(image.astype(np.float64)).requires_grad_()
        logits = self.evaluate(x)
        cotangents = [(2 * self.net.random.random(tuple(row.shape)) - 1).astype(np.float32) for row in logits]
        total = sum((row * torch.from_numpy(c.astype(np.float64))).sum() for row, c in zip(logits, cotangents))
        (gradient,) = torch.autograd.grad(total, x)
        if self.margin is not None:
            self.check_slope(image, cotangents, gradient)
        return [row.detach().numpy() for row in logits], cotangents, gradient.numpy()

    def check_slope(self, image, cotangents, gradient):
        """What autograd says must be the slope that central differences find, along one random direction."""
        along = torch.from_numpy(self.net.random.standard_normal(image.shape))
        along, x, step = along / along.abs().max(), torch.from_numpy(image.astype(np.float64)), 1e-5
        with torch.no_grad():
            ends = [
                sum((row * torch.from_numpy(c)).sum() for row, c in zip(self.evaluate(x + sign * step * along), cotangents))
                for sign in (1, -1)
            ]
        slope, expected = float(ends[0] - ends[1]) / (2 * step), float((gradient * along).sum())
        scale = float((gradient * along).abs().sum())
        assert abs(slope - expected) <= 1e-5 * scale, f"{self.name}: slope {slope}, autograd {expected}"


def operator(
    name, graph, reference, *, opset=17, image=(3, 5, 6), claim=None, weights=None, exact=None, at_kink=False, **options
):
    """A case of one output: `graph(net)` appends nodes that read "image" and returns what is flattened to logits.

    `weights` are drawn by shape, `exact` are arrays; both reach `reference` by name.
    """
    net = Network(name, opset, claim or name.replace("-", " "))
    net.inputs.append(("image", np.float32, list(image)))
    for key, shape in (weights or {}).items():
        net.weight(*shape, name=key)
    for key, values in (exact or {}).items():
        net.constant(values, np.float32, key)
    net.exit(net.node("Flatten", graph(net), "logits", axis=1))
    if at_kink:
        options["margin"] = None
    return Case(net, reference, **options)
