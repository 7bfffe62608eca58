"""Image files to pixels, at no more than the needed resolution, and what counts as damaged."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import BinaryIO, NamedTuple, Optional, Union

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from fashionai.errors import DataError

# A file of its own, or a member of an archive.
ImageFile = Union[Path, zipfile.Path]

# Beyond this an image is more likely an attack on memory than a photograph; it is where
# Pillow refuses by default as well.
LARGEST_PIXELS = 178_956_970
SMALLEST_SIDE = 8

JPEG_MAGIC = b"\xff\xd8"
START_OF_SCAN = 0xDA
END_OF_IMAGE = b"\xff\xd9"

# libjpeg decodes at 1/8, 1/4 or 1/2 for a fraction of the cost.
REDUCED_FLAGS = (
    (8, cv2.IMREAD_REDUCED_COLOR_8),
    (4, cv2.IMREAD_REDUCED_COLOR_4),
    (2, cv2.IMREAD_REDUCED_COLOR_2),
)

# Decoding threads are ours: OpenCV's own would fight them for the cores.
cv2.setNumThreads(0)
# Damage is reported by name below, not by OpenCV on the terminal.
cv2.setLogLevel(0)
# Sizes are checked below against LARGEST_PIXELS, in one place for every format.
Image.MAX_IMAGE_PIXELS = None


class Header(NamedTuple):
    """What an image says of itself before it is decoded; sizes in pixels."""

    width: int
    height: int


def read_header(data: Union[bytes, BinaryIO]) -> Optional[Header]:
    """Size of an encoded image, None when it is no known image; of a file no more is read."""
    try:
        with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as image:
            return Header(*image.size)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return None


def find_damage(data: bytes) -> str:
    """Why an encoded image cannot be used, in a few words; empty when it is sound.

    Sound means: a known format, at most LARGEST_PIXELS, both sides at least
    SMALLEST_SIDE, complete, and decodable.
    """
    if not data:
        return "empty file"
    header = read_header(data)
    if header is None:
        return "not an image"
    size = f"{header.width}x{header.height} pixels"
    if header.width * header.height > LARGEST_PIXELS:
        return f"too large: {size}"
    if min(header.width, header.height) < SMALLEST_SIDE:
        return f"too small: {size}"
    if _is_truncated_jpeg(data):
        return "truncated"
    if cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is None:
        return "cannot be decoded"
    return ""


def decode(data: bytes, short_side: int, name: str) -> np.ndarray:
    """Pixels ``(H, W, 3) uint8`` in OpenCV's order BGR, orientation applied.

    A JPEG whose short side is at least twice ``short_side`` is decoded at
    reduced scale, its short side still at least ``short_side``. Raises DataError
    with ``name`` for what cannot be decoded.
    """
    array = np.frombuffer(data, np.uint8)
    image = cv2.imdecode(array, _decode_flag(data, short_side)) if data else None
    if image is None or _is_truncated_jpeg(data):
        raise DataError(f"{name}: the image cannot be decoded")
    return image


def read_image(path: ImageFile, short_side: int) -> np.ndarray:
    """Decode an image file; DataError names the file when it is missing or damaged."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    return decode(data, short_side, str(path))


def _is_truncated_jpeg(data: bytes) -> bool:
    """OpenCV fills the rest of a JPEG that lacks little with grey and says nothing."""
    # From the end, where it is in sound files: nothing else is searched then.
    return data.startswith(JPEG_MAGIC) and data.rfind(END_OF_IMAGE, _scan_start(data)) < 0


def _scan_start(data: bytes) -> int:
    """Where a JPEG's first scan begins: before it, thumbnails have end markers of their own."""
    position = len(JPEG_MAGIC)
    while position + 4 <= len(data) and data[position + 1] != START_OF_SCAN:
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return position


def _decode_flag(data: bytes, short_side: int) -> int:
    if not data.startswith(JPEG_MAGIC):
        return cv2.IMREAD_COLOR
    header = read_header(data)
    if header is not None:
        for factor, flag in REDUCED_FLAGS:
            if min(header.width, header.height) // factor >= short_side:
                return flag
    return cv2.IMREAD_COLOR
