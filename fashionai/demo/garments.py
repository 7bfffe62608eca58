"""Drawings of people in garments, in which only the position of a hem or cuff shows the class.

In body units, x = 0 is the axis of the body, y = 0 the top of the head and y = 1 just below
the feet.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from fashionai.demo.canvas import (
    Canvas,
    Points,
    camera_effects,
    choose_fabric,
    choose_palette,
    shade,
)
from fashionai.tasks import Task

# The range of the hem of each visible class: for skirts and pants as a fraction of the distance
# from hip to sole, for sleeves from shoulder to fingertip. Gaps separate neighbouring classes.
BANDS = {
    "skirt_length_labels": ((0.20, 0.32), (0.43, 0.50), (0.61, 0.68), (0.79, 0.85), (0.99, 1.02)),
    "pant_length_labels": ((0.16, 0.26), (0.39, 0.46), (0.58, 0.64), (0.75, 0.80), (0.94, 0.97)),
    "sleeve_length_labels": (
        *((0.0, 0.0), (0.10, 0.14), (0.24, 0.30), (0.40, 0.46)),
        *((0.55, 0.61), (0.69, 0.74), (0.83, 0.87), (1.03, 1.08)),
    ),
}

# Heights y, half widths and lengths (upper arm, forearm, hand) in body units.
SHOULDER, WAIST, HIP, KNEE, ANKLE, SOLE = 0.185, 0.40, 0.48, 0.71, 0.93, 0.97
WAIST_HALF, HIP_HALF = 0.068, 0.096
ARM = (0.16, 0.15, 0.065)
# Colours in OpenCV's order: blue, green, red.
EYES = np.array((25, 25, 30))
LIPS = np.array((60, 60, 160))


def draw(task: Task, label: int, maybe: int | None, rng: np.random.Generator) -> np.ndarray:
    """Draw an image ``(H, W, 3) uint8`` BGR of a garment of class ``label``.

    If a neighbouring class ``maybe`` is given, the hem lies slightly outside of the
    range of ``label``, towards that class.
    """
    width = int(rng.integers(168, 201))
    height = width if rng.random() < 0.25 else round(width * rng.uniform(1.0, 1.08))
    canvas = Canvas((height, width), choose_palette(rng), rng)
    hidden = label == 0
    close_up = hidden and rng.random() < 0.5
    canvas.place(_view(task, close_up), rng)
    hem = 0.5 if hidden else _hem(BANDS[task.name], label - 1, maybe, rng)
    _floor(canvas, rng)
    _figure(canvas, task, hem, rng)
    if hidden and not close_up:
        _counter(canvas, rng)
    elif rng.random() < 0.3:
        _distraction(canvas, rng)
    return camera_effects(canvas.image, rng)


def _view(task: Task, close_up: bool) -> tuple[float, float]:
    """The range of heights of the body that an image shows."""
    if close_up:
        return 0.0, 0.36  # ends above the hip, so that no hem is visible
    return (0.02, 0.64) if task.name == "sleeve_length_labels" else (0.0, 1.0)


def _hem(
    bands: Sequence[tuple[float, float]], index: int, maybe: int | None, rng: np.random.Generator
) -> float:
    """A random hem in the range of a class, or in the gap towards the class ``maybe``.

    ``index`` counts visible classes, ``maybe`` all classes.
    """
    low, high = bands[index]
    if maybe is None:
        return float(rng.uniform(low, high))
    if maybe - 1 > index:
        return high + (bands[index + 1][0] - high) * float(rng.uniform(0.1, 0.4))
    return low - (low - bands[index - 1][1]) * float(rng.uniform(0.1, 0.4))


# --- the figure ---------------------------------------------------------------------------


def _figure(canvas: Canvas, task: Task, hem: float, rng: np.random.Generator) -> None:
    """Draw a person in the task's garment with this hem, and in other random clothes."""
    garment = choose_fabric(canvas.palette.garment, canvas.shape, rng)
    other = choose_fabric(canvas.palette.other, canvas.shape, rng)
    sleeve_task = task.name == "sleeve_length_labels"
    top, bottom = (garment, other) if sleeve_task else (other, garment)
    skirt = rng.random() < 0.5 if sleeve_task else task.name == "skirt_length_labels"
    if skirt and rng.random() < 0.3:
        top = bottom = garment  # a dress
    sleeves = (
        hem if sleeve_task else _hem(BANDS["sleeve_length_labels"], int(rng.integers(8)), None, rng)
    )
    length = float(rng.uniform(0.25, 0.9)) if sleeve_task else hem

    _hair(canvas, rng)
    legs = _legs(canvas, rng)
    tucked = rng.random() < 0.5
    if tucked:
        _torso(canvas, WAIST + 0.01, top, rng)
    (_skirt if skirt else _pants)(canvas, legs, HIP + (SOLE - HIP) * length, bottom, rng)
    if not tucked:
        _torso(canvas, rng.uniform(0.44, 0.475), top, rng)
    _arms(canvas, sleeves, top, rng)
    _head(canvas, rng)


