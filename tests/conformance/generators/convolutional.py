"""Convolutional families that early-exit networks are built from."""

import numpy as np

from .network import Network


def basic_block(net, x, before, after, stride, out):
    y = net.conv(net.conv_relu(x, before, after, stride=stride), after, after)
    shortcut = x if stride == 1 and before == after else net.conv(x, before, after, kernel=1, stride=stride)
    return net.relu(net.node("Add", [y, shortcut]), out)


def residual():
    net = Network("residual", 17, "residual blocks with projection shortcuts: one tensor crosses each cut")
    x = net.conv_relu(net.input(3, 12), 3, 8)
    x = basic_block(net, x, 8, 8, 1, "block0")
    net.head(x, 8, "exit0")
    net.cut("block0")
    x = basic_block(net, x, 8, 16, 2, "block1")
    net.head(x, 16, "exit1")
    net.cut("block1")
    net.head(basic_block(net, x, 16, 16, 1, "block2"), 16, "exit2")
    return net


def dense():
    net = Network(
        "dense", 13, "dense blocks: as many tensors cross as the block has made, or one where concatenations chain",
        ["Block A concatenates all earlier features anew in every layer, block B extends one concatenation."],
    )

    def concat(tensors, out=None):
        return net.node("Concat", tensors, out, axis=1)

    stem = net.conv_relu(net.input(3, 12), 3, 8, out="stem")
    layer0 = net.conv(net.relu(stem), 8, 4, out="layer0")
    net.head(concat([stem, layer0]), 12, "exit0")
    net.cut("stem", "layer0")
    layer1 = net.conv(net.relu(concat([stem, layer0])), 12, 4, out="layer1")
    net.head(concat([stem, layer0, layer1]), 16, "exit1")
    net.cut("stem", "layer0", "layer1")
    layer2 = net.conv(net.relu(concat([stem, layer0, layer1])), 16, 4)
    x = net.conv(net.relu(concat([stem, layer0, layer1, layer2])), 20, 8, kernel=1)
    x = net.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = concat([x, net.conv(net.relu(x), 8, 4)], "grown")
    net.head(x, 12, "exit2")
    net.cut("grown")
    x = concat([x, net.conv(net.relu(x), 12, 4)])
    net.head(x, 16, "exit3")
    return net


def multi_scale():
    net = Network(
        "multi-scale", 17, "two resolutions in parallel: both cross every cut, the final exit reads both",
        ["The fine features that exit 0 does not need are computed in segment 1, not earlier."],
    )
    fine = net.conv_relu(net.input(3, 12), 3, 6, out="fine0")
    coarse = net.conv_relu(fine, 6, 8, stride=2, out="coarse0")
    coarse = net.node("Concat", [coarse, net.conv_relu(coarse, 8, 4)], "coarse1", axis=1)
    net.head(coarse, 12, "exit0")
    net.cut("fine0", "coarse1")
    fine = net.node("Concat", [fine, net.conv_relu(fine, 6, 4)], "fine1", axis=1)
    parts = [coarse, net.conv_relu(coarse, 12, 4), net.conv_relu(fine, 10, 4, stride=2)]
    coarse = net.node("Concat", parts, "coarse2", axis=1)
    net.head(coarse, 20, "exit1")
    net.cut("fine1", "coarse2")
    fine = net.conv_relu(fine, 10, 8)
    coarse = net.conv_relu(coarse, 20, 8)
    both = net.node("Concat", [net.pooled(fine), net.pooled(coarse)], axis=1)
    net.exit(net.gemm(both, 16, 10, out="exit2"))
    return net


def depthwise():
    net = Network("depthwise", 13, "inverted residuals: depthwise and grouped convolutions, Clip from 0 to 6")
    zero, six = net.constant(0.0, np.float32), net.constant(6.0, np.float32)

    def clip(x, out=None):
        return net.node("Clip", [x, zero, six], out)

    def inverted(x, before, after, stride, out):
        wide = 2 * before
        y = clip(net.conv(x, before, wide, kernel=1))
        y = clip(net.conv(y, wide, wide, stride=stride, groups=wide))
        y = net.conv(y, wide, after, kernel=1, out=None if before == after else out)
        return net.node("Add", [x, y], out) if before == after else y

    x = clip(net.conv(net.input(3, 12), 3, 8, stride=2))
    x = inverted(x, 8, 8, 1, "bottleneck0")
    net.head(x, 8, "exit0")
    net.cut("bottleneck0")
    x = inverted(x, 8, 12, 2, "bottleneck1")
    net.head(x, 12, "exit1")
    net.cut("bottleneck1")
    x = clip(net.conv(x, 12, 16, groups=2))
    net.head(x, 16, "exit2")
    return net


