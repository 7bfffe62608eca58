"""Steps of colour and noise against Pillow, colorsys and formulas applied value by value."""

from __future__ import annotations

import colorsys
import math
from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from fashionai.config.augmentations import (
    Brightness,
    Contrast,
    Hue,
    Lighting,
    Mirror,
    Noise,
    Saturation,
)
from tests.support.images import augmented, photograph

SIDE = 48
IMAGE = photograph(SIDE, SIDE)
RGB = np.ascontiguousarray(IMAGE[:, :, ::-1])
SEEDS = range(12)


def changed(*steps, seed: int = 0, image: np.ndarray = IMAGE) -> np.ndarray:
    return augmented(image, len(image), list(steps), seed)


def drawn(seed: int, low: float, high: float) -> float:
    """What a step that stands alone draws."""
    return np.random.default_rng(seed).uniform(low, high)


def grey_image(value: int, side: int = 8) -> np.ndarray:
    return np.full((side, side, 3), value, np.uint8)


def to_bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255)


@pytest.mark.parametrize(
    ("step", "enhance"),
    [
        (Brightness(amount=0.4), ImageEnhance.Brightness),
        (Contrast(amount=0.4), ImageEnhance.Contrast),
        (Saturation(amount=0.9), ImageEnhance.Color),
    ],
)
def test_linear_steps_do_what_pillow_does(step, enhance) -> None:
    for seed in SEEDS:
        factor = drawn(seed, 1 - step.amount, 1 + step.amount)
        expected = np.asarray(enhance(Image.fromarray(RGB)).enhance(factor)).astype(int)
        # Pillow rounds greys to whole levels and cuts off the rest of a level at the end.
        difference = changed(step, seed=seed) - expected
        assert np.abs(difference).max() <= 2
        assert abs(difference.mean()) < 0.8


def test_hue_turns_the_chroma_plane_of_yiq() -> None:
    step = Hue(amount=0.5)
    for seed in SEEDS:
        angle = 2 * math.pi * drawn(seed, -0.5, 0.5)
        view = changed(step, seed=seed).astype(int)
        for row, column in [(0, 0), (10, 40), (24, 24), (40, 3), (47, 47)]:
            luma, i, q = colorsys.rgb_to_yiq(*(RGB[row, column] / 255))
            cos, sin = math.cos(angle), math.sin(angle)
            turned = (i * cos - q * sin, i * sin + q * cos)
            # colorsys clips to 0..1 as well.
            expected = np.multiply(colorsys.yiq_to_rgb(luma, *turned), 255)
            assert np.abs(view[row, column] - expected).max() <= 1.5


def test_hue_leaves_greys_and_luma_alone() -> None:
    np.testing.assert_array_equal(changed(Hue(amount=0.5), image=grey_image(90)), 90)
    muted = IMAGE // 4 + 96  # no value is clipped
    before = muted[:, :, ::-1] @ [0.30, 0.59, 0.11]
    for seed in SEEDS:
        view = changed(Hue(amount=0.5), seed=seed, image=muted)
        assert np.abs(view @ [0.30, 0.59, 0.11] - before).max() <= 1


