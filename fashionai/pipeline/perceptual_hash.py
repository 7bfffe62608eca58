"""A perceptual hash: a short description of an image that resizing and recompression hardly change.

Like pHash it describes the low frequencies of an image's brightness by the discrete cosine
transform (Zauner 2010, Implementation and Benchmarking of Perceptual Image Hash Functions, 3.2.1).
It keeps the coefficients, where pHash keeps a bit of each: a coefficient near zero, of which a
symmetric drawing has many, gets its bit from noise. Coefficients are weighted by their frequency.
Photographs have about equal parts of such a description at all scales, so that two garments in the
same pose differ.
"""

from __future__ import annotations

import cv2
import numpy as np

# The side in pixels of the image that is transformed, and of the block of low frequencies.
SIDE = 32
_KEPT = 16
# The short side in pixels from which an image is halved.
_LARGEST_SIDE = 4 * SIDE
# The number of coefficients: all of the block but the mean, so that brightness does not count.
HASH_SIZE = _KEPT * _KEPT - 1
# An image with a smaller standard deviation of its brightness, of 255, shows nothing that it could
# be recognized by: one colour, or a clear sky.
_SMALLEST_CONTRAST = 4
# JPEG compression of quality 30 changes most coefficients by less than this, about twice the
# standard deviation. All are moved towards zero by it: else a picture with little contrast, such as
# one of mist, differs from its recompressed copy.
_NOISE = 6

_ROWS, _COLUMNS = np.mgrid[:_KEPT, :_KEPT].reshape(2, -1)[:, 1:]
_WEIGHTS = np.hypot(_ROWS, _COLUMNS).astype(np.float32)
# Mirroring an image changes the sign of the odd horizontal frequencies.
_SIGNS_OF_MIRRORED = np.where(_COLUMNS % 2 == 1, -1, 1).astype(np.int8)


def perceptual_hash(pixels: np.ndarray) -> np.ndarray:
    """The hash ``(HASH_SIZE,) int8`` of pixels ``(H, W, 3) uint8`` BGR.

    The largest value is 127 or -127. All are 0 for an image with too little contrast.
    """
    # Green has most of the brightness. Taking it is four times as fast as a conversion to grey.
    grey = cv2.extractChannel(pixels, 1)
    while min(grey.shape) >= _LARGEST_SIDE:
        # Halving is several times as fast as resizing by another factor. An odd row or column at
        # the end is left out.
        height, width = grey.shape[0] // 2, grey.shape[1] // 2
        halved = grey[: 2 * height, : 2 * width]
        grey = cv2.resize(halved, (width, height), interpolation=cv2.INTER_AREA)
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    if cv2.meanStdDev(small)[1] < _SMALLEST_CONTRAST:
        return np.zeros(HASH_SIZE, np.int8)
    coefficients = cv2.dct(small)[:_KEPT, :_KEPT].ravel()[1:]
    sizes = np.maximum(np.abs(coefficients) - _NOISE, 0) * _WEIGHTS
    scaled = sizes * (127 / max(sizes.max(), 1))
    return np.rint(np.copysign(scaled, coefficients)).astype(np.int8)


def mirrored(hashes: np.ndarray) -> np.ndarray:
    """The hashes ``(N, HASH_SIZE) int8`` of the same images with left and right exchanged."""
    flipped: np.ndarray = hashes * _SIGNS_OF_MIRRORED
    return flipped
