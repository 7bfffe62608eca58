"""Training views on images whose pixels encode their coordinates."""

from __future__ import annotations

from collections import Counter
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashionai.config import DataConfig
from fashionai.config.augmentations import (
    AugMix,
    Brightness,
    Contrast,
    Dihedral,
    Flip,
    Hue,
    Lighting,
    Mirror,
    Noise,
    RandAugment,
    RandomCrop,
    RandomErasing,
    RandomResizedCrop,
    Rotate,
    Saturation,
    Step,
    TrivialAugment,
    Warp,
    Zoom,
)
from fashionai.pipeline.augment import EvaluationTransform
from tests.support.images import augmented, coordinates, photograph, view

Offsets = tuple[int, int, bool]


def where(rgb: np.ndarray) -> Offsets:
    """Offset (y, x) and whether mirrored of a view of coordinates(); checks all its pixels."""
    rows, columns = rgb[:, :, 2].astype(int), rgb[:, :, 0].astype(int)
    size = len(rgb)
    mirrored = bool(columns[0, 0] > columns[0, -1])
    y, x = int(rows.min()), int(columns.min())
    across = np.arange(x, x + size)
    np.testing.assert_array_equal(rows, np.repeat(np.arange(y, y + size)[:, None], size, axis=1))
    np.testing.assert_array_equal(
        columns, np.repeat((across[::-1] if mirrored else across)[None], size, axis=0)
    )
    assert (rgb[:, :, 1] == 99).all()
    return y, x, mirrored


@pytest.mark.parametrize("size", [(20, 20), (20, 26), (25, 20)], ids=["square", "wide", "tall"])
def test_random_crops_lie_inside_and_take_every_offset_alike(size: tuple[int, int]) -> None:
    data = DataConfig(resize_short=20, crop=16, augment=[RandomCrop()])
    image = coordinates(*size)
    places = (size[0] - 15) * (size[1] - 15)
    draws = 60 * places
    found = Counter(where(view(image, data, seed)) for seed in range(draws))
    assert set(found) == {(y, x, False) for y in range(size[0] - 15) for x in range(size[1] - 15)}
    # Mean 60, standard deviation below 8: six of them.
    assert max(found.values()) < 108
    assert min(found.values()) > 12


@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 1.0])
def test_mirrors_have_the_given_probability(p: float) -> None:
    data = DataConfig(resize_short=20, crop=16, augment=[RandomCrop(), Mirror(p=p)])
    image = coordinates(20, 22)
    draws = 2000
    count = sum(where(view(image, data, seed))[2] for seed in range(draws))
    assert abs(count - draws * p) <= 6 * (draws * p * (1 - p)) ** 0.5


def test_offset_and_mirror_are_independent() -> None:
    data = DataConfig(resize_short=18, crop=16, augment=[RandomCrop(), Mirror()])
    image = coordinates(18, 18)
    found = Counter(where(view(image, data, seed)) for seed in range(1800))
    assert len(found) == 18
    assert min(found.values()) > 40  # 100 on average, standard deviation 10


def test_equal_generators_give_equal_views_and_others_differ() -> None:
    data = DataConfig(resize_short=40, crop=16, augment=[RandomCrop(), Mirror()])
    image = photograph(60, 80)
    np.testing.assert_array_equal(view(image, data, 3), view(image, data, 3))
    assert len({view(image, data, seed).tobytes() for seed in range(10)}) > 5


@pytest.mark.parametrize(
    "size",
    [(256, 256), (512, 683), (768, 512), (300, 1600), (100, 130), (28, 28), (48, 40), (64, 64)],
)
def test_without_chance_a_view_is_the_evaluations_centre(size: tuple[int, int]) -> None:
    data = DataConfig(resize_short=64, crop=56, augment=[])
    # Brightness rises evenly down and to the right, so a difference in it is one of place.
    steps = [min(1.0, 250 / side) for side in size]
    image = np.zeros((*size, 3), np.uint8)
    image[:, :, 0] = (np.arange(size[0]) * steps[0])[:, None]
    image[:, :, 2] = (np.arange(size[1]) * steps[1])[None]
    trained = view(image, data).astype(int)
    evaluated = view(image, data, transform=EvaluationTransform(data)).astype(int)
    for channel, step in ((2, steps[0]), (0, steps[1])):
        difference = np.abs(trained[:, :, channel] - evaluated[:, :, channel])
        # Place and size are rounded to pixels of the source, half of one each; so are colours.
        assert difference.max() <= 1.5 * step + 1.5
        assert difference.mean() <= 0.5 * step + 1


