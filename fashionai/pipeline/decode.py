"""Decoding image files at the lowest sufficient resolution, and finding damaged ones."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import BinaryIO, NamedTuple, Optional, Union

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from fashionai.errors import DataError

# A path in the file system, or a member of a zip archive.
ImageFile = Union[Path, zipfile.Path]

# A larger image is more likely a decompression bomb than a photograph. The number is the limit
# above which Pillow refuses an image by default.
LARGEST_PIXELS = 178_956_970
SMALLEST_SIDE = 8

JPEG_MAGIC = b"\xff\xd8"
START_OF_SCAN = 0xDA
END_OF_IMAGE = b"\xff\xd9"

# libjpeg decodes at 1/8, 1/4 or 1/2 of the resolution at a fraction of the cost.
REDUCED_FLAGS = (
    (8, cv2.IMREAD_REDUCED_COLOR_8),
    (4, cv2.IMREAD_REDUCED_COLOR_4),
    (2, cv2.IMREAD_REDUCED_COLOR_2),
)

# The loader decodes in threads of its own: OpenCV's would compete with them for the cores.
cv2.setNumThreads(0)
# The errors raised below name the damaged file; OpenCV's messages on the terminal do not.
cv2.setLogLevel(0)
# find_damage checks the size against LARGEST_PIXELS for every format.
Image.MAX_IMAGE_PIXELS = None


class Header(NamedTuple):
    """The size in pixels that the header of an image file states."""

    width: int
    height: int


def read_header(data: Union[bytes, BinaryIO]) -> Optional[Header]:
    """The size of an encoded image, or None if its format is unknown.

    If ``data`` is an open file, only its header is read.
    """
    try:
        with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as image:
            return Header(*image.size)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return None


def find_damage(data: bytes) -> str:
    """The reason why an encoded image cannot be used, or an empty string if it can.

    A usable image has a known format, at most LARGEST_PIXELS pixels and sides of at
    least SMALLEST_SIDE pixels; it is complete and can be decoded.
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
    """Decode to pixels ``(H, W, 3) uint8`` in BGR order, with the EXIF orientation applied.

    A JPEG whose short side is at least twice ``short_side`` pixels is decoded at a
    reduced scale that leaves at least ``short_side``. Raises DataError with
    ``name`` if the image cannot be decoded.
    """
    array = np.frombuffer(data, np.uint8)
    image = cv2.imdecode(array, _decode_flag(data, short_side)) if data else None
    if image is None or _is_truncated_jpeg(data):
        raise DataError(
            f"{name}: the image cannot be decoded", "Replace the file, or leave this image out"
        )
    return image


def read_image(path: ImageFile, short_side: int) -> np.ndarray:
    """Decode an image file, see decode. Raises DataError if it is missing or damaged."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    return decode(data, short_side, str(path))


def _is_truncated_jpeg(data: bytes) -> bool:
    """Whether ``data`` is a JPEG without an end marker.

    OpenCV reports no error if only the end of a file is missing: it fills the rest
    of the image with grey.
    """
    # The search starts at the end of the data, where complete files have the marker.
    return data.startswith(JPEG_MAGIC) and data.rfind(END_OF_IMAGE, _scan_start(data)) < 0


def _scan_start(data: bytes) -> int:
    """The offset of a JPEG's first scan.

    End markers before it belong to embedded thumbnails.
    """
    position = len(JPEG_MAGIC)
    while position + 4 <= len(data) and data[position + 1] != START_OF_SCAN:
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return position


def _decode_flag(data: bytes, short_side: int) -> int:
    """OpenCV's flag for the smallest scale that leaves ``short_side`` pixels."""
    if not data.startswith(JPEG_MAGIC):
        return cv2.IMREAD_COLOR
    header = read_header(data)
    if header is not None:
        for factor, flag in REDUCED_FLAGS:
            if min(header.width, header.height) // factor >= short_side:
                return flag
    return cv2.IMREAD_COLOR
