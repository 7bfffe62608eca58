"""Small images in every format, as the bytes of their files."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

from fashionai.pipeline.decode import (
    decode,
)


def picture(size: tuple[int, int] = (48, 36)) -> Image.Image:
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    return Image.fromarray(np.stack([5 * x, 7 * y, 3 * (x + y)], axis=2).astype(np.uint8))


def encode(image: Image.Image, format_name: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def with_chunk(data: bytes, name: bytes, content: bytes) -> bytes:
    """A PNG with one more chunk after its header."""
    return data[:33] + chunk(name, content) + data[33:]


def as_rgb(data: bytes, short_side: int | None = None) -> np.ndarray:
    return decode(data, short_side, "a")[:, :, ::-1]