def _legs(canvas: Canvas, rng: np.random.Generator) -> list[np.ndarray]:
    """Draw both legs and shoes. Returns the points hip, knee and ankle ``(3, 2)`` of each leg."""
    legs = []
    for side in (-1, 1):
        spread = rng.uniform(0.02, 0.075)
        knee = side * (0.045 + spread * 0.4) + rng.uniform(-0.008, 0.008)
        ankle = side * (0.03 + spread)
        legs.append(np.array([(side * 0.047, HIP - 0.02), (knee, KNEE), (ankle, ANKLE)]))
        canvas.fill(_outline(legs[-1], (0.045, 0.031, 0.018)), canvas.palette.legs)
        canvas.disc((ankle + side * 0.02, 0.952), (0.036, 0.02), canvas.palette.shoes)
        canvas.disc((ankle, 0.942), (0.02, 0.022), canvas.palette.shoes)
    return legs


def _arms(canvas: Canvas, sleeve: float, fabric: np.ndarray, rng: np.random.Generator) -> None:
    """Draw both arms and sleeves. ``sleeve`` is a fraction of the way to the fingertip."""
    reach, halves = np.append(0, np.cumsum(ARM)), (0.031, 0.024, 0.018, 0.012)
    width = rng.uniform(1.15, 1.7)
    for side in (-1, 1):
        arm = _arm(side, rng)
        canvas.disc(arm[0], (0.031, 0.031), canvas.palette.skin)
        canvas.fill(_outline(arm, halves), canvas.palette.skin)
        canvas.disc((arm[2] + arm[3]) / 2, (0.018, 0.024), canvas.palette.skin)
        if sleeve > 0:
            points, position = _cut_at(arm, reach, sleeve * reach[-1])
            half = np.interp(position, reach[:3], halves[:3])
            half = half * np.interp(position, (0, 0.2), (1.15, width))
            canvas.disc(arm[0], (0.036, 0.034), fabric)
            canvas.fill(_outline(points, half), fabric)


def _arm(side: int, rng: np.random.Generator) -> np.ndarray:
    """The points shoulder, elbow, wrist and fingertip ``(4, 2)`` of an arm in a random pose."""
    upper = np.deg2rad(rng.uniform(16, 38))
    lower = upper + np.deg2rad(rng.uniform(-16, 14))
    angles = np.array([upper, lower, lower])
    steps = np.stack([side * np.sin(angles), np.cos(angles)], 1) * np.array(ARM)[:, None]
    return np.cumsum([(side * 0.1, SHOULDER + 0.015), *steps], axis=0)


def _outline(points: np.ndarray, widths: Sequence[float] | np.ndarray) -> np.ndarray:
    """The polygon of a limb: a polyline with a half width at each of its points."""
    tangent = np.concatenate([points[1:], points[-1:]]) - np.concatenate([points[:1], points[:-1]])
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    normal = tangent[:, ::-1] * (-1, 1) * np.asarray(widths)[:, None]
    return np.concatenate([points + normal, (points - normal)[::-1]])


def _cut_at(points: np.ndarray, positions: np.ndarray, end: float) -> tuple[np.ndarray, np.ndarray]:
    """Cut a polyline, or extend it, at position ``end``.

    ``positions`` are increasing numbers, one per point. Returns the points and the
    positions of the new polyline.
    """
    is_before = positions < end
    tip = np.array([np.interp(end, positions, points[:, axis]) for axis in (0, 1)])
    if end > positions[-1]:
        step = (points[-1] - points[-2]) / (positions[-1] - positions[-2])
        tip = points[-1] + step * (end - positions[-1])
    return np.vstack([points[is_before], tip]), np.append(positions[is_before], end)


