"""Crops, turns and tilts against points moved by hand, naive sampling and other functions."""

from __future__ import annotations

import math
from collections import Counter

import cv2
import numpy as np
import pytest

from fashionai.config.augmentations import (
    Dihedral,
    Flip,
    Mirror,
    RandomResizedCrop,
    Rotate,
    Warp,
    Zoom,
)
from fashionai.pipeline.augmentation.geometry import (
    Box,
    draw_box,
    draw_homography,
    minification,
    sample_view,
)
from tests.support.images import augmented, coordinates, photograph

SIDE = 64
WHOLE = Box(0, 0, SIDE, SIDE)


def turn(degrees: float) -> np.ndarray:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


def motion_of(*steps, seed: int = 0) -> np.ndarray:
    return draw_homography(steps, np.random.default_rng(seed))


def move(matrix: np.ndarray, point) -> np.ndarray:
    x, y, depth = matrix @ (*point, 1)
    return np.array([x / depth, y / depth])


def dot(x: float, y: float) -> np.ndarray:
    """A round spot at square coordinates (x, y) of an image of SIDE pixels."""
    centres = (2 * np.arange(SIDE) + 1) / SIDE - 1
    distance = (centres[None] - x) ** 2 + (centres[:, None] - y) ** 2
    spot = 250 * np.exp(-distance / (2 * 0.06**2))
    return np.repeat(np.rint(spot).astype(np.uint8)[:, :, None], 3, axis=2)


def centroid(image: np.ndarray, around) -> np.ndarray:
    """Centre of mass of what lies near a point: there may be mirror images elsewhere."""
    centres = (2 * np.arange(len(image)) + 1) / len(image) - 1
    distance = np.hypot(centres[None] - around[0], centres[:, None] - around[1])
    weights = image[:, :, 0] * (distance < 0.3)
    total = weights.sum()
    return np.array([weights.sum(0) @ centres, weights.sum(1) @ centres]) / total


def source_of(i: int, j: int, box: Box, motion: np.ndarray, crop: int) -> tuple[float, float]:
    """Where in the image the view's pixel (i, j) is found, in whole numbers for pixel centres."""
    x, y = move(motion, (2 * (j + 0.5) / crop - 1, 2 * (i + 0.5) / crop - 1))
    row = box.top + box.height * (y + 1) / 2 - 0.5
    return row, box.left + box.width * (x + 1) / 2 - 0.5


def naive_sample(image: np.ndarray, box: Box, motion: np.ndarray, crop: int) -> np.ndarray:
    """Bilinear sampling, pixel by pixel, mirrored at the centres of the outer pixels."""
    out = np.zeros((crop, crop, 3))

    def pixel(row: int, column: int) -> np.ndarray:
        def inside(index: int, size: int) -> int:
            index %= 2 * (size - 1)
            return min(index, 2 * (size - 1) - index)

        return image[inside(row, image.shape[0]), inside(column, image.shape[1])].astype(float)

    for i in range(crop):
        for j in range(crop):
            row, column = source_of(i, j, box, motion, crop)
            top, left = math.floor(row), math.floor(column)
            down, right = row - top, column - left
            above = (1 - right) * pixel(top, left) + right * pixel(top, left + 1)
            below = (1 - right) * pixel(top + 1, left) + right * pixel(top + 1, left + 1)
            out[i, j] = (1 - down) * above + down * below
    return out


# Tilt about the vertical axis: the left side becomes 1.2 times as long, the right one 0.8 times,
# both stay where they are. Then x -> (x + 0.2) / (1 + 0.2 x), y -> 0.96 y / (1 + 0.2 x).
TILT = np.linalg.inv(np.array([[1, 0, 0.2], [0, 0.96, 0], [0.2, 0, 1]]))