def test_without_chance_an_image_of_the_right_size_is_cut_exactly() -> None:
    data = DataConfig(resize_short=20, crop=16, augment=[])
    image = coordinates(20, 31)
    assert where(view(image, data)) == (2, 7, False)
    np.testing.assert_array_equal(
        view(image, data), view(image, data, transform=EvaluationTransform(data))
    )


@pytest.mark.parametrize("size", [(120, 200), (200, 120), (9, 40), (30, 8), (8, 8)])
def test_random_crops_show_the_share_of_the_image_that_they_should(size) -> None:
    data = DataConfig(resize_short=40, crop=30, augment=[RandomCrop()])
    image = coordinates(*size)
    share = 30 / 40 * min(size)
    for seed in range(40):
        rgb = view(image, data, seed).astype(int)
        for channel, side in ((2, size[0]), (0, size[1])):
            low, high = rgb[:, :, channel].min(), rgb[:, :, channel].max()
            assert low >= 0
            assert high <= side - 1
            assert abs((high - low + 1) - share) <= 3


@settings(max_examples=80, deadline=None)
@given(
    st.integers(8, 90),
    st.integers(8, 90),
    st.integers(8, 600),
    st.integers(8, 600),
    st.integers(0, 5),
)
def test_every_size_gives_a_full_view(height, width, one, other, seed) -> None:
    data = DataConfig(resize_short=max(one, other), crop=min(one, other))
    image = np.full((height, width, 3), 77, np.uint8)
    assert (view(image, data, seed) == 77).all()


EVERY_STEP = [
    *(RandomResizedCrop(), Mirror(), Flip(), Dihedral(), Rotate(), Zoom(), Warp()),
    *(Brightness(), Contrast(), Brightness(space="logit"), Contrast(space="logit")),
    *(Saturation(), Hue(), Lighting(), Noise(), RandomErasing()),
    *(RandAugment(), TrivialAugment(), AugMix()),
]
WITHOUT_STRENGTH = [
    *(Rotate(degrees=0.0), Zoom(factor=[1.0, 1.0]), Warp(magnitude=0.0)),
    *(Brightness(amount=0.0), Brightness(amount=0.0, space="logit")),
    *(Contrast(amount=0.0), Contrast(amount=0.0, space="logit")),
    *(Saturation(amount=0.0), Hue(amount=0.0), Lighting(std=0.0), Noise(std=0.0)),
    *(step.model_copy(update={"p": 0.0}) for step in EVERY_STEP),
]


def test_every_kind_of_step_is_tried() -> None:
    assert {type(step) for step in EVERY_STEP} | {RandomCrop} == set(get_args(Step))


@pytest.mark.parametrize("step", WITHOUT_STRENGTH, ids=repr)
def test_a_step_without_strength_changes_no_bit(step) -> None:
    image = photograph(40, 56)
    for seed in range(5):
        np.testing.assert_array_equal(
            augmented(image, 32, [RandomCrop(), step, Mirror()], seed),
            augmented(image, 32, [RandomCrop(), Mirror()], seed),
        )


@pytest.mark.parametrize("step", EVERY_STEP, ids=repr)
def test_a_step_changes_views_as_often_as_its_probability_says(step) -> None:
    image = photograph(40, 56)
    plain = augmented(image, 32, [])
    # Each of the eight dihedral cases is as likely, and one of them changes nothing.
    chance = 0.3 * (7 / 8 if isinstance(step, Dihedral) else 1)
    often = step.model_copy(update={"p": 0.3})
    count = sum((augmented(image, 32, [often], seed) != plain).any() for seed in range(500))
    # Now and then so little is drawn that no pixel changes.
    assert -6 <= (count - 500 * chance) / (500 * chance * (1 - chance)) ** 0.5 <= 6


def test_the_last_crop_that_happens_counts() -> None:
    whole = RandomResizedCrop(p=0.5, area=[1.0, 1.0], ratio=[1.0, 1.0])
    image = coordinates(32, 32)
    steps = [RandomCrop(), whole]
    # The red of the first row tells the column.
    extents = [np.ptp(augmented(image, 16, steps, seed)[0, :, 0]) for seed in range(300)]
    assert all(extent == 15 or extent > 25 for extent in extents)
    assert 90 < sum(extent > 25 for extent in extents) < 210


def test_equal_generators_give_equal_views_with_every_step() -> None:
    image = photograph(60, 80)
    first, again, other = (augmented(image, 32, EVERY_STEP, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_image_itself_stays_as_it_is() -> None:
    image = photograph(32, 32)
    before = image.copy()
    for seed in range(20):
        augmented(image, 32, EVERY_STEP, seed)
    np.testing.assert_array_equal(image, before)
