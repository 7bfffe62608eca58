"""ConvNeXt, "A ConvNet for the 2020s", https://arxiv.org/abs/2201.03545.

The networks have the parameters of timm's networks of the same names. Convolutions read
``(B, C, H, W)``, all other layers ``(B, H, W, C)``: MXNet normalises the last axis about
twenty times as fast as any other on the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.networks.blocks import drop_path, drop_path_rates
from fashionai.models.networks.options import Builder, NetworkOptions
from fashionai.models.networks.pointwise import EPSILON, Mlp, layer_norm

mx = import_mxnet()
nn = mx.gluon.nn
HybridBlock: Any = mx.gluon.HybridBlock

FIRST_SCALE = 1e-6
PATCH = 4
# The channels of the first stage, and the blocks of each stage. Each stage has twice as many
# channels as the one before it. Up to small, the sizes are timm's and the paper's.
SIZES: dict[str, tuple[int, tuple[int, ...]]] = {
    "convnext_atto": (40, (2, 2, 6, 2)),
    "convnext_pico": (64, (2, 2, 6, 2)),
    "convnext_nano": (80, (2, 2, 8, 2)),
    "convnext_tiny": (96, (3, 3, 9, 3)),
    "convnext_small": (96, (3, 3, 27, 3)),
    "convnext_base": (128, (3, 3, 27, 3)),
}


class ChannelNorm(nn.LayerNorm):  # type: ignore[name-defined]
    """A layer normalisation of the channels of ``(B, C, H, W)``."""

    def __init__(self, channels: int) -> None:
        super().__init__(epsilon=EPSILON, in_channels=channels)

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any) -> Any:  # noqa: N803
        """The normalised ``(B, C, H, W)``."""
        last = F.transpose(x, axes=(0, 2, 3, 1))
        normalised = F.LayerNorm(last, gamma, beta, axis=-1, eps=EPSILON)
        return F.transpose(normalised, axes=(0, 3, 1, 2))


class ConvNeXtBlock(HybridBlock):
    """A depthwise convolution and an MLP on each pixel, with a residual connection."""

    def __init__(self, channels: int, drop_path: float) -> None:
        super().__init__()
        self._drop_path = drop_path
        with self.name_scope():
            self.depthwise = nn.Conv2D(
                channels, kernel_size=7, padding=3, groups=channels, in_channels=channels
            )
            self.norm = layer_norm(channels)
            self.mlp = Mlp(channels, FIRST_SCALE)

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803 - Gluon's name
        """Feature maps of the shape of ``x``, ``(B, C, H, W)``."""
        hidden = F.transpose(self.depthwise(x), axes=(0, 2, 3, 1))
        branch = F.transpose(self.mlp(self.norm(hidden)), axes=(0, 3, 1, 2))
        return x + drop_path(F, branch, self._drop_path)


class ConvNeXt(HybridBlock):
    """A ConvNeXt from ``(B, 3, H, W)`` to logits ``(B, classes)``; sides are at least 32.

    ``features`` has the stem, the stages and the layers after pooling. Each stage but the first
    begins with the layers that halve the sides.
    """

    def __init__(self, channels: int, blocks: Sequence[int], options: NetworkOptions) -> None:
        super().__init__()
        rates = iter(drop_path_rates(options.drop_path, sum(blocks)))
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            stem = nn.HybridSequential()
            stem.add(
                nn.Conv2D(channels, kernel_size=PATCH, strides=PATCH, in_channels=3),
                ChannelNorm(channels),
            )
            self.features.add(stem)
            for number, count in enumerate(blocks):
                stage = nn.HybridSequential()
                if number:
                    stage.add(
                        ChannelNorm(channels),
                        nn.Conv2D(2 * channels, kernel_size=2, strides=2, in_channels=channels),
                    )
                    channels *= 2
                stage.add(*(ConvNeXtBlock(channels, next(rates)) for _ in range(count)))
                self.features.add(stage)
            self.features.add(nn.GlobalAvgPool2D(), nn.Flatten(), layer_norm(channels))
            self.output = nn.Dense(options.classes, in_units=channels)

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803 - Gluon's name
        """Logits of a batch."""
        return self.output(self.features(x))


def _builder(channels: int, blocks: Sequence[int]) -> Builder:
    return lambda options: ConvNeXt(channels, blocks, options)


NETWORKS: dict[str, Builder] = {name: _builder(*size) for name, size in SIZES.items()}