def squeeze_excite():
    net = Network("squeeze-excite", 17, "channel attention: pooling, Sigmoid or HardSigmoid, Mul; HardSwish")

    def excite(x, channels, gate, out):
        y = net.node("GlobalAveragePool", x)
        y = net.relu(net.conv(y, channels, channels // 4, kernel=1))
        y = net.node(gate, net.conv(y, channels // 4, channels, kernel=1))
        return net.node("Mul", [x, y], out)

    x = net.node("HardSwish", net.conv(net.input(3, 12), 3, 8))
    x = excite(x, 8, "Sigmoid", "gated0")
    net.head(x, 8, "exit0")
    net.cut("gated0")
    x = excite(net.node("HardSwish", net.conv(x, 8, 16, stride=2)), 16, "HardSigmoid", "gated1")
    net.head(x, 16, "exit1")
    net.cut("gated1")
    x = net.conv(x, 16, 16)
    x = net.node("Mul", [x, net.node("Sigmoid", x)])
    net.head(x, 16, "exit2")
    return net


def overlapping_pools():
    net = Network(
        "overlapping-pools", 11, "pools whose windows overlap, padding that averages do or do not count, LRN",
    )

    def pool(kind, x, out=None, **options):
        return net.node(kind, x, out, kernel_shape=[3, 3], strides=[2, 2], **options)

    x = net.conv_relu(net.input(3, 16), 3, 8)
    x = net.node("LRN", x, size=5, alpha=0.5, beta=0.75, bias=1.0)
    x = pool("MaxPool", x, "pool0", pads=[1, 1, 1, 1])
    net.head(x, 8, "exit0")
    net.cut("pool0")
    x = pool("AveragePool", net.conv_relu(x, 8, 12), pads=[1, 1, 1, 1])
    y = pool("AveragePool", net.conv_relu("pool0", 8, 12), pads=[1, 1, 1, 1], count_include_pad=1)
    x = net.node("Concat", [x, y], "pool1", axis=1)
    net.head(x, 24, "exit1")
    net.cut("pool1")
    x = pool("MaxPool", net.conv_relu(x, 24, 8), ceil_mode=1)
    net.head(x, 8, "exit2")
    return net


def batch_norm():
    net = Network("batch-norm", 15, "BatchNormalization nodes that no exporter has folded into convolutions")

    def normalised(x, channels, out):
        scale, bias = net.weight(channels, scale=0.5, shift=1.0), net.weight(channels, scale=0.3)
        mean, variance = net.weight(channels, scale=0.3), net.weight(channels, scale=0.4, shift=0.6)
        return net.relu(net.node("BatchNormalization", [x, scale, bias, mean, variance], epsilon=1e-3), out)

    x = normalised(net.conv(net.input(3, 12), 3, 8, bias=False), 8, "features0")
    net.head(x, 8, "exit0")
    net.cut("features0")
    x = normalised(net.conv(x, 8, 12, stride=2, bias=False), 12, "features1")
    net.head(x, 12, "exit1")
    net.cut("features1")
    x = normalised(net.node("Add", [x, net.conv(x, 12, 12, bias=False)]), 12, None)
    net.head(x, 12, "exit2")
    return net


def odd_channels():
    net = Network(
        "odd-channels", 17, "7 and 20 channels cross the cuts: no multiple of a vector register's lanes",
        ["An engine's blocked layout pads such tensors; a cut through it must not misread the padding."], classes=7,
    )
    x = net.conv_relu(net.input(3, 13), 3, 7, out="seven")
    net.head(x, 7, "exit0")
    net.cut("seven")
    x = net.relu(net.node("Add", [x, net.conv(x, 7, 7)]))
    x = net.conv_relu(x, 7, 20, stride=2, out="twenty")
    net.head(x, 20, "exit1")
    net.cut("twenty")
    x = net.relu(net.node("Add", [x, net.conv(x, 20, 20)]))
    net.head(net.conv_relu(x, 20, 9), 9, "exit2")
    return net


CASES = [residual, dense, multi_scale, depthwise, squeeze_excite, overlapping_pools, batch_norm, odd_channels]
