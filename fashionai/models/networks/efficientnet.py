"""EfficientNets: https://arxiv.org/abs/1905.11946.

Their parameters are those of timm's ``efficientnet_b0`` to ``b4``, which pad as PyTorch does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.networks.blocks import drop_path_rates
from fashionai.models.networks.inverted_residuals import (
    BlockShape,
    ConvolutionUnit,
    FusedInvertedResidual,
    InvertedResidual,
    Rotation,
    Style,
    silu,
)
from fashionai.models.networks.options import Builder, NetworkOptions

mx = import_mxnet()
nn = mx.gluon.nn
HybridBlock: Any = mx.gluon.HybridBlock

HEAD_CHANNELS = 1280
CHANNEL_DIVISOR = 8


class Stage(NamedTuple):
    """Blocks of one resolution; the first of them has the stride.

    With ``fused`` they are Fused-MBConv blocks, otherwise MBConv blocks.
    """

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int
    squeezes: bool = True
    fused: bool = False


class Architecture(NamedTuple):
    """A network: the channels of its first convolution, its stages, those of its last one.

    With ``rotated`` it computes what TensorFlow's padding gives, see inverted_residuals.
    """

    stem: int
    stages: Sequence[Stage]
    head: int
    style: Style
    rotated: bool = False


# Table 1 of the paper.
B0_STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
# The factors of the width and of the depth.
SCALES = {"b0": (1.0, 1.0), "b1": (1.0, 1.1), "b2": (1.1, 1.2), "b3": (1.2, 1.4), "b4": (1.4, 1.8)}


class EfficientNet(HybridBlock):
    """Images ``(B, 3, H, W) float32`` to logits ``(B, classes)``."""

    def __init__(self, architecture: Architecture, options: NetworkOptions) -> None:
        super().__init__()
        style = architecture.style
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            if architecture.rotated:
                self.features.add(Rotation())
            self.features.add(ConvolutionUnit(architecture.stem, 3, style, stride=2))
            for stage in _stages(architecture, options.drop_path):
                self.features.add(stage)
            self.features.add(ConvolutionUnit(architecture.head, 1, style))
            self.features.add(nn.GlobalAvgPool2D(), nn.Flatten())
            self.output = nn.Dense(options.classes)

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803 - Gluon's name
        """Logits of a batch."""
        return self.output(self.features(x))


def _stages(architecture: Architecture, drop_path: float) -> list[Any]:
    """The stages, each a sequence of blocks."""
    rates = iter(drop_path_rates(drop_path, sum(stage.blocks for stage in architecture.stages)))
    inputs, stages = architecture.stem, []
    for stage in architecture.stages:
        blocks = nn.HybridSequential()
        block = FusedInvertedResidual if stage.fused else InvertedResidual
        for index in range(stage.blocks):
            shape = BlockShape(
                inputs=inputs,
                outputs=stage.channels,
                kernel=stage.kernel,
                stride=1 if index else stage.stride,
                expansion=stage.expansion,
                squeezes=stage.squeezes,
                drop_path=next(rates),
            )
            blocks.add(block(shape, architecture.style))
            inputs = stage.channels
        stages.append(blocks)
    return stages


def scaled_channels(channels: int, width: float, smallest_share: float = 0.9) -> int:
    """``channels`` times ``width``, rounded to a multiple of 8 that is not much smaller."""
    wanted = channels * width
    rounded = max(
        CHANNEL_DIVISOR, int(wanted + CHANNEL_DIVISOR / 2) // CHANNEL_DIVISOR * CHANNEL_DIVISOR
    )
    return rounded if rounded >= smallest_share * wanted else rounded + CHANNEL_DIVISOR


def scaled_stage(stage: Stage, width: float, depth: float, smallest_share: float = 0.9) -> Stage:
    """A stage with more channels and more blocks."""
    return stage._replace(
        channels=scaled_channels(stage.channels, width, smallest_share),
        blocks=math.ceil(stage.blocks * depth),
    )


def builder(architecture: Architecture) -> Builder:
    """The builder of a network."""
    return lambda options: EfficientNet(architecture, options)


def _efficientnet(width: float, depth: float) -> Architecture:
    return Architecture(
        stem=scaled_channels(32, width),
        stages=[scaled_stage(stage, width, depth) for stage in B0_STAGES],
        head=scaled_channels(HEAD_CHANNELS, width),
        style=Style(silu, epsilon=1e-5),
    )


NETWORKS: dict[str, Builder] = {
    f"efficientnet_{name}": builder(_efficientnet(*scales)) for name, scales in SCALES.items()
}
