"""EfficientNetV2: https://arxiv.org/abs/2104.00298.

Their parameters are those of timm's ``tf_efficientnetv2_b0``, ``b3`` and ``s``, with kernels
rotated.
"""

from __future__ import annotations

from fashionai.models.networks.efficientnet import (
    HEAD_CHANNELS,
    Architecture,
    Stage,
    builder,
    scaled_channels,
    scaled_stage,
)
from fashionai.models.networks.inverted_residuals import Style, silu
from fashionai.models.networks.options import Builder

STYLE = Style(silu, epsilon=1e-3)
# The B networks, see https://github.com/google/automl/tree/master/efficientnetv2.
B0_STAGES = (
    Stage(1, 3, 1, 1, 16, squeezes=False, fused=True),
    Stage(2, 3, 2, 4, 32, squeezes=False, fused=True),
    Stage(2, 3, 2, 4, 48, squeezes=False, fused=True),
    Stage(3, 3, 2, 4, 96),
    Stage(5, 3, 1, 6, 112),
    Stage(8, 3, 2, 6, 192),
)
# Table 4 of the paper.
S_STAGES = (
    Stage(2, 3, 1, 1, 24, squeezes=False, fused=True),
    Stage(4, 3, 2, 4, 48, squeezes=False, fused=True),
    Stage(4, 3, 2, 4, 64, squeezes=False, fused=True),
    Stage(6, 3, 2, 4, 128),
    Stage(9, 3, 1, 6, 160),
    Stage(15, 3, 2, 6, 256),
)


def _b(width: float, depth: float) -> Architecture:
    """Unlike in the first EfficientNets, channels are rounded however much is cut off."""
    return Architecture(
        stem=scaled_channels(32, width, 0),
        stages=[scaled_stage(stage, width, depth, 0) for stage in B0_STAGES],
        head=scaled_channels(HEAD_CHANNELS, width, 0),
        style=STYLE,
        rotated=True,
    )


NETWORKS: dict[str, Builder] = {
    "efficientnetv2_b0": builder(_b(1.0, 1.0)),
    "efficientnetv2_b3": builder(_b(1.2, 1.4)),
    "efficientnetv2_s": builder(Architecture(24, S_STAGES, HEAD_CHANNELS, STYLE, rotated=True)),
}
