"""What garments are painted on and with: a canvas in body units, colours, fabrics, the camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Union

import cv2
import numpy as np

Point = Union[Sequence[float], np.ndarray]
Points = Union[Sequence[Sequence[float]], np.ndarray]

# The corners (24, 2) of a polygon that approximates the unit circle.
CIRCLE = np.exp(2j * np.pi * np.arange(24) / 24)[:, None].view(float)
# Colours in OpenCV's order: blue, green, red.
SKINS = np.array([(205, 224, 250), (170, 200, 240), (130, 170, 220), (85, 125, 180), (50, 75, 115)])
HAIR = np.array([(25, 25, 30), (35, 55, 85), (90, 160, 205), (40, 65, 150), (150, 150, 155)])


class Canvas:
    """An image, its palette, and the affine map from body units to its pixels."""

    def __init__(self, shape: tuple[int, int], palette: Palette, rng: np.random.Generator) -> None:
        self.shape = shape
        self.palette = palette
        self.image = _background(shape, palette.background, rng)
        self.linear, self.offset = np.eye(2), np.zeros(2)

    def place(self, view: tuple[float, float], rng: np.random.Generator) -> None:
        """Set the map so that the body between two heights fills the centre crop, with jitter."""
        top, bottom = view
        scale = 0.83 * min(self.shape) / (bottom - top) * rng.uniform(0.94, 1.03)
        angle = np.deg2rad(rng.uniform(-4, 4))
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        self.linear = scale * rotation @ np.diag([rng.choice([-1.0, 1.0]), 1.0])
        shift = rng.uniform(-0.02, 0.02, 2) * (1.5, 1.0) * min(self.shape)
        centre = np.array(self.shape[::-1]) / 2 + shift
        self.offset = centre - self.linear @ (0, (top + bottom) / 2)

    def pixels(self, points: Points) -> np.ndarray:
        """Convert points ``(N, 2)`` from body units to pixel coordinates (x, y)."""
        return np.asarray(points, float) @ self.linear.T + self.offset

    def fill(self, points: Points, paint: np.ndarray) -> None:
        """Fill a polygon with a colour ``(3,)`` or a fabric, an image of the canvas's size."""
        corners = np.round(self.pixels(points) * 16).astype(np.int32)
        if paint.ndim == 1:
            cv2.fillPoly(self.image, [corners], paint.tolist(), cv2.LINE_AA, 4)
            return
        mask = np.zeros(self.shape, np.uint8)
        cv2.fillPoly(mask, [corners], (255,), cv2.LINE_AA, 4)
        x, y, width, height = cv2.boundingRect(mask)
        part = np.s_[y : y + height, x : x + width]
        opacity = mask[part][..., None].astype(np.float32) / 255
        old = self.image[part].astype(np.float32)
        self.image[part] = (old + (paint[part] - old) * opacity).round().astype(np.uint8)

    def disc(self, centre: Point, radii: Point, paint: np.ndarray) -> None:
        """Fill an ellipse."""
        self.fill(np.asarray(centre) + CIRCLE * np.asarray(radii), paint)

    def line(self, start: Point, end: Point, colour: np.ndarray) -> None:
        """Draw a line of one pixel."""
        ends = self.pixels(np.stack([start, end])) * 16
        a, b = ends.round().astype(int).tolist()
        cv2.line(self.image, a, b, colour.tolist(), 1, cv2.LINE_AA, 4)


@dataclass(frozen=True)
class Palette:
    """The colours of one image. Adjacent objects have clearly different colours."""

    background: np.ndarray
    skin: np.ndarray
    garment: np.ndarray
    other: np.ndarray
    legs: np.ndarray
    shoes: np.ndarray
    hair: np.ndarray


