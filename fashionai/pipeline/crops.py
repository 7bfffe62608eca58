"""Resizing and cropping: the views of an image that a network receives."""

from __future__ import annotations

import cv2
import numpy as np


def resize_short(image: np.ndarray, size: int) -> np.ndarray:
    """Resize ``(H, W, 3) uint8`` so that the short side has ``size`` pixels.

    The long side is rounded to whole pixels. The interpolation is that of ``resize``.
    """
    height, width = image.shape[:2]
    if min(height, width) == size:
        return image
    scale = size / min(height, width)
    target = (max(size, round(width * scale)), max(size, round(height * scale)))
    return resize(image, target)


def resize(image: np.ndarray, target: tuple[int, int]) -> np.ndarray:
    """Resize to ``target`` (width, height): area interpolation to shrink, cubic to enlarge."""
    shrinking = target[0] < image.shape[1]
    return cv2.resize(image, target, interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC)


def crop_corners(height: int, width: int, crop: int) -> list[tuple[int, int]]:
    """Top left corners (y, x) in pixels of five crops: the centre, then the four corners."""
    bottom, right = height - crop, width - crop
    return [(bottom // 2, right // 2), (0, 0), (0, right), (bottom, 0), (bottom, right)]


def cut_views(image: np.ndarray, out: np.ndarray) -> None:
    """Fill ``out``, ``(V, crop, crop, 3) uint8`` RGB, with V crops of a BGR image.

    V = 1 gives the centre crop, V = 5 adds the four corners, V = 10 adds the
    mirror images of these five, in the same order.
    """
    crop = out.shape[1]
    corners = crop_corners(image.shape[0], image.shape[1], crop)
    for view in range(min(len(out), len(corners))):
        y, x = corners[view]
        cv2.cvtColor(image[y : y + crop, x : x + crop], cv2.COLOR_BGR2RGB, dst=out[view])
    if len(out) == 2 * len(corners):
        out[len(corners) :] = out[: len(corners), :, ::-1]
