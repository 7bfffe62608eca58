"""Small pictures of images, as text that a page can hold."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Optional

import cv2
import numpy as np

from fashionai.datasets.prepared.check import on_all_cores
from fashionai.errors import FashionAIError
from fashionai.pipeline.decode import ImageFile, read_image
from fashionai.progress import no_progress

# Pixels of the long side, and quality of JPEG: about 4 kB of text.
SIDE, QUALITY = 128, 70


def thumbnails(files: Sequence[Optional[ImageFile]], most: int, most_bytes: int) -> dict[int, str]:
    """Base64 JPEGs of the first ``most`` files by position, as far as they fit ``most_bytes``.

    Files that are None or cannot be read have none.
    """
    known = [at for at, file in enumerate(files) if file is not None][:most]
    pictures = on_all_cores(lambda at: _thumbnail(files[at]), known, no_progress)
    found: dict[int, str] = {}
    size = 0
    for at, picture in zip(known, pictures):
        size += len(picture)
        if size > most_bytes:
            break
        if picture:
            found[at] = picture
    return found


def _thumbnail(file: Optional[ImageFile]) -> str:
    """The picture of one image; empty for one that cannot be read."""
    if file is None:
        return ""
    try:
        pixels = read_image(file, SIDE)
    except (FashionAIError, OSError, KeyError):
        return ""
    return encoded(pixels)


def encoded(pixels: np.ndarray) -> str:
    """Pixels ``(H, W, 3) uint8`` BGR as a base64 JPEG of at most SIDE pixels."""
    height, width = pixels.shape[:2]
    scale = min(1, SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return base64.b64encode(encoded.tobytes()).decode("ascii")
