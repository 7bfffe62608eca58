"""RandAugment, TrivialAugment and AugMix: each operation against Pillow, draws against ranges."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from fashionai.config.augmentations import AugMix, Mirror, RandAugment, TrivialAugment
from fashionai.pipeline.augmentation.geometry import Box, draw_homography, sample_view
from fashionai.pipeline.augmentation.operations import (
    GEOMETRIC,
    PIXELS,
    Operation,
    apply_operations,
)
from fashionai.pipeline.augmentation.policies import (
    POLICIES,
    aug_mix_space,
    draw_operation,
    mix_chains,
    rand_augment_space,
    trivial_augment_space,
)
from tests.support.images import augmented, photograph

SIDE = 64
RGB = np.ascontiguousarray(photograph(SIDE, SIDE)[:, :, ::-1])
PICTURE = Image.fromarray(RGB)


def applied(name: str, amount: float, view: np.ndarray = RGB) -> np.ndarray:
    changed = view.copy()
    apply_operations([Operation(name, amount)], changed)
    return changed


def enhanced(kind: Any) -> Callable[[float], Image.Image]:
    return lambda amount: kind(PICTURE).enhance(1 + amount)


# What Pillow does, and the largest difference: it cuts fractions off, where ours are rounded, and
# rounds greys first.
PILLOW = {
    "identity": (lambda amount: PICTURE, [0], 0),
    "brightness": (enhanced(ImageEnhance.Brightness), [-0.99, -0.3, 0.45, 0.99], 1),
    "saturation": (enhanced(ImageEnhance.Color), [-0.99, -0.3, 0.45, 0.99], 2),
    "contrast": (enhanced(ImageEnhance.Contrast), [-0.99, -0.3, 0.45, 0.99], 2),
    "sharpness": (enhanced(ImageEnhance.Sharpness), [-0.99, -0.3, 0.45, 0.99], 1),
    "posterize": (lambda bits: ImageOps.posterize(PICTURE, bits), [1, 2, 4, 7, 8], 0),
    "solarize": (lambda limit: ImageOps.solarize(PICTURE, limit), [0, 100, 127.5, 255], 0),
    "autocontrast": (lambda amount: ImageOps.autocontrast(PICTURE), [0], 0),
    "equalize": (lambda amount: ImageOps.equalize(PICTURE), [0], 0),
}


@pytest.mark.parametrize("name", PIXELS)
def test_operations_on_pixels_do_what_pillow_does(name: str) -> None:
    pillow, amounts, tolerance = PILLOW[name]
    for amount in amounts:
        difference = applied(name, amount).astype(int) - np.asarray(pillow(amount))
        assert np.abs(difference).max() <= tolerance, amount


@pytest.mark.parametrize("name", ["autocontrast", "equalize", "contrast", "sharpness"])
def test_uniform_and_dark_images(name: str) -> None:
    """Of one value, of two, and of a range that the division rounds down."""
    ramp = np.repeat(np.arange(40, 104, dtype=np.uint8)[:, None, None], SIDE, 1).repeat(3, 2)
    for view in (np.full_like(RGB, 77), np.where(RGB > 99, 100, 40).astype(np.uint8), ramp):
        picture = Image.fromarray(view)
        if name in ("autocontrast", "equalize"):
            expected = np.asarray(getattr(ImageOps, name)(picture))
            np.testing.assert_array_equal(applied(name, 0, view), expected)
        elif len(np.unique(view)) == 1:
            np.testing.assert_array_equal(applied(name, 0.9, view), view)


def affine_of(name: str, amount: float) -> tuple[float, ...]:
    """The coefficients that Pillow, as AutoAugment, takes for an operation on SIDE pixels."""
    cos, sin = math.cos(math.radians(amount)), math.sin(math.radians(amount))
    half = SIDE / 2
    return {
        "shear_x": (1, amount, 0, 0, 1, 0),
        "shear_y": (1, 0, 0, amount, 1, 0),
        "translate_x": (1, 0, amount * SIDE, 0, 1, 0),
        "translate_y": (1, 0, 0, 0, 1, amount * SIDE),
        "rotate": (
            *(cos, -sin, half - half * cos + half * sin),
            *(sin, cos, half - half * sin - half * cos),
        ),
    }[name]


@pytest.mark.parametrize("name", GEOMETRIC)
def test_geometric_operations_do_what_pillow_does(name: str) -> None:
    """Where the result comes from within the image. OpenCV places samples on 1/32 of a pixel."""
    amounts = (-135.0, 20.0, 30.0) if name == "rotate" else (-0.3, 0.1, 0.45)
    for amount in amounts:
        homography = draw_homography([Operation(name, amount)], np.random.default_rng(0))
        ours = sample_view(RGB, Box(0, 0, SIDE, SIDE), homography, SIDE).astype(int)
        options: tuple[Any, ...] = ((SIDE, SIDE), Image.Transform.AFFINE, affine_of(name, amount))
        theirs = np.asarray(PICTURE.transform(*options, Image.Resampling.BILINEAR))
        whole = Image.new("L", (SIDE, SIDE), 255).transform(*options, Image.Resampling.BICUBIC)
        inside = np.asarray(whole) == 255
        assert inside.mean() > 0.4
        difference = np.abs(ours - theirs)[inside]
        assert difference.mean() < 0.7
        assert np.percentile(difference, 99) <= 6


# The least and largest amounts, in torchvision's units but for pixels: shares of 224.
RANGES = {
    "rand_augment": (rand_augment_space(), 0.3, 150 / 331, 30, 0.9, [8, 8, 7, 6, 6, 6, 5, 4, 4]),
    "trivial_augment": (
        *(trivial_augment_space(224), 0.99, 32 / 224, 135, 0.99),
        [8, 7, 6, 6, 5, 4, 4, 3, 2],
    ),
    "aug_mix": (aug_mix_space(), 0.3, 1 / 3, 30, 0.9, [4, 4, 3, 2, 2, 2, 1, 0, 0]),
}


@pytest.mark.parametrize("name", RANGES)
def test_amounts_have_torchvisions_ranges(name: str) -> None:
    """Each operation with equal probability, each sign too; magnitudes of 0 to 8 eighths."""
    space, shear, shift, degrees, light, bits = RANGES[name]
    largest = {"shear_x": shear, "shear_y": shear, "translate_x": shift, "translate_y": shift}
    largest |= dict.fromkeys(("brightness", "saturation", "contrast", "sharpness"), light)
    signed = [*largest.items(), ("rotate", degrees)]
    rng = np.random.default_rng(1)
    for eighths in range(9):
        drawn = [draw_operation(space, eighths / 8, rng) for _ in range(1500)]
        found = Counter(drawn)
        for operation in found:
            expected = {
                **{key: {sign * most * eighths / 8 for sign in (1, -1)} for key, most in signed},
                "posterize": {bits[eighths]},
                "solarize": {255 * (1 - eighths / 8)},
            }.get(operation.name, {0})
            assert min(abs(operation.amount - each) for each in expected) < 1e-9
        names = Counter(operation.name for operation in drawn)
        missing = {"identity"} if name == "aug_mix" else set()
        assert names.keys() == space.keys() == {*PIXELS, *GEOMETRIC} - missing
        assert min(names.values()) > 0.6 * 1500 / len(space)
        if eighths:
            negative = sum(operation.amount < 0 for operation in drawn)
            assert abs(negative / (1500 * 9 / 2 / len(space)) - 1) < 0.2


def test_rand_augment_draws_layers_around_its_magnitude() -> None:
    rng = np.random.default_rng(2)
    fixed = [POLICIES["rand_augment"](RandAugment(layers=3), 224, rng) for _ in range(200)]
    assert {len(operations) for operations in fixed} == {3}
    amounts = {abs(each.amount) for many in fixed for each in many if each.name == "rotate"}
    assert amounts == {30 * 9 / 30}
    varied = RandAugment(layers=1, magnitude=15, deviation=5)
    drawn = [POLICIES["rand_augment"](varied, 224, rng)[0] for _ in range(6000)]
    degrees = [abs(each.amount) for each in drawn if each.name == "rotate"]
    assert np.mean(degrees) == pytest.approx(15, abs=1)
    assert np.std(degrees) == pytest.approx(5, abs=0.7)
    assert 0 <= min(degrees) <= max(degrees) <= 30


def test_trivial_augment_draws_one_operation_of_31_magnitudes() -> None:
    rng = np.random.default_rng(3)
    drawn = [POLICIES["trivial_augment"](TrivialAugment(), 224, rng) for _ in range(8000)]
    assert {len(operations) for operations in drawn} == {1}
    found = Counter(round(abs(each.amount) / 4.5, 6) for (each,) in drawn if each.name == "rotate")
    assert found.keys() == set(map(float, range(31)))


def test_one_sampling_and_the_pixels_in_their_order() -> None:
    """A view is that of the geometric operations alone, followed by the others."""
    step = RandAugment(layers=4, magnitude=20)
    kinds = set()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        operations = POLICIES["rand_augment"](step, SIDE, rng)
        geometric = [each for each in operations if each.name in GEOMETRIC]
        kinds.add(len(geometric))
        homography = draw_homography([*geometric, Mirror(p=1)], rng)
        expected = sample_view(RGB, Box(0, 0, SIDE, SIDE), homography, SIDE).copy()
        apply_operations([each for each in operations if each.name not in GEOMETRIC], expected)
        found = augmented(RGB[:, :, ::-1], SIDE, [step, Mirror(p=1)], seed)
        np.testing.assert_array_equal(found, expected)
    assert len(kinds) > 2


def test_aug_mix_is_a_convex_sum_of_the_image_and_its_chains(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With operations that leave the image alone it stays; with black ones its share is left."""
    view = RGB.copy()
    for name in PIXELS.keys() | GEOMETRIC.keys():
        table = PIXELS if name in PIXELS else GEOMETRIC
        nothing = (lambda view, amount: None) if name in PIXELS else (lambda amount: np.eye(3))
        monkeypatch.setitem(table, name, nothing)
    mix_chains([AugMix()], view, np.random.default_rng(0))
    assert np.abs(view.astype(int) - RGB).max() <= 1

    def blacken(view: np.ndarray, amount: float) -> None:
        view[...] = 0

    for name in PIXELS:
        monkeypatch.setitem(PIXELS, name, blacken)
    monkeypatch.setattr(
        "fashionai.pipeline.augmentation.policies.aug_mix_space", lambda: rand_augment_space()
    )
    shares = []
    for seed in range(300):
        white = np.full((8, 8, 3), 255, np.uint8)
        mix_chains([AugMix(width=1)], white, np.random.default_rng(seed))
        shares.append(white[0, 0, 0] / 255)
    # The image's own share is uniform; one more part of the chains has geometric operations alone.
    assert 0.5 < np.mean(shares) < 0.75
    assert min(shares) < 0.05


def test_a_policy_of_probability_zero_draws_nothing() -> None:
    plain = augmented(RGB, SIDE, [Mirror(p=0.5)], 5)
    for step in (RandAugment(p=0), TrivialAugment(p=0), AugMix(p=0)):
        np.testing.assert_array_equal(augmented(RGB, SIDE, [step, Mirror(p=0.5)], 5), plain)
