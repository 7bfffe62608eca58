"""From any pixel values to 8-bit colours: transparency on white, deep images by their range."""

from __future__ import annotations

from typing import Optional

import cv2
import numpy as np

# The colour (red, green, blue) that shows through where an image is transparent.
BACKGROUND = (255, 255, 255)
# The largest standard deviation, in grey levels, of an image that shows next to nothing.
NEARLY_CONSTANT = 2.0
STRIP_PIXELS = 1 << 20


def lay_on_white(image: np.ndarray) -> np.ndarray:
    """Lay ``(H, W, 4) uint8`` with alpha last on white: ``(H, W, 3)`` in the same order of colours.

    A value is ``255 - round((255 - colour) * alpha / 255)``.
    """
    height, width = image.shape[:2]
    laid = np.empty((height, width, 3), np.uint8)
    # In strips, so that a large image does not exist several times.
    rows = max(1, STRIP_PIXELS // width)
    for top in range(0, height, rows):
        strip = image[top : top + rows]
        darkness = cv2.bitwise_not(cv2.cvtColor(strip, cv2.COLOR_BGRA2BGR))
        alpha = cv2.cvtColor(cv2.extractChannel(strip, 3), cv2.COLOR_GRAY2BGR)
        laid[top : top + rows] = cv2.bitwise_not(cv2.multiply(darkness, alpha, scale=1 / 255))
    return laid


def has_transparent_pixels(image: np.ndarray) -> bool:
    """Whether any alpha of ``(H, W, 4) uint8`` is below 255; most images with alpha have none."""
    return bool(image[:, :, 3].min() < 255)


def to_eight_bits(values: np.ndarray, visible: Optional[np.ndarray] = None) -> np.ndarray:
    """Scale values to uint8 so that the smallest becomes 0 and the largest 255.

    The range is that of all channels together, in the pixels where ``visible``, ``(H, W) bool``, is
    set. 12-bit data in a 16-bit file would otherwise be nearly black. A constant image becomes 0.
    Infinite values, which depth maps have where nothing was measured, become an end of the range
    of the others, and NaN counts as 0.
    """
    if values.dtype.kind == "f":
        values = np.nan_to_num(values.astype(np.float32), posinf=np.inf, neginf=-np.inf)
    elif values.dtype not in (np.uint16, np.int16, np.int32):
        values = values.astype(np.float64)
    counted = values if visible is None else values[visible]
    counted = counted[np.isfinite(counted)]
    if counted.size == 0 or counted.min() == counted.max():
        return np.zeros(values.shape, np.uint8)
    low, high = counted.min(), counted.max()
    factor = 255 / (float(high) - float(low))
    clipped = np.clip(values, low, high)
    scaled: np.ndarray = cv2.convertScaleAbs(clipped, alpha=factor, beta=-float(low) * factor)
    return scaled


def grey_or_colour(image: np.ndarray) -> np.ndarray:
    """Return ``(H, W)`` grey or ``(H, W, 3)`` BGR as ``(H, W, 3)``."""
    return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image


def is_nearly_constant(image: np.ndarray) -> bool:
    """Whether ``(H, W, 3) uint8`` is one colour but for NEARLY_CONSTANT, in every channel."""
    # The sample has at least a 64th of the pixels, so the standard deviation of all is at least an
    # eighth of the sample's. That settles most images without reading all pixels.
    sample = np.ascontiguousarray(image[::8, ::8])
    if cv2.meanStdDev(sample)[1].max() > 8 * NEARLY_CONSTANT:
        return False
    return bool(cv2.meanStdDev(image)[1].max() <= NEARLY_CONSTANT)
