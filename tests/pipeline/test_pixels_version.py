"""The pixels of fixed images have the hash that belongs to PIXELS_VERSION."""

from __future__ import annotations

import base64
import hashlib

import cv2
import numpy as np
from PIL import Image

from fashionai.config import DataConfig
from fashionai.pipeline.augment import EvaluationTransform
from fashionai.pipeline.decode import PIXELS_VERSION, decode
from tests.support.images import coordinates, view
from tests.support.pictures import encode, picture

# The hash of the pixels below, by the version. A change that gives other pixels raises
# PIXELS_VERSION and adds its hash here; features that were kept before are then computed again.
HASHES = {
    1: "508f75234cd198ad9c628f16ba5de1331b804ba45d0e7800aacdf103ed0faabd",
    2: "6c6854fea9894d14f96bbab9782b7783896dec7fae05df252491e4bb8cbde8b9",
}

# 16 x 8 pixels of one colour in each of two blocks, as an encoder without subsampling writes them.
JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABALDA4MChAODQ4SERATGCgaGBYWGDEjJR0oOjM9PDkzODdASFxOQERX"
    "RTc4UG1RV19iZ2hnPk1xeXBkeFxlZ2P/2wBDARESEhgVGC8aGi9jQjhCY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2Nj"
    "Y2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2P/wAARCAAIABADAREAAhEBAxEB/8QAFAABAAAAAAAAAAAAAAAAAAAA"
    "Bf/EABQQAQAAAAAAAAAAAAAAAAAAAAD/xAAXAQADAQAAAAAAAAAAAAAAAAABBQYH/8QAFBEBAAAAAAAAAAAAAAAA"
    "AAAAAP/aAAwDAQACEQMRAD8AOBSETlnT/9k="
)


def test_a_change_of_pixels_needs_another_version() -> None:
    digest = hashlib.sha256()
    for pixels in (*decoded(), *views()):
        digest.update(str(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes())
    assert digest.hexdigest() == HASHES.get(PIXELS_VERSION), (
        "pixels have changed: raise PIXELS_VERSION in fashionai/pipeline/decode.py"
    )
    assert max(HASHES) == PIXELS_VERSION


def decoded() -> list[np.ndarray]:
    """An image of each way to decode; all formats but the JPEG are lossless."""
    plain = picture()
    alpha = Image.fromarray((np.arange(48 * 36) % 256).astype(np.uint8).reshape(36, 48))
    transparent = plain.copy()
    transparent.putalpha(alpha)
    palette = Image.fromarray((np.arange(48 * 36) % 8).astype(np.uint8).reshape(36, 48), "P")
    palette.putpalette(list(range(24)))
    deep = np.arange(48 * 36, dtype=np.uint16).reshape(36, 48) * 20 + 500
    deep_colour = np.dstack([deep, deep[::-1], deep // 2])
    deep_transparent = np.dstack([deep_colour, deep * 2])
    with_infinity = deep.astype(np.float32)
    with_infinity[0, :2] = np.inf, -np.inf
    turned = Image.Exif()
    turned[0x0112] = 6
    files = [
        JPEG,
        encode(plain, "PNG"),
        encode(plain, "BMP"),
        encode(plain, "TIFF"),
        encode(plain, "PPM"),
        encode(plain, "PNG", exif=turned),
        encode(plain.convert("L"), "PNG"),
        encode(transparent, "PNG"),
        encode(transparent, "TIFF"),
        encode(transparent.convert("LA"), "PNG"),
        encode(palette, "PNG", transparency=3),
        *(
            cv2.imencode(".png", values)[1].tobytes()
            for values in (deep, deep_colour, deep_transparent)
        ),
        encode(Image.fromarray(deep), "TIFF"),
        encode(Image.fromarray(with_infinity), "TIFF"),
        encode(plain.resize((8, 8 * 200), Image.Resampling.NEAREST), "PNG"),
    ]
    return [decode(data, None, "a") for data in files]


def views() -> list[np.ndarray]:
    """Views whose pixels are copied, or are means of four: no library rounds them otherwise."""
    image, half = coordinates(64, 80), coordinates(128, 160)
    data = DataConfig(resize_short=64, crop=48, augment=[])
    evaluation = EvaluationTransform(data)
    return [view(each, data, transform=use) for each in (image, half) for use in (evaluation, None)]
