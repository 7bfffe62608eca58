"""Random erasing: how large, of what shape, where, and with what."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fashionai.config.augmentations import RandomErasing
from tests.support.images import augmented

SIDE = 64
BLACK = np.zeros((SIDE, SIDE, 3), np.uint8)


def erased(step: RandomErasing, seed: int) -> np.ndarray:
    """The random pixels, (height, width, 3), and nothing else is changed."""
    return cut(step, seed)[0]


def cut(step: RandomErasing, seed: int) -> tuple[np.ndarray, int, int]:
    view = augmented(BLACK, SIDE, [step.model_copy(update={"p": 1.0})], seed)
    # That all three values of an edge are zero is too rare to matter.
    rows, columns = (np.flatnonzero(view.any(axis=(axis, 2))) for axis in (1, 0))
    top, left = int(rows[0]), int(columns[0])
    return view[top : rows[-1] + 1, left : columns[-1] + 1], top, left


def test_areas_and_ratios_lie_where_they_should() -> None:
    step = RandomErasing(area=[0.1, 0.2], ratio=[0.5, 2.0])
    sizes = np.array([erased(step, seed).shape[:2] for seed in range(1000)])
    shares = sizes.prod(axis=1) / SIDE**2
    assert 0.095 < shares.min() < 0.105
    assert 0.195 < shares.max() < 0.205
    # Uniform: the mean in the middle, a standard deviation of 1 / sqrt(12) of the range.
    assert shares.mean() == pytest.approx(0.15, abs=6 * 0.1 / 12**0.5 / 1000**0.5)
    ratios = np.log2(sizes[:, 0] / sizes[:, 1])
    assert -1.1 < ratios.min() < -0.9
    assert 0.9 < ratios.max() < 1.1
    assert abs(ratios.mean()) < 6 * 2 / 12**0.5 / 1000**0.5


def test_rectangles_lie_anywhere_inside() -> None:
    step = RandomErasing(area=[0.25, 0.25], ratio=[1.0, 1.0])
    places = np.array([cut(step, seed)[1:] for seed in range(1000)])
    assert places.min(axis=0).tolist() == [0, 0]
    assert places.max(axis=0).tolist() == [32, 32]
    np.testing.assert_allclose(places.mean(axis=0), 16, atol=6 * 33 / 12**0.5 / 1000**0.5)


def test_pixels_are_random_and_the_rest_stays() -> None:
    image = np.full((SIDE, SIDE, 3), 100, np.uint8)
    step = RandomErasing(p=1.0, area=[0.3, 0.3], ratio=[1.0, 1.0])
    values = erased(step, 0).ravel()
    assert len(np.unique(values)) > 250
    error = 256 / 12**0.5 / len(values) ** 0.5
    assert values.mean() == pytest.approx(127.5, abs=6 * error)
    share = (augmented(image, SIDE, [step]) != 100).any(axis=2).mean()
    assert share == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize(
    ("area", "ratio", "expected"),
    [
        ([1.0, 1.0], [1.0, 1.0], (SIDE, SIDE)),
        ([0.5, 0.5], [8.0, 8.0], (SIDE, SIDE / 4)),
        ([0.5, 0.5], [0.125, 0.125], (SIDE / 4, SIDE)),
    ],
)
def test_what_never_fits_covers_as_much_as_it_can(area, ratio, expected) -> None:
    assert erased(RandomErasing(area=area, ratio=ratio), 0).shape[:2] == expected


def test_the_standard_strength_fits_whenever_it_can() -> None:
    for seed in range(300):
        height, width = erased(RandomErasing(), seed).shape[:2]
        assert 0.019 * SIDE**2 < height * width < 0.41 * SIDE**2
        assert math.log(0.25) < math.log(height / width) < math.log(4)
