"""Where in the image a training view comes from: the crop, and what turns and tilts it.

Geometric steps are homographies of *square coordinates*: the view's x and y
run from -1 to 1, right and down, at its outer edges. A step's matrix says where
in the view before it a point of the view after it is found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from fashionai.config.augmentations import RandomResizedCrop
from fashionai.pipeline.crops import resize

# How often a random box is drawn until one fits.
TRIES = 10


class Box(NamedTuple):
    """A rectangle of whole pixels in an image."""

    top: int
    left: int
    height: int
    width: int


def draw_box(
    steps: Sequence[Any], shape: Sequence[int], short: int, crop: int, rng: np.random.Generator
) -> Box:
    """Where the crop lies in an image of ``shape`` (H, W, ...): by the last step that happens.

    A view of ``crop`` pixels is cut from the image with its short side at
    ``short`` pixels, at a random place or the centre, or by RandomResizedCrop.
    """
    chosen = [step for step in steps if happens(step.p, rng)][-1:]
    height, width = shape[:2]
    if chosen and isinstance(chosen[0], RandomResizedCrop):
        return _random_share(chosen[0], height, width, rng)
    scale = min(height, width) / short
    # Room for the crop in pixels of the resized image, as evaluation rounds them.
    room_y = max(short, round(height / scale)) - crop
    room_x = max(short, round(width / scale)) - crop
    if chosen:
        y, x = int(rng.integers(room_y + 1)), int(rng.integers(room_x + 1))
    else:
        y, x = room_y // 2, room_x // 2
    size = max(1, min(round(crop * scale), height, width))
    top = min(round(y * scale), height - size)
    left = min(round(x * scale), width - size)
    return Box(top, left, size, size)


def happens(p: float, rng: np.random.Generator) -> bool:
    """Whether a step of probability ``p`` is applied; what is certain takes no draw."""
    return p == 1 or rng.random() < p


def _random_share(
    step: RandomResizedCrop, height: int, width: int, rng: np.random.Generator
) -> Box:
    """A share of the area, uniform, at an aspect ratio (width / height), uniform in its logarithm.

    Where no box fits, the largest central one whose ratio is in range.
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
    """A number whose logarithm is uniform: a factor is as likely as its inverse."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def draw_motion(steps: Sequence[Any], rng: np.random.Generator) -> np.ndarray:
    """One homography, ``(3, 3) float64``, of all geometric steps that happen."""
    motion = np.eye(3)
    for step in steps:
        if happens(step.p, rng):
            motion = motion @ MOTIONS[step.name](step, rng)
    return motion


def _dihedral(step: Any, rng: np.random.Generator) -> np.ndarray:
    mirrored, flipped, transposed = rng.integers(2, size=3)
    motion = np.diag([1.0 - 2 * mirrored, 1.0 - 2 * flipped, 1.0])
    return motion[[1, 0, 2]] if transposed else motion


def _rotation(step: Any, rng: np.random.Generator) -> np.ndarray:
    angle = math.radians(rng.uniform(-step.degrees, step.degrees))
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


def _zoom(step: Any, rng: np.random.Generator) -> np.ndarray:
    factor = rng.uniform(*step.factor)
    return np.diag([1 / factor, 1 / factor, 1])


def _tilt(step: Any, rng: np.random.Generator) -> np.ndarray:
    """Four draws move the corners of the square, as the symmetric warp of fastai v1 does.

    The left side becomes 1 + left times as long, the right, top and bottom ones
    likewise, each about its middle: corner (-1, -1) goes to (-1 - top, -1 - left).
    left = -right is a tilt about the vertical axis, top = -bottom one about the
    horizontal; what all four have in common is a zoom.
    """
    left, right, top, bottom = rng.uniform(-step.magnitude, step.magnitude, 4)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32)
    away = np.array([[top, left], [top, right], [bottom, right], [bottom, left]], np.float32)
    motion: np.ndarray = cv2.getPerspectiveTransform(corners * (1 + away), corners)
    return motion


MOTIONS: dict[str, Callable[[Any, np.random.Generator], np.ndarray]] = {
    "mirror": lambda step, rng: np.diag([-1.0, 1.0, 1.0]),
    "flip": lambda step, rng: np.diag([1.0, -1.0, 1.0]),
    "dihedral": _dihedral,
    "rotate": _rotation,
    "zoom": _zoom,
    "warp": _tilt,
}


def sample(image: np.ndarray, box: Box, motion: np.ndarray, crop: int) -> np.ndarray:
    """The view ``(crop, crop, 3) uint8`` of the box as ``motion`` changes it.

    Flips and quarter turns of the resized box are exact. All else is sampled
    once, bilinear, from the whole image: what a turn brings in from outside of
    the box is real where the image has it and mirrored at its edges beyond.
    """
    if set(motion.flat) <= {-1.0, 0.0, 1.0}:
        top, left, height, width = box
        view = image[top : top + height, left : left + width]
        # Cut before it is resized: fewer pixels to resize.
        view = view if (height, width) == (crop, crop) else resize(view, (crop, crop))
        return _flip_and_turn(view, motion)
    return _warp(image, box, motion, crop)


def _flip_and_turn(view: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """A view by a motion that only swaps the axes and changes their signs."""
    if motion[0, 1]:
        # Transposed, rows are found along the old x axis.
        view, motion = cv2.transpose(view), motion[[1, 0, 2]]
    mirrored, flipped = motion[0, 0] < 0, motion[1, 1] < 0
    if not mirrored and not flipped:
        return view
    return cv2.flip(view, -1 if mirrored and flipped else int(mirrored))


def _warp(image: np.ndarray, box: Box, motion: np.ndarray, crop: int) -> np.ndarray:
    half_height, half_width = box.height / 2, box.width / 2
    in_image = np.array(
        [[half_width, 0, box.left + half_width], [0, half_height, box.top + half_height], [0, 0, 1]]
    )
    in_view = np.array([[2 / crop, 0, 1 / crop - 1], [0, 2 / crop, 1 / crop - 1], [0, 0, 1]])
    matrix = in_image @ motion @ in_view
    # Bilinear sampling looks at four pixels: with more of them to a pixel of the view,
    # those between would be skipped (aliasing), so that the image is averaged down first.
    height, width = image.shape[:2]
    scale = pixels_per_pixel(matrix, crop)
    if scale > 1:
        image = resize(image, (max(1, round(width / scale)), max(1, round(height / scale))))
    shrink = np.diag([image.shape[1] / width, image.shape[0] / height, 1])
    # OpenCV counts from the centre of the first pixel, the matrices from its edge.
    to_centre = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    warped: np.ndarray = cv2.warpPerspective(
        image,
        to_centre @ shrink @ matrix,
        (crop, crop),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return warped


def pixels_per_pixel(matrix: np.ndarray, crop: int) -> float:
    """How many of the image's pixels, along a side, the view's central pixel covers."""
    x, y, depth = matrix @ ((crop - 1) / 2, (crop - 1) / 2, 1)
    across = np.outer((x / depth, y / depth), matrix[2, :2])
    return float(abs(np.linalg.det((matrix[:2, :2] - across) / depth)) ** 0.5)
