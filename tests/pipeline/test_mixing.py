"""Mixup and cutmix against their definitions, pixel by pixel, and the laws of their draws."""

from __future__ import annotations

import numpy as np
import pytest

from fashionai.config.sections import LossConfig
from fashionai.pipeline.augmentation.mixing import Mixing, draw_mixing

MIXUP, CUTMIX = LossConfig(mixup=0.4), LossConfig(cutmix=1.0)
BOTH = LossConfig(mixup=0.4, cutmix=1.0)


def draw(loss: LossConfig, seed: int, rows: int = 6, side: int = 32) -> Mixing:
    mixing = draw_mixing(loss, rows, side, np.random.default_rng(seed))
    assert mixing is not None
    return mixing


def has_box(mixing: Mixing) -> bool:
    return set(np.unique(mixing.weights)) <= {0, 1}


def test_nothing_is_mixed_by_default() -> None:
    rng = np.random.default_rng(0)
    assert draw_mixing(LossConfig(), 6, 32, rng) is None
    assert rng.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize("loss", [MIXUP, CUTMIX, BOTH], ids=["mixup", "cutmix", "both"])
@pytest.mark.parametrize("rows", [1, 2, 7])
def test_shapes_ranges_and_the_share_is_what_is_left_of_the_image(loss, rows) -> None:
    for seed in range(50):
        mixing = draw(loss, seed, rows)
        assert sorted(mixing.partners.tolist()) == list(range(rows))
        assert mixing.weights.shape == (1, 1, 32, 32)
        assert mixing.weights.dtype == np.float32
        assert 0 <= mixing.weights.min() <= mixing.weights.max() <= 1
        assert isinstance(mixing.share, float)
        assert mixing.share == pytest.approx(sum(mixing.weights.ravel().tolist()) / 32**2, abs=1e-9)


def test_equal_generators_give_equal_mixings_and_others_differ() -> None:
    for one, other in zip(draw(BOTH, 3), draw(BOTH, 3)):
        np.testing.assert_array_equal(one, other)
    assert len({draw(BOTH, seed).share for seed in range(20)}) > 15


def test_mixup_weighs_all_pixels_alike_and_its_share_is_beta() -> None:
    shares = []
    for seed in range(3000):
        mixing = draw(MIXUP, seed, side=8)
        assert (mixing.weights == mixing.weights[0, 0, 0, 0]).all()
        shares.append(mixing.share)
    # Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1)); six standard errors.
    variance = 1 / (4 * (2 * 0.4 + 1))
    assert abs(np.mean(shares) - 0.5) < 6 * (variance / 3000) ** 0.5
    assert np.var(shares) == pytest.approx(variance, rel=0.1)


def test_cutmix_keeps_all_but_a_box() -> None:
    for seed in range(200):
        mixing = draw(CUTMIX, seed)
        rows, columns = np.nonzero(mixing.weights[0, 0] == 0)
        if len(rows):
            height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
            assert height * width == len(rows)
            assert mixing.share == 1 - height * width / 32**2
        assert has_box(mixing)


def test_cutmix_boxes_inside_the_image_are_squares_of_the_drawn_area() -> None:
    # With a large alpha the share is near 1/2: sides near 64 * sqrt(1/2) = 45.
    sides = []
    for seed in range(400):
        weights = draw(LossConfig(cutmix=100.0), seed, side=64).weights[0, 0]
        rows, columns = (np.flatnonzero((weights == 0).any(axis=axis)) for axis in (1, 0))
        if min(rows[0], columns[0]) > 0 and max(rows[-1], columns[-1]) < 63:
            assert abs(np.ptp(rows) - np.ptp(columns)) <= 1
            sides.append(np.ptp(rows) + 1)
    assert len(sides) > 20
    assert np.mean(sides) == pytest.approx(64 * 0.5**0.5, abs=1)


def test_cutmix_boxes_lie_as_the_paper_says() -> None:
    """Uniform centres and clipping, against a loop of the paper's formula at high resolution."""
    rng = np.random.default_rng(0)
    expected = np.zeros(16)
    for _ in range(20000):
        half, centre = (1 - rng.beta(1, 1)) ** 0.5 / 2, rng.random()
        pixels = (np.arange(16) + 0.5) / 16
        expected += (pixels > centre - half) & (pixels < centre + half)
    found = np.zeros(16)
    for seed in range(4000):
        found += (draw(CUTMIX, seed, side=16).weights[0, 0] == 0).any(axis=1)
    # A row that the box crosses: a share of the draws with a standard error below 0.008,
    # and boxes too narrow for a pixel are not seen.
    np.testing.assert_allclose(found / 4000, expected / 20000, atol=0.05)


def test_with_both_each_is_drawn_as_often() -> None:
    count = sum(has_box(draw(BOTH, seed, side=8)) for seed in range(2000))
    assert abs(count - 1000) < 6 * 500**0.5


def test_all_orders_are_as_likely() -> None:
    orders = [tuple(draw(BOTH, seed, rows=3, side=2).partners) for seed in range(1800)]
    counts = [orders.count(order) for order in set(orders)]
    assert len(counts) == 6
    assert min(counts) > 300 - 6 * 16  # standard deviation 15.8


@pytest.mark.parametrize("alpha", [1e-300, 1e-3, 100.0])
def test_extreme_alphas_give_shares(alpha: float) -> None:
    for seed in range(100):
        for loss in (LossConfig(mixup=alpha), LossConfig(cutmix=alpha)):
            mixing = draw(loss, seed)
            assert 0 <= mixing.share <= 1
            assert np.isfinite(mixing.weights).all()