def _skirt(
    canvas: Canvas, legs: list[np.ndarray], hem: float, fabric: np.ndarray, rng: np.random.Generator
) -> None:
    reach = max(abs(float(np.interp(hem, leg[:, 1], leg[:, 0]))) for leg in legs) + 0.03
    half = max(HIP_HALF + rng.uniform(0.02, 0.32) * (hem - HIP), reach)
    curve = rng.uniform(0, 0.008)
    right = [(WAIST_HALF, WAIST), (HIP_HALF, HIP), (half, hem - curve), (half / 2, hem)]
    canvas.fill(_symmetric(right), fabric)
    for x in np.linspace(-0.7, 0.7, int(rng.integers(0, 6))):
        canvas.line((x * 0.08, HIP), (x * half, hem - 0.01), shade(fabric))


def _pants(
    canvas: Canvas, legs: list[np.ndarray], hem: float, fabric: np.ndarray, rng: np.random.Generator
) -> None:
    right = [(WAIST_HALF, WAIST), (HIP_HALF, HIP), (0.094, 0.52), (0.0, 0.53)]
    canvas.fill(_symmetric(right), fabric)
    halves = (0.051, rng.uniform(0.036, 0.05), rng.uniform(0.026, 0.055))
    for leg in legs:
        points, heights = _cut_at(leg, leg[:, 1], hem)
        canvas.fill(_outline(points, np.interp(heights, (HIP, KNEE, ANKLE), halves)), fabric)
    canvas.line((0, WAIST + 0.01), (0, 0.53), shade(fabric))


def _torso(canvas: Canvas, low: float, fabric: np.ndarray, rng: np.random.Generator) -> None:
    """Draw the neck, and a top that ends at the height ``low``."""
    canvas.fill(_symmetric([(0.025, 0.11), (0.03, 0.2)]), canvas.palette.skin)
    neckline = [(0.0, rng.uniform(0.175, 0.24)), (0.045, 0.165)]
    side = [(0.1, SHOULDER - 0.005), (0.106, 0.21), (0.085, 0.26), (WAIST_HALF + 0.004, WAIST)]
    hem = (WAIST_HALF + 0.004 + 0.45 * (low - WAIST), low)
    canvas.fill(_symmetric([*neckline, *side, hem]), fabric)


def _hair(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw the hair behind the body, which ends at the ears, the neck or the shoulders."""
    low = rng.choice([0.08, 0.14, 0.2])
    canvas.fill(_symmetric([(0.03, 0.02), (0.052, 0.05), (0.056, low)]), canvas.palette.hair)


def _head(canvas: Canvas, rng: np.random.Generator) -> None:
    canvas.disc((0, 0.075), (0.042, 0.055), canvas.palette.skin)
    canvas.disc((rng.uniform(-0.02, 0.02), 0.032), (0.048, 0.028), canvas.palette.hair)
    for x in (-0.016, 0.016):
        canvas.disc((x, 0.075), (0.005, 0.004), EYES)
    canvas.line((-0.012, 0.105), (0.012, 0.105), LIPS)


def _symmetric(right: Sequence[tuple[float, float]]) -> Points:
    """A symmetric polygon, given its right half from top to bottom."""
    return [*right, *((-x, y) for x, y in reversed(right))]


# --- surroundings and camera ---------------------------------------------------------------


def _floor(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw a floor in half of the images: the part below some height becomes darker."""
    level = int(canvas.pixels([(0, rng.uniform(0.86, 0.99))])[0, 1])
    below = canvas.image[max(level, 0) :]
    if below.size and rng.random() < 0.5:
        below[:] = cv2.convertScaleAbs(below, alpha=rng.uniform(0.75, 0.92))


def _counter(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw a counter across the image, which hides the body from the waist down."""
    paint = choose_fabric(rng.integers(10, 246, 3), canvas.shape, rng)
    top = rng.uniform(0.36, 0.44)
    canvas.fill([(-2, top), (2, top), (2, 2), (-2, 2)], paint)


def _distraction(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw a post beside the person, or a bag on the chest. They never cover a hem."""
    colour = rng.integers(10, 246, 3)
    if rng.random() < 0.5:
        x, width = rng.choice([-1, 1]) * rng.uniform(0.43, 0.5), rng.uniform(0.02, 0.06)
        canvas.fill([(x, -1), (x + width, -1), (x + width, 2), (x, 2)], colour)
        return
    canvas.line((-0.06, 0.17), (0.05, 0.34), colour)
    x, y, half = 0.03, rng.uniform(0.29, 0.33), rng.uniform(0.02, 0.032)
    canvas.fill([(x - half, y), (x + half, y), (x + half, y + 0.05), (x - half, y + 0.05)], colour)
