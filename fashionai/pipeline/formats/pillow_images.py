"""Images that Pillow decodes: formats that OpenCV does not decode safely, and transparency."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Callable
from typing import Optional

import cv2
import numpy as np
from PIL import (
    BmpImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from fashionai.pipeline.pixel_values import (
    grey_or_colour,
    has_transparent_pixels,
    lay_on_white,
    to_eight_bits,
)

# The classes are called in place of Image.open, which would ask every plug-in of Pillow, and warn
# on the terminal about large images; the limits of decode.py hold instead.
_READERS: dict[str, Callable[[io.BytesIO, str], Image.Image]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "JPEG 2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "PNM": PpmImagePlugin.PpmImageFile,
}
PILLOW_FORMATS = frozenset(_READERS)

# Warnings about tags of a TIFF name no file, and what is wrong with the pixels is an error.
warnings.filterwarnings("ignore", module=r"PIL\.TiffImagePlugin")

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class _Strictness:
    """A block in which Pillow refuses truncated images, in all threads that are in one.

    Pillow's switch is one for the process, and importing GluonCV turns it on: Pillow then fills
    what is missing with black. The last thread to leave puts it back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads = 0
        self._before = False

    def __enter__(self) -> None:
        with self._lock:
            if self._threads == 0:
                self._before = ImageFile.LOAD_TRUNCATED_IMAGES
                ImageFile.LOAD_TRUNCATED_IMAGES = False
            self._threads += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._threads -= 1
            if self._threads == 0:
                ImageFile.LOAD_TRUNCATED_IMAGES = self._before


STRICT = _Strictness()


def open_image(data: bytes, format_name: str) -> Image.Image:
    """Read the header of an image. Pillow raises errors of many kinds for a damaged one."""
    return _READERS[format_name](io.BytesIO(data), "")


def jpeg_pixels(data: bytes) -> Optional[np.ndarray]:
    """Decode a JPEG as it is, None if that fails. Unlike OpenCV, Pillow prints no warnings."""
    try:
        with STRICT, JpegImagePlugin.JpegImageFile(io.BytesIO(data), "") as image:
            return np.asarray(image)
    except Exception:  # Pillow raises errors of many kinds.
        return None


def is_transparent(image: Image.Image) -> bool:
    """Whether an open image has transparency: a channel, or a transparent colour."""
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info


def has_more_than_eight_bits(image: Image.Image) -> bool:
    """Whether the values of an open image need to be scaled."""
    return image.mode in ("I", "F") or image.mode.startswith("I;")


def to_pixels(image: Image.Image) -> tuple[np.ndarray, bool]:
    """Decode an open image to ``(H, W, 3) uint8`` BGR: upright, on white, scaled to 8 bits.

    The second value says whether a pixel was transparent.
    """
    image.load()
    if has_more_than_eight_bits(image):
        values = np.asarray(upright(image))
        return grey_or_colour(to_eight_bits(values)), False
    if is_transparent(image):
        rgba = np.asarray(upright(image, image.convert("RGBA")))
        laid = lay_on_white(rgba)
        return cv2.cvtColor(laid, cv2.COLOR_RGB2BGR, dst=laid), has_transparent_pixels(rgba)
    rgb = np.asarray(upright(image, image.convert("RGB")))
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), False


def upright(image: Image.Image, converted: Optional[Image.Image] = None) -> Image.Image:
    """Turn a loaded image, or what it was converted to, by the EXIF orientation of the image."""
    method = _UPRIGHT.get(_orientation(image))
    turned = image if converted is None else converted
    return turned if method is None else turned.transpose(method)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1, upright, if the EXIF data are damaged: they are no pixels."""
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # Pillow lets errors of many kinds escape here.
        return 1
    return orientation if isinstance(orientation, int) else 1
