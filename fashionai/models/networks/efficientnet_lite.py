"""EfficientNet-Lite: EfficientNets for phones, without squeeze-and-excitation and with ReLU6.

https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite. Their
parameters are those of timm's ``tf_efficientnet_lite0`` to ``lite4``, with kernels rotated.
"""

from __future__ import annotations

from fashionai.models.networks.blocks import relu6
from fashionai.models.networks.efficientnet import (
    B0_STAGES,
    HEAD_CHANNELS,
    Architecture,
    Stage,
    builder,
    scaled_stage,
)
from fashionai.models.networks.inverted_residuals import Style
from fashionai.models.networks.options import Builder

# The factors of the width and of the depth.
SCALES = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2), (1.2, 1.4), (1.4, 1.8))


def _lite(width: float, depth: float) -> Architecture:
    """The first and the last convolution, and the depth of the first and last stage, are fixed."""
    plain = [stage._replace(squeezes=False) for stage in B0_STAGES]
    first, *middle, last = plain

    def scaled(stage: Stage, factor: float) -> Stage:
        return scaled_stage(stage, width, factor)

    return Architecture(
        stem=32,
        stages=[scaled(first, 1), *(scaled(stage, depth) for stage in middle), scaled(last, 1)],
        head=HEAD_CHANNELS,
        style=Style(relu6, epsilon=1e-3),
        rotated=True,
    )


NETWORKS: dict[str, Builder] = {
    f"efficientnet_lite{number}": builder(_lite(*scales)) for number, scales in enumerate(SCALES)
}