def choose_palette(rng: np.random.Generator) -> Palette:
    """Random colours in which objects that touch can be told apart."""
    skin = np.clip(SKINS[rng.integers(len(SKINS))] + rng.integers(-12, 13, 3), 0, 255)
    background = (_colour(rng, [skin], 140) + rng.integers(60, 236)) // 2  # mixed with a grey
    legs = skin if rng.random() < 0.85 else _colour(rng, [background])
    garment = _colour(rng, [background, skin, legs])
    return Palette(
        background=background,
        skin=skin,
        garment=garment,
        other=_colour(rng, [background, skin, garment]),
        legs=legs,
        shoes=_colour(rng, [background, legs, garment]),
        hair=HAIR[rng.integers(len(HAIR))],
    )


def _colour(
    rng: np.random.Generator, avoid: Sequence[np.ndarray], distance: float = 110
) -> np.ndarray:
    """A random colour at least ``distance`` from those to avoid; else the farthest of twelve."""
    candidates = rng.integers(10, 246, (12, 3))
    distances = np.min([np.linalg.norm(candidates - colour, axis=1) for colour in avoid], axis=0)
    is_far = distances >= distance
    return candidates[int(np.argmax(is_far)) if is_far.any() else int(np.argmax(distances))]


def choose_fabric(
    colour: np.ndarray, shape: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """The colour itself, or an image of stripes, checks, dots or noise in similar colours."""
    kind = int(rng.integers(6))
    if kind < 2:
        return colour
    second = np.clip(colour + rng.uniform(25, 60) * rng.choice([-1, 1], 3), 0, 255)
    period, angle = rng.uniform(7, 14), rng.uniform(0, np.pi)
    pattern: np.ndarray
    if kind == 2:
        pattern = _waves(shape, period, angle) > 0
    elif kind == 3:
        pattern = (_waves(shape, period, angle) > 0) ^ (
            _waves(shape, period, angle + np.pi / 2) > 0
        )
    elif kind == 4:
        pattern = _waves(shape, period, angle) + _waves(shape, period, angle + np.pi / 2) > 1
    else:
        pattern = cv2.resize(rng.random((24, 24), np.float32), shape[::-1])
    between = np.linspace(colour, second, 256).astype(np.uint8)
    return np.take(between, np.asarray(pattern * 255).astype(np.uint8), axis=0)


def _waves(shape: tuple[int, int], period: float, angle: float) -> np.ndarray:
    """A plane wave of ``period`` pixels in [-1, 1].

    The product of a row and a column is faster than the sine of every pixel.
    """
    frequency = 2j * np.pi / period
    column = np.exp(frequency * np.sin(angle) * np.arange(shape[0])).astype(np.complex64)
    row = np.exp(frequency * np.cos(angle) * np.arange(shape[1])).astype(np.complex64)
    return np.outer(column, row).imag


def _background(shape: tuple[int, int], base: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A gradient around a colour, sometimes with a coarse texture or discs."""
    corners = base + rng.uniform(-25, 25, (2, 2, 1)) + rng.uniform(-8, 8, (2, 2, 3))
    image = cv2.resize(corners.astype(np.float32), shape[::-1])
    if rng.random() < 0.4:
        grain = rng.uniform(-12, 12, (int(rng.integers(6, 40)),) * 2).astype(np.float32)
        image += cv2.resize(grain, shape[::-1])[..., None]
    image = np.clip(image, 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(0, 5))):
        centre = rng.integers(0, shape[::-1]).tolist()
        colour = np.clip(base + rng.uniform(-30, 30, 3), 0, 255).tolist()
        cv2.circle(image, centre, int(rng.integers(6, 35)), colour, -1, cv2.LINE_AA)
    return image


def shade(fabric: np.ndarray) -> np.ndarray:
    """The colour of a fabric's folds."""
    return fabric.reshape(-1, 3)[0] * 0.75


def camera_effects(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change contrast and brightness, and add a slight blur and noise."""
    image = cv2.convertScaleAbs(image, alpha=rng.uniform(0.8, 1.1), beta=rng.uniform(0, 25))
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (3, 3), rng.uniform(0.3, 0.8))
    strength = int(rng.integers(1, 8))
    noise = rng.integers(0, 2 * strength + 1, image.shape, dtype=np.uint8)
    return cv2.subtract(cv2.add(image, noise), np.full_like(image, strength))