@pytest.mark.parametrize(
    ("motion", "before", "after"),
    [
        (turn(90), (0.5, 0), (0, -0.5)),
        (turn(90), (0.25, 0.5), (0.5, -0.25)),
        (turn(30), (0.5, 0), (0.5 * 3**0.5 / 2, -0.25)),
        (turn(-30), (0.5, 0), (0.5 * 3**0.5 / 2, 0.25)),
        (np.diag([0.5, 0.5, 1]), (0.25, -0.125), (0.5, -0.25)),
        (np.diag([2.0, 2.0, 1]), (0.5, -0.25), (0.25, -0.125)),
        (TILT, (0, 0), (0.2, 0)),
        (TILT, (0, 0.5), (0.2, 0.48)),
        (TILT, (-0.5, 0.5), (-0.3 / 0.9, 0.48 / 0.9)),
    ],
)
def test_a_dot_goes_where_it_should(motion, before, after) -> None:
    found = centroid(sample_view(dot(*before), WHOLE, motion, SIDE), after)
    # A tenth of a pixel; in perspective a spot's centre of mass is not quite its centre.
    np.testing.assert_allclose(found, after, atol=0.1 * 2 / SIDE if motion is not TILT else 0.01)


def test_turning_by_90_degrees_is_what_numpy_does() -> None:
    image = photograph(SIDE, SIDE)
    for quarter in range(1, 4):
        turned = sample_view(image, WHOLE, turn(90 * quarter), SIDE).astype(int)
        difference = np.abs(turned - np.rot90(image, quarter))
        assert difference.max() <= 1


