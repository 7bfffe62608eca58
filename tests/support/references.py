"""What the tests compare with: definitions written down once more, with NumPy and plain loops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
RESIZE, CROP = 40, 32


def naive_views(path: Path, count: int, resize: int = RESIZE, side: int = CROP) -> list[np.ndarray]:
    """Crops of one image, written as the text of the contract says them."""
    image = cv2.imread(str(path))[:, :, ::-1]
    height, width = image.shape[:2]
    scale = resize / min(height, width)
    size = (round(width * scale), round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    image = cv2.resize(image, size, interpolation=method)
    height, width = image.shape[:2]
    middle = image[(height - side) // 2 :, (width - side) // 2 :][:side, :side]
    views = [
        middle,
        image[:side, :side],
        image[:side, -side:],
        image[-side:, :side],
        image[-side:, -side:],
    ]
    views += [view[:, ::-1] for view in views]
    return views[:count]


def official_figures(answers: Sequence[str], truth: Sequence[str]) -> tuple[float, float, float]:
    """FlickrLogos' definition, counted row by row."""
    right_brand = wrong_brand = right_none = logo_images = 0
    for answer, true in zip(answers, truth):
        if true != "no-logo":
            logo_images += 1
        if answer != "no-logo":
            if answer == true:
                right_brand += 1
            else:
                wrong_brand += 1
        elif true == "no-logo":
            right_none += 1
    return (
        right_brand / (right_brand + wrong_brand),
        right_brand / logo_images,
        (right_brand + right_none) / len(truth),
    )


def between(start: float, end: float, done: float) -> float:
    """Cosine annealing from start to end: ``end + (start - end) / 2 * (cos(pi * done) + 1)``."""
    return end + (start - end) / 2.0 * (math.cos(math.pi * done) + 1)


def one_cycle(total: int, pct_start: float, points: tuple[float, float, float]) -> list[float]:
    """PyTorch's documented phases: they end at pct_start * total - 1 and at total - 1."""
    turn = pct_start * total - 1
    values = []
    for step in range(total):
        if step < turn:
            values.append(between(points[0], points[1], step / turn))
        else:
            values.append(between(points[1], points[2], (step - turn) / (total - 1 - turn)))
    return values
