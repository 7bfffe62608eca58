"""Layers that Gluon networks have in addition to those of their PyTorch counterparts.

Added layers change no output of the network; training then changes them. They are
removed by folding them into neighbouring layers, which is exact. Removal is refused
where the neighbours cannot compute the same outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fashionai.errors import WeightsError
from fashionai.normalization import Channels

Parameters = dict[str, np.ndarray]

EPSILON = 1e-5  # of every batch normalisation, in Gluon and in PyTorch
# The largest magnitude of a pixel normalised with ImageNet's mean and standard deviation. With
# mean and standard deviation 0.5 it is 1.
LARGEST_INPUT = 2.65


@dataclass(frozen=True)
class ExtraLayers:
    """Adds the additional layers of a Gluon network, or removes them.

    ``add`` sets the parameters of the layers in place. ``remove`` deletes them in
    place: it takes the mean and the standard deviation of each input channel, and
    returns those for the network without the layers. It raises WeightsError if the
    other layers cannot compute the same outputs.
    """

    add: Callable[[Parameters], None]
    remove: Callable[[Parameters, Channels, Channels], tuple[Channels, Channels]]


def _add_normalisation(
    parameters: Parameters, layer: str, mean: np.ndarray, variance: np.ndarray, offset: np.ndarray
) -> None:
    """Set a batch normalisation with these statistics whose output is its input plus ``offset``."""
    parameters[f"{layer}.gamma"] = np.sqrt(variance + EPSILON).astype(np.float32)
    parameters[f"{layer}.beta"] = (mean + offset).astype(np.float32)
    parameters[f"{layer}.running_mean"] = mean.astype(np.float32)
    parameters[f"{layer}.running_var"] = variance.astype(np.float32)


def _remove_normalisation(
    parameters: Parameters, layer: str, scaled: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Delete a batch normalisation; return its map of the input as scale and offset, float64.

    ``scaled`` is false for a layer that does not use its gamma.
    """
    gamma, beta, mean, variance = (
        parameters.pop(f"{layer}.{name}").astype(np.float64)
        for name in ("gamma", "beta", "running_mean", "running_var")
    )
    scale = (gamma if scaled else 1.0) / np.sqrt(variance + EPSILON)
    return scale, beta - scale * mean


def _resnet_v2(depth: int, offset_readers: list[str]) -> ExtraLayers:
    """BatchNorm of the input, and BatchNorm and ReLU after the first convolution of a ResNet v2.

    The BatchNorm after the convolution adds an offset to each channel that makes all
    values positive, so that the ReLU clips nothing. ``offset_readers`` are all
    BatchNorm layers that read the resulting tensor: their running means are increased
    by the same offset. The added BatchNorm has the running statistics of the first
    reader. In training mode, which uses the statistics of the batch, it therefore
    leaves the scale of the tensor about unchanged, and its running statistics start
    near their final values.
    """

    def add(parameters: Parameters) -> None:
        filters = parameters["features.1.weight"]
        _add_normalisation(parameters, "features.0", *_standard(filters.shape[1]))
        lowest = LARGEST_INPUT * np.abs(filters).sum(axis=(1, 2, 3), dtype=np.float64)
        offset = 1 + 2 * lowest  # training changes the filters, so the offset has a margin
        first = offset_readers[0]
        mean, variance = (
            parameters[f"{first}.{name}"].astype(np.float64)
            for name in ("running_mean", "running_var")
        )
        _add_normalisation(parameters, "features.2", mean, variance, offset)
        for reader in offset_readers:
            name = f"{reader}.running_mean"
            parameters[name] = (parameters[name] + offset).astype(np.float32)

    def remove(parameters: Parameters, mean: Channels, std: Channels) -> tuple[Channels, Channels]:
        scale, shift = _remove_normalisation(parameters, "features.0", scaled=False)
        new_std = np.asarray(std) / scale
        new_mean = np.asarray(mean) - shift * new_std
        scale, offset = _remove_normalisation(parameters, "features.2")
        filters = parameters["features.1.weight"] * scale[:, None, None, None]
        lowest = _lowest_outputs(filters, -new_mean / new_std, (1 - new_mean) / new_std) + offset
        if lowest.min() < 0:
            raise WeightsError(
                f"timm's resnetv2_{depth} has no ReLU after its first convolution, and the ReLU of "
                f"this network can clip: the input of channel {int(lowest.argmin())} can be as low "
                f"as {lowest.min():.3g}",
                "Only networks that were trained from timm's weights can be converted to timm",
            )
        parameters["features.1.weight"] = filters
        for reader in offset_readers:
            name = f"{reader}.running_mean"
            parameters[name] = parameters[name] - offset
        return tuple(map(float, new_mean)), tuple(map(float, new_std))

    return ExtraLayers(add, remove)


def _standard(channels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, variance and offset of a batch normalisation that is the identity, with gamma 1."""
    return np.zeros(channels), np.full(channels, 1 - EPSILON), np.zeros(channels)


def _lowest_outputs(filters: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The smallest possible output of each filter for inputs in [low, high] and zero padding."""
    extremes = [filters * bound[None, :, None, None] for bound in (low, high)]
    return np.minimum(np.minimum(*extremes), 0).sum(axis=(1, 2, 3))


def _add_expansion(parameters: Parameters) -> None:
    """Set the expansion layer of MobileNetV2's first block to the identity.

    Its expansion factor is 1: other libraries leave the layer out. Its ReLU6 changes
    nothing, because its input is the output of a ReLU6.
    """
    channels = len(parameters["features.0.weight"])
    identity = np.eye(channels, dtype=np.float32)
    parameters["features.3.out.0.weight"] = identity[:, :, None, None]
    _add_normalisation(parameters, "features.3.out.1", *_standard(channels))


def _remove_expansion(
    parameters: Parameters, mean: Channels, std: Channels
) -> tuple[Channels, Channels]:
    weight = parameters.pop("features.3.out.0.weight")[:, :, 0, 0].astype(np.float64)
    scale, shift = _remove_normalisation(parameters, "features.3.out.1")
    change = max(np.abs(weight * scale[:, None] - np.eye(len(weight))).max(), np.abs(shift).max())
    if change > 1e-6:
        raise WeightsError(
            "torchvision's mobilenet_v2 has no expansion layer in its first block, and this "
            "network has a trained one: features.3.out.0 differs from the identity by "
            f"{change:.3g}",
            "Train with trainable=last-stage, which freezes this layer, or export to another "
            "format",
        )
    return mean, std


_EXPANSION = ExtraLayers(_add_expansion, _remove_expansion)
# A shortcut reads the tensor before the BatchNorm of its block unless the block changes the width.
# Bottleneck networks change the width in the first block, so that only its BatchNorm reads the
# tensor. Networks of basic blocks first change it in the second stage.
_BOTTLENECK_READERS = ["features.5.0.bn1"]


def _basic_block_readers(blocks: int) -> list[str]:
    """The readers in a ResNet with so many basic blocks in its first stage."""
    return [*(f"features.5.{block}.bn1" for block in range(blocks)), "features.6.0.bn1"]


EXTRA_LAYERS = {
    "mobilenetv2_1.0": _EXPANSION,
    "resnet18_v2": _resnet_v2(18, _basic_block_readers(2)),
    "resnet34_v2": _resnet_v2(34, _basic_block_readers(3)),
    **{f"resnet{depth}_v2": _resnet_v2(depth, _BOTTLENECK_READERS) for depth in (50, 101, 152)},
}