def test_zooming_is_cutting_the_centre_and_resizing() -> None:
    image = photograph(SIDE, SIDE)
    zoomed = augmented(image, SIDE, [Zoom(factor=[2.0, 2.0])])[:, :, ::-1]
    expected = cv2.resize(image[16:48, 16:48], (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    # The outermost pixels look beyond the cut.
    inside = np.s_[1:-1, 1:-1]
    np.testing.assert_allclose(zoomed[inside].astype(int), expected[inside], atol=2)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("box", [Box(5, 9, 20, 20), Box(0, 20, 28, 18)], ids=["square", "tall"])
def test_views_are_sampled_from_the_whole_image_and_its_mirror_images(box, seed) -> None:
    image = photograph(40, 50)
    motion = motion_of(Rotate(degrees=90.0), Zoom(factor=[0.95, 1.5]), Warp(), seed=seed)
    view = sample_view(image, box, motion, 32)
    expected = naive_sample(image, box, motion, 32)
    # OpenCV places samples to 1/32 of a pixel.
    assert np.abs(view - expected).max() <= 4
    assert np.abs(view - expected).mean() < 0.5


def test_steps_at_once_are_steps_one_after_the_other() -> None:
    image = photograph(160, 160)
    box, middle = Box(0, 0, 160, 160), np.s_[50:110, 50:110]
    for seed in range(6):
        steps = [Rotate(degrees=40.0), Warp(), Mirror(), Zoom(factor=[1.0, 1.3])]
        at_once = sample_view(image, box, motion_of(*steps, seed=seed), 160)
        rng = np.random.default_rng(seed)
        one_by_one = image
        for step in steps:
            one_by_one = sample_view(one_by_one, box, draw_homography([step], rng), 160)
        difference = np.abs(at_once[middle].astype(int) - one_by_one[middle])
        assert difference.max() <= 5
        assert difference.mean() < 0.5
        assert at_once.std() > 10


def test_what_is_shrunk_is_averaged() -> None:
    """Single black and white pixels become grey, not a random choice of them."""
    board = np.indices((256, 256)).sum(axis=0) % 2 * 255
    image = np.repeat(board.astype(np.uint8)[:, :, None], 3, axis=2)
    view = sample_view(image, Box(0, 0, 256, 256), turn(20), 64)
    assert np.abs(view.astype(int) - 127).max() <= 3


def test_the_scale_is_the_area_that_the_central_pixel_covers() -> None:
    for seed in range(20):
        motion = motion_of(Rotate(degrees=90.0), Warp(magnitude=0.4), seed=seed)
        matrix = np.array([[3.0, 0, 20], [0, 2.0, 10], [0, 0, 1]]) @ motion
        # The parallelogram of a small step to the right and one down.
        right = move(matrix, (3.50001, 3.5)) - move(matrix, (3.49999, 3.5))
        down = move(matrix, (3.5, 3.50001)) - move(matrix, (3.5, 3.49999))
        area = abs(right[0] * down[1] - right[1] * down[0]) / 4e-10
        assert minification(matrix, 8) == pytest.approx(area**0.5, rel=1e-4)


@pytest.mark.parametrize("box", [Box(0, 0, 256, 250), Box(30, 55, 128, 192)])
def test_what_is_shrunk_stays_in_its_place(box: Box) -> None:
    image = coordinates(256, 250)
    motion = motion_of(Rotate(degrees=20.0), Warp(), seed=5)
    view, compared = sample_view(image, box, motion, 32), 0
    for i, j in np.ndindex(32, 32):
        row, column = source_of(i, j, box, motion, 32)
        # Beyond the edges it matters whether mirrored before or after the image is shrunk.
        if 8 < row < 240 and 8 < column < 240:
            compared += 1
            # The colours are the coordinates; a pixel of the shrunk image is up to 8 of them.
            assert abs(view[i, j, 0] - row) <= 1.5
            assert abs(view[i, j, 2] - column) <= 1.5
    assert compared > 500


@pytest.mark.parametrize("size", [(8, 8), (8, 90), (300, 9)])
def test_images_of_all_sizes_give_full_views(size: tuple[int, int]) -> None:
    image = np.full((*size, 3), 77, np.uint8)
    steps = [Rotate(degrees=180.0), Zoom(factor=[0.1, 10.0]), Warp(magnitude=0.49)]
    for seed in range(20):
        assert (augmented(image, 8, [RandomResizedCrop(), *steps], seed) == 77).all()


def test_angles_are_uniform() -> None:
    matrices = [motion_of(Rotate(degrees=30.0), seed=seed) for seed in range(2000)]
    angles = [math.degrees(math.atan2(matrix[1, 0], matrix[0, 0])) for matrix in matrices]
    for matrix, angle in zip(matrices[:50], angles):
        np.testing.assert_allclose(matrix, turn(angle), atol=1e-12)
    check_uniform(angles, -30, 30)


def test_zooms_are_uniform() -> None:
    matrices = [motion_of(Zoom(factor=[0.8, 1.6]), seed=seed) for seed in range(2000)]
    assert all(matrix[0, 0] == matrix[1, 1] for matrix in matrices)
    check_uniform([1 / matrix[0, 0] for matrix in matrices], 0.8, 1.6)


def test_tilts_move_the_corners_as_defined() -> None:
    draws = []
    for seed in range(1000):
        forward = np.linalg.inv(motion_of(Warp(magnitude=0.3), seed=seed))
        (x1, y1), (x2, y2) = move(forward, (-1, -1)), move(forward, (1, 1))
        top, left, bottom, right = -1 - x1, -1 - y1, x2 - 1, y2 - 1
        np.testing.assert_allclose(move(forward, (1, -1)), (1 + top, -1 - right), atol=1e-5)
        np.testing.assert_allclose(move(forward, (-1, 1)), (-1 - bottom, 1 + left), atol=1e-5)
        draws.append((left, right, top, bottom))
    for side in np.transpose(draws):
        check_uniform(side, -0.3, 0.3)
    correlations = np.corrcoef(np.transpose(draws)) - np.eye(4)
    assert np.abs(correlations).max() < 6 / 1000**0.5


def check_uniform(values, low: float, high: float) -> None:
    """All in range, and every tenth of the range as often, within six standard deviations."""
    assert low - 1e-5 <= min(values) <= max(values) <= high + 1e-5
    counts = np.histogram(values, 10, (low - 1e-5, high + 1e-5))[0]
    expected = len(values) / 10
    assert np.abs(counts - expected).max() < 6 * (expected * 0.9) ** 0.5


def eight_cases(image: np.ndarray) -> list[bytes]:
    turns = [np.rot90(side, k) for side in (image, image[:, ::-1]) for k in range(4)]
    return [np.ascontiguousarray(case[:, :, ::-1]).tobytes() for case in turns]


def test_the_eight_dihedral_cases_come_as_often() -> None:
    image = photograph(16, 16)
    found = Counter(augmented(image, 16, [Dihedral()], seed).tobytes() for seed in range(1600))
    assert set(found) == set(eight_cases(image))
    assert min(found.values()) > 200 - 6 * 14  # standard deviation 13.2


def test_flips_and_quarter_turns_follow_the_order_of_the_list() -> None:
    image = photograph(16, 16)
    for seed in range(20):
        turned = augmented(image, 16, [Dihedral()], seed)
        after = augmented(image, 16, [Dihedral(), Mirror(p=1.0)], seed)
        np.testing.assert_array_equal(after, turned[:, ::-1])
        after = augmented(image, 16, [Dihedral(), Flip(p=1.0)], seed)
        np.testing.assert_array_equal(after, turned[::-1])
        before = augmented(image, 16, [Mirror(p=1.0), Dihedral()], seed)
        of_mirrored = augmented(image[:, ::-1].copy(), 16, [Dihedral()], seed)
        np.testing.assert_array_equal(before, of_mirrored)


def boxes(step: RandomResizedCrop, height: int, width: int, draws: int) -> list[Box]:
    found = [
        draw_box([step], (height, width), 32, 16, np.random.default_rng(seed))
        for seed in range(draws)
    ]
    for box in found:
        assert 0 <= box.top <= height - box.height
        assert 0 <= box.left <= width - box.width
    return found


def test_random_shares_have_the_given_areas_and_ratios() -> None:
    step = RandomResizedCrop(area=[0.1, 0.3], ratio=[0.5, 2.0])
    found = boxes(step, 1000, 1000, 2000)
    check_uniform([box.height * box.width / 1e6 for box in found], 0.0999, 0.3001)
    check_uniform([math.log2(box.width / box.height) for box in found], -1.005, 1.005)


def test_random_shares_lie_anywhere() -> None:
    step = RandomResizedCrop(area=[0.25, 0.25], ratio=[1.0, 1.0])
    found = boxes(step, 1000, 1000, 2000)
    assert {box[2:] for box in found} == {(500, 500)}
    check_uniform([box.top for box in found], 0, 500)
    check_uniform([box.left for box in found], 0, 500)


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        ([1.0, 1.0], Box(0, 20, 40, 40)),
        ([3.0, 4.0], Box(6, 0, 27, 80)),
        ([0.5, 0.8], Box(0, 24, 40, 32)),
    ],
)
def test_where_no_share_fits_it_is_the_largest_in_the_centre(ratio, expected) -> None:
    step = RandomResizedCrop(area=[1.0, 1.0], ratio=ratio)
    assert set(boxes(step, 40, 80, 20)) == {expected}


def test_random_shares_are_resized_to_the_view() -> None:
    image = coordinates(200, 240)
    step = RandomResizedCrop(area=[0.2, 0.6], ratio=[0.75, 4 / 3])
    for seed in range(30):
        view = augmented(image, 32, [step], seed)
        box = draw_box([step], image.shape, 200, 32, np.random.default_rng(seed))
        rows, columns = view[:, 16, 2].astype(float), view[16, :, 0].astype(float)
        # Evenly spaced centres of the box's 32 rows and columns.
        centres = (np.arange(32) + 0.5) / 32
        np.testing.assert_allclose(rows, box.top + box.height * centres - 0.5, atol=1.01)
        np.testing.assert_allclose(columns, box.left + box.width * centres - 0.5, atol=1.01)
