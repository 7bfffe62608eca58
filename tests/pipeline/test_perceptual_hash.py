"""The perceptual hash: its formula, mirrored images, and images that show nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fashionai.pipeline.perceptual_hash import HASH_SIZE, mirrored, perceptual_hash
from tests.support.images import photograph


def naive_hash(brightness: np.ndarray) -> list[int]:
    """The hash of 32 x 32 values by the definition of the DCT-II."""
    values = []
    for row in range(16):
        for column in range(16):
            if row == column == 0:
                continue
            total = sum(
                float(brightness[y, x])
                * math.cos(math.pi * (2 * y + 1) * row / 64)
                * math.cos(math.pi * (2 * x + 1) * column / 64)
                for y in range(32)
                for x in range(32)
            )
            scale = (1 if row else math.sqrt(0.5)) * (1 if column else math.sqrt(0.5)) / 16
            size = max(abs(total * scale) - 6, 0) * math.hypot(row, column)
            values.append(math.copysign(size, total))
    largest = max(map(abs, values))
    return [round(value / largest * 127) for value in values]


def test_hash_is_the_weighted_cosine_transform_of_the_green_channel() -> None:
    pixels = photograph(32, 32)
    expected = naive_hash(pixels[:, :, 1])
    assert np.abs(perceptual_hash(pixels) - np.array(expected)).max() <= 1  # of rounding


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 96), (257, 400)])
def test_hash_of_a_mirrored_image_follows_from_that_of_the_image(height: int, width: int) -> None:
    pixels = photograph(height, width)
    other = perceptual_hash(np.ascontiguousarray(pixels[:, ::-1]))
    assert np.abs(mirrored(perceptual_hash(pixels)[None])[0].astype(int) - other).max() <= 2


def test_an_image_without_contrast_has_no_hash() -> None:
    sky = np.full((200, 300, 3), 120, np.uint8)
    sky[:100] += 5
    assert not perceptual_hash(sky).any()
    assert perceptual_hash(photograph(200, 300)).shape == (HASH_SIZE,)
