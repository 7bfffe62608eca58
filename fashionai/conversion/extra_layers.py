"""Layers that Gluon's networks have and their counterparts lack: neutral at first, then trained.

What is added changes no output. Taking the layers away again is exact as well,
by folding them into their neighbours, or refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fashionai.errors import WeightsError
from fashionai.normalization import Channels

Parameters = dict[str, np.ndarray]

EPSILON = 1e-5  # of every batch normalisation, in Gluon as in PyTorch
# The largest value that ImageNet's mean and standard deviation give to a pixel; 1 for mean 0.5.
LARGEST_INPUT = 2.65


@dataclass(frozen=True)
class ExtraLayers:
    """How to give a network the layers that it lacks, and how to take them away.

    ``add`` sets their parameters in place; ``remove`` takes them out in place,
    with the input's mean and standard deviation of each channel, and returns
    those of the network without them. It raises WeightsError if they do something that
    the other layers cannot take over.
    """

    add: Callable[[Parameters], None]
    remove: Callable[[Parameters, Channels, Channels], tuple[Channels, Channels]]


def _add_normalisation(
    parameters: Parameters, layer: str, mean: np.ndarray, variance: np.ndarray, offset: np.ndarray
) -> None:
    """A normalisation with these statistics that answers with its input plus ``offset``."""
    parameters[f"{layer}.gamma"] = np.sqrt(variance + EPSILON).astype(np.float32)
    parameters[f"{layer}.beta"] = (mean + offset).astype(np.float32)
    parameters[f"{layer}.running_mean"] = mean.astype(np.float32)
    parameters[f"{layer}.running_var"] = variance.astype(np.float32)


def _remove_normalisation(
    parameters: Parameters, layer: str, scaled: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Scale and offset, float64, of what a normalisation does to its input."""
    gamma, beta, mean, variance = (
        parameters.pop(f"{layer}.{name}").astype(np.float64)
        for name in ("gamma", "beta", "running_mean", "running_var")
    )
    scale = (gamma if scaled else 1.0) / np.sqrt(variance + EPSILON)
    return scale, beta - scale * mean


def _resnet_v2(depth: int, offset_readers: list[str]) -> ExtraLayers:
    """A normalisation of the input, and one with a ReLU behind the first convolution.

    The second one adds to each channel more than the convolution can take from
    it, so that the ReLU clips nothing, and the means of ``offset_readers``, all
    normalisations that see the tensor, take it away again. Its statistics are those of the reader
    behind it: in training mode, which uses the batch's own, it then leaves the
    scale of the tensor about as it is, and its running averages need not move.
    """

    def add(parameters: Parameters) -> None:
        filters = parameters["features.1.weight"]
        _add_normalisation(parameters, "features.0", *_standard(filters.shape[1]))
        lowest = LARGEST_INPUT * np.abs(filters).sum(axis=(1, 2, 3), dtype=np.float64)
        offset = 1 + 2 * lowest  # room for what training changes
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
        lowest = _lowest_answers(filters, -new_mean / new_std, (1 - new_mean) / new_std) + offset
        if lowest.min() < 0:
            raise WeightsError(
                f"timm's resnetv2_{depth} has no ReLU behind its first convolution, and here it "
                f"can clip: channel {int(lowest.argmin())} falls to {lowest.min():.3g}",
                "Only networks that began with timm's weights can go back",
            )
        parameters["features.1.weight"] = filters
        for reader in offset_readers:
            name = f"{reader}.running_mean"
            parameters[name] = parameters[name] - offset
        return tuple(map(float, new_mean)), tuple(map(float, new_std))

    return ExtraLayers(add, remove)


def _standard(channels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Statistics and offset of a normalisation that changes nothing and has gamma 1."""
    return np.zeros(channels), np.full(channels, 1 - EPSILON), np.zeros(channels)


def _lowest_answers(filters: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The least that each filter can answer to inputs from low to high, or padding of zeros."""
    extremes = [filters * bound[None, :, None, None] for bound in (low, high)]
    return np.minimum(np.minimum(*extremes), 0).sum(axis=(1, 2, 3))


def _add_expansion(parameters: Parameters) -> None:
    """The first block of MobileNetV2 expands by 1, which Gluon computes: the identity.

    Its ReLU6 clips nothing, since the ReLU6 before it has done so.
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
            "torchvision's mobilenet_v2 has no expansion in its first block, and here it has "
            f"been trained: features.3.out.0 is {change:.3g} from the identity",
            "Freeze the first layers while training, or export to another format",
        )
    return mean, std


_EXPANSION = ExtraLayers(_add_expansion, _remove_expansion)
# The shortcuts of bottlenecks all start behind a normalisation where the width changes, which it
# does in the first block. With basic blocks it first does so in the second stage.
_BOTTLENECK_READERS = ["features.5.0.bn1"]


def _basic_readers(blocks: int) -> list[str]:
    return [*(f"features.5.{block}.bn1" for block in range(blocks)), "features.6.0.bn1"]


EXTRA_LAYERS = {
    "mobilenetv2_1.0": _EXPANSION,
    "resnet18_v2": _resnet_v2(18, _basic_readers(2)),
    "resnet34_v2": _resnet_v2(34, _basic_readers(3)),
    **{f"resnet{depth}_v2": _resnet_v2(depth, _BOTTLENECK_READERS) for depth in (50, 101, 152)},
}
