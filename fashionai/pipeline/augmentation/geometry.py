"""Geometry of training views: the crop box, and rotations, flips, zooms and warps of it.

Geometric steps are homographies of *square coordinates*: x points right, y points
down, and both run from -1 to 1 between the outer edges of the view. The matrix
of a step maps a point of its output to the point of its input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from fashionai.config.augmentations import RandomResizedCrop
from fashionai.pipeline.augmentation.operations import GEOMETRIC, Operation, rotation
from fashionai.pipeline.crops import resize

# A random box is drawn at most this often until one fits into the image.
TRIES = 10
# OpenCV's warp refuses images with longer sides.
LONGEST_WARPED = 32_766


class Box(NamedTuple):
    """A rectangle of whole pixels in an image."""

    top: int
    left: int
    height: int
    width: int


def draw_box(
    steps: Sequence[Any], shape: Sequence[int], short: int, crop: int, rng: np.random.Generator
) -> Box:
    """Draw the crop box in pixels of an image of ``shape`` (H, W, ...).

    Of several crop steps, the last one that is applied counts. RandomResizedCrop
    draws size and aspect ratio. RandomCrop takes ``crop`` pixels at a random place
    of the image resized to a short side of ``short`` pixels. Without an applied
    step the box is the centre crop.
    """
    applied = [step for step in steps if is_applied(step.p, rng)]
    last = applied[-1] if applied else None
    height, width = shape[:2]
    if isinstance(last, RandomResizedCrop):
        return _random_resized_box(last, height, width, rng)
    scale = min(height, width) / short
    # The largest offsets of the crop in pixels of the resized image, rounded as in evaluation.
    largest_y = max(short, round(height / scale)) - crop
    largest_x = max(short, round(width / scale)) - crop
    if last is not None:
        y, x = int(rng.integers(largest_y + 1)), int(rng.integers(largest_x + 1))
    else:
        y, x = largest_y // 2, largest_x // 2
    size = max(1, min(round(crop * scale), height, width))
    top = min(round(y * scale), height - size)
    left = min(round(x * scale), width - size)
    return Box(top, left, size, size)


def is_applied(p: float, rng: np.random.Generator) -> bool:
    """Draw whether a step of probability ``p`` is applied. With p = 1 nothing is drawn."""
    return p == 1 or rng.random() < p


def _random_resized_box(
    step: RandomResizedCrop, height: int, width: int, rng: np.random.Generator
) -> Box:
    """A box of random area and aspect ratio (width / height) at a random place.

    The area is uniform, the ratio uniform in its logarithm. If no box fits in
    TRIES draws, the result is the largest central box with a ratio in range.
    """
    (smallest, largest), (low, high) = step.area, step.ratio
    for _ in range(TRIES):
        area = height * width * rng.uniform(smallest, largest)
        ratio = log_uniform(low, high, rng)
        rows, columns = round((area / ratio) ** 0.5), round((area * ratio) ** 0.5)
        if 0 < rows <= height and 0 < columns <= width:
            top = int(rng.integers(height - rows + 1))
            left = int(rng.integers(width - columns + 1))
            return Box(top, left, rows, columns)
    rows = min(height, max(1, round(width / low)))
    columns = min(width, max(1, round(height * high)))
    return Box((height - rows) // 2, (width - columns) // 2, rows, columns)


def log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    """A number in [low, high] whose logarithm is uniform."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def draw_homography(steps: Sequence[Any], rng: np.random.Generator) -> np.ndarray:
    """Draw and compose the geometric steps that are applied: one matrix ``(3, 3) float64``."""
    homography = np.eye(3)
    for step in steps:
        if is_applied(step.p, rng):
            homography = homography @ _homography(step, rng)
    return homography


def _homography(step: Any, rng: np.random.Generator) -> np.ndarray:
    if isinstance(step, Operation):
        return GEOMETRIC[step.name](step.amount)
    return HOMOGRAPHIES[step.name](step, rng)


def is_geometric(step: Any) -> bool:
    """Whether draw_homography takes a step or an operation."""
    return step.name in HOMOGRAPHIES or step.name in GEOMETRIC


def _dihedral(step: Any, rng: np.random.Generator) -> np.ndarray:
    mirrored, flipped, transposed = rng.integers(2, size=3)
    homography = np.diag([1.0 - 2 * mirrored, 1.0 - 2 * flipped, 1.0])
    return homography[[1, 0, 2]] if transposed else homography


def _rotation(step: Any, rng: np.random.Generator) -> np.ndarray:
    return rotation(rng.uniform(-step.degrees, step.degrees))


def _zoom(step: Any, rng: np.random.Generator) -> np.ndarray:
    factor = rng.uniform(*step.factor)
    return np.diag([1 / factor, 1 / factor, 1])


