"""How far an input lies from where a function has no derivative."""

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode


def largest_two(windows, dim):
    """By how much the largest leads, along `dim`; infinite where there is one alone.

    Zeros tie everywhere behind a Relu, harmlessly: whichever is taken, the Relu stops its gradient.
    """
    if windows.shape[dim] < 2:
        return torch.full((1,), torch.inf)
    first, second = windows.topk(2, dim).values.unbind(dim)
    return (first - second)[first.isfinite() & ((first != 0) | (second != 0))]


def pooled(x, kernel, stride=None, padding=0, dilation=1, ceil_mode=False, **_):
    """Leads within the windows of a maximum pooling, those beyond the edge included."""
    pair = [(v, v) if isinstance(v, int) else tuple(v) for v in (kernel, stride or kernel, padding, dilation)]
    (_, _), (down, right), (rows, columns), _ = pair
    beyond = (right - 1, down - 1) if ceil_mode else (0, 0)
    x = F.pad(x, (columns, columns + beyond[0], rows, rows + beyond[1]), value=-torch.inf)
    windows = F.unfold(x, pair[0], dilation=pair[3], stride=pair[1])
    return largest_two(windows.unflatten(1, (x.shape[1], -1)), 2)


def clamped(x, min=None, max=None, **_):
    return torch.cat([(x - bound).flatten() for bound in (min, max) if bound is not None])


def saturated(x, **_):
    return torch.cat([x + 3, x - 3])


def zero(x, *_, **__):
    return x


def apart(x, other, **_):
    return x - other


DISTANCES = {
    "relu": zero, "leaky_relu": zero, "prelu": zero, "elu": zero, "abs": zero, "clamp": clamped, "hardsigmoid": saturated,
    "hardswish": saturated, "gt": apart, "maximum": apart, "minimum": apart, "max_pool2d": pooled,
    "max_pool1d": lambda x, kernel, **_: largest_two(x.unfold(-1, kernel, kernel), -1),
    "adaptive_max_pool2d": lambda x, *_, **__: largest_two(x.flatten(2), 2),
    "amax": lambda x, dim, *_, **__: largest_two(x.movedim(dim, -1), -1),
}


class Margin(TorchFunctionMode):
    """While active, keeps the smallest distance to a kink of whatever is called."""

    def __init__(self):
        super().__init__()
        self.margin = float("inf")

    def __torch_function__(self, function, types, args=(), kwargs=None):
        distance = DISTANCES.get(function.__name__)
        if distance:
            found = distance(*args, **(kwargs or {})).abs()
            self.margin = min([self.margin, *found.flatten().tolist()])
        return function(*args, **(kwargs or {}))
