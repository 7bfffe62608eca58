"""Resizing and the 1, 5 or 10 views, compared with formulas and plain slices."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashionai.config import DataConfig
from fashionai.pipeline.augment import EvaluationTransform
from fashionai.pipeline.crop_counts import CROP_COUNTS
from fashionai.pipeline.crops import crop_corners, cut_views, resize_short

SIDES = st.integers(8, 400)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), np.uint8)


@settings(max_examples=80, deadline=None)
@given(SIDES, SIDES, st.integers(8, 300))
def test_the_short_side_is_the_given_one_and_the_long_side_in_proportion(
    height, width, size
) -> None:
    resized = resize_short(noise(height, width), size)
    assert min(resized.shape[:2]) == size
    assert abs(resized.shape[0] - height * size / min(height, width)) <= 0.5 + 1e-6
    assert abs(resized.shape[1] - width * size / min(height, width)) <= 0.5 + 1e-6


def test_an_image_of_the_right_size_is_not_touched() -> None:
    image = noise(32, 50)
    np.testing.assert_array_equal(resize_short(image, 32), image)


def test_shrinking_by_a_whole_factor_averages_blocks() -> None:
    image = noise(60, 90)
    blocks = image.reshape(20, 3, 30, 3, 3).mean(axis=(1, 3))
    assert np.abs(resize_short(image, 20) - blocks).max() <= 0.5 + 1e-6


def test_growing_is_cubic() -> None:
    image = noise(20, 30)
    expected = cv2.resize(image, (60, 40), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_array_equal(resize_short(image, 40), expected)


@given(st.integers(8, 60), st.integers(0, 80), st.integers(0, 80))
def test_corners_are_the_centre_and_the_four_corners(crop, more_height, more_width) -> None:
    height, width = crop + more_height, crop + more_width
    centre, *others = crop_corners(height, width, crop)
    assert others == [
        (0, 0),
        (0, width - crop),
        (height - crop, 0),
        (height - crop, width - crop),
    ]
    for at, room in zip(centre, (more_height, more_width)):
        assert abs(at - (room - at)) <= 1


def naive_views(image: np.ndarray, crop: int, count: int) -> np.ndarray:
    rgb = image[:, :, [2, 1, 0]]
    height, width = rgb.shape[:2]
    y, x = (height - crop) // 2, (width - crop) // 2
    views = [
        rgb[y : y + crop, x : x + crop],
        rgb[:crop, :crop],
        rgb[:crop, width - crop :],
        rgb[height - crop :, :crop],
        rgb[height - crop :, width - crop :],
    ][: min(count, 5)]
    if count == 10:
        views += [view[:, ::-1] for view in views]
    return np.stack(views)


@pytest.mark.parametrize("count", CROP_COUNTS)
@pytest.mark.parametrize("size", [(32, 32), (32, 47), (53, 32), (24, 24), (24, 25)])
def test_views_are_slices_in_rgb_and_their_mirrors(count: int, size: tuple[int, int]) -> None:
    image, crop = noise(*size), 24
    out = np.zeros((count, crop, crop, 3), np.uint8)
    cut_views(image, out)
    np.testing.assert_array_equal(out, naive_views(image, crop, count))


@pytest.mark.parametrize("count", CROP_COUNTS)
@pytest.mark.parametrize("size", [(40, 90), (100, 50), (20, 31)])
def test_evaluation_resizes_then_cuts_and_draws_no_chance(count, size) -> None:
    transform = EvaluationTransform(DataConfig(resize_short=36, crop=32), count)
    image = noise(*size)
    out = np.zeros((count, 32, 32, 3), np.uint8)
    rng = np.random.default_rng(0)
    transform(image, rng, out)
    np.testing.assert_array_equal(out, naive_views(resize_short(image, 36), 32, count))
    assert rng.random() == np.random.default_rng(0).random()
    assert (transform.views, transform.crop, transform.resize_short) == (count, 32, 36)