def _perspective_warp(step: Any, rng: np.random.Generator) -> np.ndarray:
    """A perspective transform drawn as by the symmetric warp of fastai v1.

    Four factors scale the sides of the square about their middles: the left side
    becomes 1 + left times as long, so that corner (-1, -1) moves to
    (-1 - top, -1 - left). A draw with left = -right tilts the view about the
    vertical axis, one with top = -bottom about the horizontal axis.
    """
    left, right, top, bottom = rng.uniform(-step.magnitude, step.magnitude, 4)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32)
    stretch = np.array([[top, left], [top, right], [bottom, right], [bottom, left]], np.float32)
    homography: np.ndarray = cv2.getPerspectiveTransform(corners * (1 + stretch), corners)
    return homography


HOMOGRAPHIES: dict[str, Callable[[Any, np.random.Generator], np.ndarray]] = {
    "mirror": lambda step, rng: np.diag([-1.0, 1.0, 1.0]),
    "flip": lambda step, rng: np.diag([1.0, -1.0, 1.0]),
    "dihedral": _dihedral,
    "rotate": _rotation,
    "zoom": _zoom,
    "warp": _perspective_warp,
}


def sample_view(image: np.ndarray, box: Box, homography: np.ndarray, crop: int) -> np.ndarray:
    """The view ``(crop, crop, 3) uint8`` of the box, transformed by ``homography``.

    Flips and quarter turns of the resized box are exact. Any other homography is
    sampled from the whole image with bilinear interpolation: points outside of the
    box come from the image, points outside of the image from its reflection.
    """
    if set(homography.flat) <= {-1.0, 0.0, 1.0}:
        top, left, height, width = box
        view = image[top : top + height, left : left + width]
        # Cropping comes first, because it leaves fewer pixels to resize.
        view = view if (height, width) == (crop, crop) else resize(view, (crop, crop))
        return _flip_and_transpose(view, homography)
    return _warp(image, box, homography, crop)


def _flip_and_transpose(view: np.ndarray, homography: np.ndarray) -> np.ndarray:
    """Apply a homography that only swaps the axes and changes their signs."""
    if homography[0, 1]:
        # After the transposition the remaining flips act along the axes of the output.
        view, homography = cv2.transpose(view), homography[[1, 0, 2]]
    mirrored, flipped = homography[0, 0] < 0, homography[1, 1] < 0
    if mirrored and flipped:
        return cv2.flip(view, -1)
    if mirrored:
        return cv2.flip(view, 1)
    if flipped:
        return cv2.flip(view, 0)
    return view


def _warp(image: np.ndarray, box: Box, homography: np.ndarray, crop: int) -> np.ndarray:
    view_to_image = _view_to_image(box, homography, crop)
    # Bilinear interpolation reads four pixels. If a pixel of the view covers more, the others
    # would be skipped (aliasing): the image is shrunk first, with area interpolation.
    scale = minification(view_to_image, crop)
    if max(image.shape[:2]) > LONGEST_WARPED * max(1, scale):
        image, box = _surroundings(image, box)
        view_to_image = _view_to_image(box, homography, crop)
    height, width = image.shape[:2]
    if scale > 1:
        image = resize(image, (max(1, round(width / scale)), max(1, round(height / scale))))
    shrink = np.diag([image.shape[1] / width, image.shape[0] / height, 1])
    # OpenCV's coordinates start at the centre of the first pixel, those of the matrices at its
    # outer corner.
    corner_to_centre = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    warped: np.ndarray = cv2.warpPerspective(
        image,
        corner_to_centre @ shrink @ view_to_image,
        (crop, crop),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return warped


def _view_to_image(box: Box, homography: np.ndarray, crop: int) -> np.ndarray:
    """The matrix ``(3, 3) float64`` from pixels of the view to pixels of the image."""
    half_height, half_width = box.height / 2, box.width / 2
    square_to_image = np.array(
        [[half_width, 0, box.left + half_width], [0, half_height, box.top + half_height], [0, 0, 1]]
    )
    view_to_square = np.array([[2 / crop, 0, 1 / crop - 1], [0, 2 / crop, 1 / crop - 1], [0, 0, 1]])
    view_to_image: np.ndarray = square_to_image @ homography @ view_to_square
    return view_to_image


def _surroundings(image: np.ndarray, box: Box) -> tuple[np.ndarray, Box]:
    """The part of an image about a box with sides of at most LONGEST_WARPED, and the box in it."""
    height, width = image.shape[:2]
    top = box.top + box.height // 2 - LONGEST_WARPED // 2
    left = box.left + box.width // 2 - LONGEST_WARPED // 2
    top = min(max(0, top), max(0, height - LONGEST_WARPED))
    left = min(max(0, left), max(0, width - LONGEST_WARPED))
    part = image[top : top + LONGEST_WARPED, left : left + LONGEST_WARPED]
    return part, box._replace(top=box.top - top, left=box.left - left)


def minification(view_to_image: np.ndarray, crop: int) -> float:
    """The side, in pixels of the image, of the square that the view's central pixel covers.

    It is the square root of the Jacobian determinant of the homography there.
    """
    x, y, depth = view_to_image @ ((crop - 1) / 2, (crop - 1) / 2, 1)
    perspective = np.outer((x / depth, y / depth), view_to_image[2, :2])
    return float(abs(np.linalg.det((view_to_image[:2, :2] - perspective) / depth)) ** 0.5)