def test_lighting_shifts_colours_as_alexnet_does() -> None:
    """The covariance of the shifts is std^2 P diag(eigenvalues^2) P^T in RGB of 0..1."""
    std = 0.5
    shifts = np.array(
        [
            changed(Lighting(std=std), seed=seed, image=grey_image(128, 8))[0, 0].astype(int) - 128
            for seed in range(1500)
        ]
    )
    vectors = np.array(
        [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
    )
    values = np.diag([0.2175, 0.0188, 0.0045])
    expected = (255 * std) ** 2 * vectors @ values @ values @ vectors.T
    # Standard errors: of a mean 16 / sqrt(1500), of a variance 4 %; rounding adds 1/12.
    np.testing.assert_allclose(shifts.mean(axis=0), 0, atol=6 * 16 / 1500**0.5)
    np.testing.assert_allclose(np.cov(shifts.T), expected, rtol=0.22)


def logit(share: np.ndarray) -> np.ndarray:
    return np.log(share / (1 - share))


def test_logit_brightness_shifts_and_contrast_scales_log_odds() -> None:
    odds = logit((RGB + 0.5) / 256)
    for seed in SEEDS:
        shift = logit(drawn(seed, 0.5 * 0.4, 0.5 * 1.6))
        view = changed(Brightness(amount=0.6, space="logit"), seed=seed)
        np.testing.assert_array_equal(view, np.rint(256 / (1 + np.exp(-odds - shift)) - 0.5))
        scale = math.exp(drawn(seed, math.log(0.4), math.log(1 / 0.4)))
        view = changed(Contrast(amount=0.6, space="logit"), seed=seed)
        np.testing.assert_array_equal(view, np.rint(256 / (1 + np.exp(-odds * scale)) - 0.5))


def test_consecutive_steps_are_applied_in_their_order_and_rounded_once() -> None:
    factors, steps = (1 - 0.3, 1 + 0.3), (Brightness(amount=0.3), Contrast(amount=0.3))
    for seed in SEEDS:
        first, second = np.random.default_rng(seed).uniform(*factors, 2)
        brighter = RGB * first
        mean = (brighter @ [0.30, 0.59, 0.11]).mean()
        expected = to_bytes(second * brighter + (1 - second) * mean)
        np.testing.assert_allclose(changed(*steps, seed=seed), expected, atol=1)
        mean = (RGB @ [0.30, 0.59, 0.11]).mean()
        expected = to_bytes((first * RGB + (1 - first) * mean) * second)
        np.testing.assert_allclose(changed(*steps[::-1], seed=seed), expected, atol=1)


def test_consecutive_steps_happen_independently() -> None:
    """Grey shows brightness alone, a hue turned far shows on red however bright."""
    steps = [Brightness(p=0.5), Hue(p=0.5, amount=0.5)]
    image = np.full((8, 8, 3), 100, np.uint8)
    image[:, 4:] = (0, 0, 100)
    counts = Counter()
    for seed in range(800):
        grey, red = changed(*steps, seed=seed, image=image)[0, [0, 7]]
        counts[bool(grey[0] != 100), bool(red[1:].any())] += 1
    # One of 80 brightness factors and a few hues round to nothing: 200 each, give or take.
    assert min(counts.values()) > 200 - 6 * 13
    assert len(counts) == 4


def test_three_kinds_of_matrix_compose() -> None:
    """Saturation, lighting and contrast against one after the other in real numbers."""
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        saturation = rng.uniform(0.8, 1.2)
        shift = rng.normal(0, 0.1, 3) * [0.2175, 0.0188, 0.0045]
        contrast = rng.uniform(0.8, 1.2)
        luma = RGB @ [0.30, 0.59, 0.11]
        values = saturation * RGB + (1 - saturation) * luma[:, :, None]
        values += (
            255
            * shift
            @ np.transpose(
                [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
            )
        )
        values = contrast * values + (1 - contrast) * (values @ [0.30, 0.59, 0.11]).mean()
        view = changed(Saturation(), Lighting(), Contrast(), seed=seed)
        np.testing.assert_allclose(view, to_bytes(values), atol=1)
        # OpenCV rounds in fixed point, to either side alike.
        assert abs((view - to_bytes(values)).mean()) < 0.1


def test_logit_and_linear_steps_keep_their_order() -> None:
    steps = [Brightness(amount=0.5, space="logit"), Brightness(amount=0.5)]
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        shift, factor = logit(rng.uniform(0.25, 0.75)), rng.uniform(0.5, 1.5)
        shifted = np.rint(256 / (1 + np.exp(-logit((RGB + 0.5) / 256) - shift)) - 0.5)
        np.testing.assert_array_equal(changed(*steps, seed=seed), to_bytes(shifted * factor))


def test_logit_steps_compose_without_rounding_between() -> None:
    steps = [Brightness(amount=0.5, space="logit"), Contrast(amount=0.5, space="logit")]
    odds = logit((RGB + 0.5) / 256)
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        shift = logit(rng.uniform(0.25, 0.75))
        scale = math.exp(rng.uniform(math.log(0.5), math.log(2)))
        expected = np.rint(256 / (1 + np.exp(-(odds + shift) * scale)) - 0.5)
        np.testing.assert_array_equal(changed(*steps, seed=seed), expected)


def test_strengths_lie_where_they_should() -> None:
    """Factors told by a grey image, where brightness is the only thing to see."""
    values = [
        changed(Brightness(amount=0.5), seed=seed, image=grey_image(100))[0, 0, 0]
        for seed in range(1000)
    ]
    assert 50 <= min(values) <= 52
    assert 148 <= max(values) <= 150
    counts = np.histogram(values, 10, (49.5, 150.5))[0]
    assert np.abs(counts - 100).max() < 6 * 90**0.5


def test_colour_steps_stand_where_the_view_is_cut() -> None:
    """Geometric steps go first wherever they are in the list."""
    steps = [Brightness(amount=0.5), Mirror(p=1.0)]
    np.testing.assert_array_equal(changed(*steps), changed(*steps[::-1]))
    np.testing.assert_array_equal(changed(*steps), changed(steps[0])[:, ::-1])


def test_noise_is_normal_and_independent_from_value_to_value() -> None:
    noise = changed(Noise(std=0.05), image=grey_image(128, 128)).astype(int) - 128
    deviation, count = 0.05 * 255, noise.size
    assert abs(noise.mean()) < 6 * deviation / count**0.5
    # Rounding adds a variance of 1/12.
    assert noise.std() == pytest.approx((deviation**2 + 1 / 12) ** 0.5, rel=6 / (2 * count) ** 0.5)
    for factor, share in ((1, 0.6827), (2, 0.9545), (3, 0.9973)):
        # Rounded values of at most n: real ones up to n + 1/2.
        limit = math.floor(factor * deviation)
        expected = math.erf((limit + 0.5) / deviation / 2**0.5)
        assert (np.abs(noise) <= limit).mean() == pytest.approx(expected, abs=0.01)
        assert expected == pytest.approx(share, abs=0.02)
    planes = [noise[:, :, 0], noise[:, :, 1], noise[:, :, 2], np.roll(noise[:, :, 0], 1)]
    correlations = np.corrcoef([plane.ravel() for plane in planes]) - np.eye(4)
    assert np.abs(correlations).max() < 6 / planes[0].size ** 0.5


@pytest.mark.parametrize("value", [0, 255])
def test_noise_does_not_wrap_around(value: int) -> None:
    view = changed(Noise(std=0.1), image=grey_image(value, 32)).astype(int)
    assert np.abs(view - value).max() < 6 * 25.5
    assert (view == value).mean() == pytest.approx(0.5, abs=0.06)
