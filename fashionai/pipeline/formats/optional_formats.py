"""AVIF and HEIC, which the libraries of the extra "formats" decode.

Pillow decodes AVIF from 11.3 on, and pillow-heif decodes HEIC. Both are called with one thread per
image, because the loader decodes in threads of its own.
"""

from __future__ import annotations

import importlib
import io
from typing import Any, Protocol

import cv2
import numpy as np

from fashionai.pipeline.formats import pillow_images

FORMATS = ("AVIF", "HEIC")


class OptionalImage(Protocol):
    """An image whose header is read. ``is_deep``: more than 8 bits per value."""

    size: tuple[int, int]
    is_deep: bool

    def values(self) -> np.ndarray:
        """Decode to ``(H, W)`` grey, ``(H, W, 3)`` BGR or ``(H, W, 4)`` BGRA, upright.

        The values are uint8, or uint16 of the full range.
        """


def is_installed(name: str) -> bool:
    """Whether a library that decodes this format is installed."""
    try:
        return bool(_avif().SUPPORTED if name == "AVIF" else _heif())
    except ImportError:
        return False


def open_image(data: bytes, name: str, is_deep: bool) -> OptionalImage:
    """Read the header of an image; the libraries raise errors of many kinds for a damaged one.

    ``is_deep`` is what an AVIF's header says: Pillow scales its 10 or 12 bits to 8.
    """
    return _AvifImage(data, is_deep) if name == "AVIF" else _HeicImage(data)


class _AvifImage:
    def __init__(self, data: bytes, is_deep: bool) -> None:
        self._image = _avif().AvifImageFile(io.BytesIO(data), "")
        # Pillow gives the rotation that the file states as EXIF orientation, and would take one
        # from XMP where there is none.
        self._image.info.pop("xmp", None)
        self.size: tuple[int, int] = self._image.size
        self.is_deep = is_deep

    def values(self) -> np.ndarray:
        self._image.load()
        values = np.asarray(pillow_images.upright(self._image))
        if values.ndim == 2:
            return values
        swap = cv2.COLOR_RGBA2BGRA if values.shape[2] == 4 else cv2.COLOR_RGB2BGR
        return cv2.cvtColor(values, swap)


class _HeicImage:
    """The primary image of a file; libheif turns it upright by the rotation that the file states.

    The EXIF orientation says the same once more and is ignored (ISO/IEC 23008-12, annex A.2).
    """

    def __init__(self, data: bytes) -> None:
        opened = _heif().open_heif(io.BytesIO(data), convert_hdr_to_8bit=False, bgr_mode=True)
        self._image = opened[opened.primary_index]
        self.size: tuple[int, int] = self._image.size
        self.is_deep = ";" in self._image.mode

    def values(self) -> np.ndarray:
        # A copy: arrays of pillow-heif 1.1, the last one for Python 3.9, do not keep their memory.
        values = np.array(self._image)
        if values.ndim == 3 and values.shape[2] == 2:
            grey, alpha = values[:, :, 0], values[:, :, 1]
            values = np.dstack([grey, grey, grey, alpha])
        return _divided_by_alpha(values) if self._image.premultiplied_alpha else values


def _divided_by_alpha(values: np.ndarray) -> np.ndarray:
    """Colours that were multiplied with alpha ``(H, W, 4)`` as they were before."""
    alpha = values[:, :, 3:]
    largest = np.iinfo(values.dtype).max
    share = np.maximum(alpha, 1) / np.float32(largest)
    colours = np.minimum(np.rint(values[:, :, :3] / share), largest).astype(values.dtype)
    return np.dstack([colours, alpha])


def _avif() -> Any:
    """Pillow's module for AVIF; ImportError before 11.3."""
    module: Any = importlib.import_module("PIL.AvifImagePlugin")
    module.DEFAULT_MAX_THREADS = 1
    return module


def _heif() -> Any:
    """pillow-heif; ImportError where it is not installed."""
    module: Any = importlib.import_module("pillow_heif")
    module.options.DECODE_THREADS = 1
    return module
