"""Decoding image files at the lowest sufficient resolution, and finding damaged ones.

image_formats.py decides which library decodes a format. Whatever a library raises becomes a reason
in words, so that one bad file is a line with its name.
"""

from __future__ import annotations

import zipfile
from enum import Enum
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Optional, Union

import cv2
import numpy as np

from fashionai.errors import DataError
from fashionai.files.formats.image_signatures import HEAD, identify_format
from fashionai.pipeline.formats import optional_formats, pillow_images
from fashionai.pipeline.formats.image_formats import (
    NO_END_MARKER,
    NO_IMAGE_DATA,
    ImageHeader,
    has_bad_profile,
    read_image_header,
    without_extras,
)
from fashionai.pipeline.formats.unread_formats import animated, unread
from fashionai.pipeline.perceptual_hash import perceptual_hash
from fashionai.pipeline.pixel_values import (
    grey_or_colour,
    has_transparent_pixels,
    is_nearly_constant,
    lay_on_white,
    to_eight_bits,
)

# Names what this project makes of images: their decoded pixels and the views of them. A change
# that gives other pixels of the same file raises it, and a test fails until it does. What was
# computed from pixels and is kept, as the features of frozen layers are, has it in its key.
PIXELS_VERSION = 2

# A path in the file system, or a member of a zip archive.
ImageFile = Union[Path, zipfile.Path]

# A larger image is more likely a decompression bomb than a photograph. The number is the limit
# above which Pillow refuses an image by default.
LARGEST_PIXELS = 178_956_970
SMALLEST_SIDE = 8
# Of a longer image only the middle is used: enlarged to the size that networks see, an image of
# 8 x 1,000,000 pixels would take 25 GB.
LONGEST_RATIO = 128
# More pixels than most cameras give, decoded in each epoch: a PNG of 24 megapixels takes 0.4 s on
# one core and a JPEG 0.04 s, because only a JPEG is decoded at a reduced scale.
MANY_MEGAPIXELS = 25

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
# OpenCV 4.13 has the function in a module of its own.
_opencv: Any = cv2
(_opencv if hasattr(cv2, "setLogLevel") else _opencv.utils.logging).setLogLevel(0)


class Header(NamedTuple):
    """The size in pixels that the header of an image file states."""

    width: int
    height: int


class Trait(Enum):
    """What a user should know about a sound image; the value follows "1 image" or "2 images"."""

    CONSTANT = "of one colour or nearly so"
    TRANSPARENT = "with transparency, laid on white"
    DEEP = "with more than 8 bits per value, scaled to its own range"
    LONG = f"longer than {LONGEST_RATIO} times the short side, of which the middle is used"
    BAD_PROFILE = "with a damaged colour profile, which is ignored"
    HUGE = (
        f"of more than {MANY_MEGAPIXELS} megapixels, slow to decode (smaller copies train faster)"
    )


class Inspection(NamedTuple):
    """The reason why an image cannot be used, "" for a sound one, and what it is like.

    ``hash`` is the perceptual hash of a sound image, where it was asked for.
    """

    damage: str
    traits: frozenset[Trait] = frozenset()
    hash: Optional[np.ndarray] = None


class _UnusableError(Exception):
    """An image that cannot be used; the text is the reason."""


class _Decoded(NamedTuple):
    """Pixels ``(H, W, 3) uint8`` BGR, and what was done to get them."""

    pixels: np.ndarray
    traits: frozenset[Trait]


def read_header(data: Union[bytes, BinaryIO]) -> Optional[Header]:
    """The size of an encoded image, or None if its format is unknown or its header damaged.

    An open file is read only if it begins like an image.
    """
    if not isinstance(data, bytes):
        head = data.read(HEAD)
        data = head + data.read() if identify_format(head) else head
    header = read_image_header(data)
    if header is None:
        return None
    if header.width is not None and header.height is not None:
        return Header(header.width, header.height)
    try:
        if header.name in optional_formats.FORMATS:
            return Header(*optional_formats.open_image(data, header.name, False).size)
        return Header(*pillow_images.open_image(data, header.name).size)
    except Exception:  # Pillow raises errors of many kinds; KeyError: a format not read.
        return None


def is_image(handle: BinaryIO) -> bool:
    """Whether an open file begins like an image, of a format that is read or of another one."""
    head = handle.read(HEAD)
    name = identify_format(head)
    # Texts may begin like these two.
    if name in ("BMP", "PNM"):
        return read_header(head + handle.read()) is not None
    return name is not None


def size_problem(width: int, height: int) -> str:
    """The reason why an image of this size is not decoded, "" if it is.

    Every image has at most LARGEST_PIXELS pixels and sides of at least SMALLEST_SIDE pixels.
    """
    size = f"{width}x{height} pixels"
    if width * height > LARGEST_PIXELS:
        return f"too large: {size}"
    return f"too small: {size}" if min(width, height) < SMALLEST_SIDE else ""


def find_damage(data: bytes) -> str:
    """The reason why an encoded image cannot be used, or an empty string if it can."""
    return inspect_image(data).damage


def inspect_image(data: bytes, with_hash: bool = False) -> Inspection:
    """Decode an image in full: the reason why it cannot be used, or what it is like.

    A usable image has a format that is read and a size without size_problem; it is
    complete and can be decoded. ``with_hash`` asks for its perceptual hash.
    """
    try:
        decoded = _decode(data, None)
    except _UnusableError as error:
        return Inspection(str(error))
    constant = {Trait.CONSTANT} if is_nearly_constant(decoded.pixels) else set()
    bad_profile = {Trait.BAD_PROFILE} if has_bad_profile(data) else set()
    return Inspection(
        "",
        decoded.traits | constant | bad_profile,
        perceptual_hash(decoded.pixels) if with_hash else None,
    )


def decode(data: bytes, short_side: Optional[int], name: str) -> np.ndarray:
    """Decode to pixels ``(H, W, 3) uint8`` in BGR order, with the EXIF orientation applied.

    A JPEG whose short side is at least twice ``short_side`` pixels is decoded at a
    reduced scale that leaves at least ``short_side``; with None at full scale. What is
    transparent becomes white, deeper values are scaled to 8 bits by their own range, and
    of an image longer than LONGEST_RATIO the middle is returned. Raises DataError with
    ``name`` and the reason if the image cannot be used.
    """
    try:
        return _decode(data, short_side).pixels
    except _UnusableError as error:
        raise DataError(f"{name}: the image cannot be decoded: {error}") from None


def read_image(path: ImageFile, short_side: int) -> np.ndarray:
    """Decode an image file, see decode. Raises DataError if it is missing or damaged."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    return decode(data, short_side, str(path))


def _decode(data: bytes, short_side: Optional[int]) -> _Decoded:
    if not data:
        raise _UnusableError("empty file")
    header = read_image_header(data)
    if header is None:
        raise _UnusableError("not an image")
    if header.animated:
        raise _UnusableError(animated(header.name))
    try:
        return _middle(_note_size(_decode_format(data, header, short_side), header))
    except _UnusableError:
        raise
    except MemoryError:
        raise _UnusableError("cannot be decoded: not enough memory") from None
    except Exception:  # Decoders raise errors of many kinds, ZeroDivisionError among them.
        raise _UnusableError("cannot be decoded") from None


def _decode_format(data: bytes, header: ImageHeader, short_side: Optional[int]) -> _Decoded:
    if header.width is not None and header.height is not None:
        _check_size(header.width, header.height)
    if header.damage:
        raise _UnusableError(header.damage)
    if header.name in optional_formats.FORMATS:
        return _decode_with_optional_library(data, header)
    if header.width is None or (header.transparent and not header.sixteen_bits):
        return _decode_with_pillow(data, header)
    return _decode_with_opencv(data, header, short_side)


def _check_size(width: int, height: int) -> None:
    problem = size_problem(width, height)
    if problem:
        raise _UnusableError(problem)


def _decode_with_pillow(data: bytes, header: ImageHeader) -> _Decoded:
    if header.name not in pillow_images.PILLOW_FORMATS:
        raise _UnusableError(unread(header.name))
    data = without_extras(data, header)
    with pillow_images.STRICT, pillow_images.open_image(data, header.name) as image:
        _check_size(*image.size)
        is_deep = pillow_images.has_more_than_eight_bits(image)
        pixels, is_transparent = pillow_images.to_pixels(image)
    traits = {Trait.DEEP: is_deep, Trait.TRANSPARENT: is_transparent}
    return _Decoded(pixels, frozenset(trait for trait, given in traits.items() if given))


def _decode_with_opencv(data: bytes, header: ImageHeader, short_side: Optional[int]) -> _Decoded:
    if header.name == "JPEG":
        _check_jpeg_end(data, header)
    data = without_extras(data, header)
    if header.sixteen_bits:
        return _decode_sixteen_bits(data, header)
    flag = _decode_flag(header, short_side)
    return _Decoded(_opencv_pixels(data, flag), frozenset())


def _decode_sixteen_bits(data: bytes, header: ImageHeader) -> _Decoded:
    """Decode a PNG of 16 bits per value; the EXIF orientation of a transparent one is ignored."""
    if not header.transparent:
        values = _opencv_pixels(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    else:
        # Of a grey image with one transparent grey, OpenCV drops which.
        values = _opencv_pixels(data, cv2.IMREAD_UNCHANGED)
    return _to_colours(values, is_deep=True)


def _decode_with_optional_library(data: bytes, header: ImageHeader) -> _Decoded:
    if not optional_formats.is_installed(header.name):
        raise _UnusableError(unread(header.name))
    with pillow_images.STRICT:
        image = optional_formats.open_image(data, header.name, header.sixteen_bits)
        _check_size(*image.size)
        return _to_colours(image.values(), image.is_deep)


def _to_colours(values: np.ndarray, is_deep: bool) -> _Decoded:
    """Grey ``(H, W)``, BGR ``(H, W, 3)`` or BGRA ``(H, W, 4)`` as 8-bit colours on white."""
    deep = {Trait.DEEP} if is_deep else set()
    if values.ndim == 2 or values.shape[2] == 3:
        scaled = to_eight_bits(values) if is_deep else values
        return _Decoded(grey_or_colour(scaled), frozenset(deep))
    colours, alpha = values[:, :, :3], values[:, :, 3]
    if is_deep:
        colours = to_eight_bits(colours, visible=alpha > 0)
    if alpha.dtype == np.uint16:
        alpha = (alpha >> 8).astype(np.uint8)
    layered = np.dstack([colours, alpha])
    transparent = {Trait.TRANSPARENT} if has_transparent_pixels(layered) else set()
    return _Decoded(lay_on_white(layered), frozenset(deep | transparent))


def _opencv_pixels(data: bytes, flag: int) -> np.ndarray:
    pixels: Optional[np.ndarray] = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    if pixels is None:
        raise _UnusableError("cannot be decoded")
    return pixels


def _note_size(decoded: _Decoded, header: ImageHeader) -> _Decoded:
    """Add the trait of an image that is slow to decode."""
    height, width = decoded.pixels.shape[:2]
    if header.name == "JPEG" or height * width <= MANY_MEGAPIXELS * 1_000_000:
        return decoded
    return decoded._replace(traits=decoded.traits | {Trait.HUGE})


def _middle(decoded: _Decoded) -> _Decoded:
    """Cut an image that is longer than LONGEST_RATIO to its middle."""
    height, width = decoded.pixels.shape[:2]
    longest = LONGEST_RATIO * min(height, width)
    if max(height, width) <= longest:
        return decoded
    top, left = max(0, height - longest) // 2, max(0, width - longest) // 2
    # A copy, so that the memory of the rest becomes free.
    middle = decoded.pixels[top : top + longest, left : left + longest].copy()
    return _Decoded(middle, decoded.traits | {Trait.LONG})


def _check_jpeg_end(data: bytes, header: ImageHeader) -> None:
    """Refuse a JPEG without an end marker.

    OpenCV reports no error if only the end of a file is missing: it fills the rest
    of the image with grey.
    """
    # The search starts at the end of the data, where complete files have the marker. End markers
    # before the first scan belong to embedded thumbnails.
    if data.rfind(END_OF_IMAGE, header.scan_start) >= 0:
        return
    raise _UnusableError(NO_END_MARKER if _has_all_data(data) else NO_IMAGE_DATA)


def _has_all_data(data: bytes) -> bool:
    """Whether a JPEG without an end marker lacks nothing else.

    If it does, what follows its end decides how the rest of the picture looks.
    """
    data = data.removesuffix(END_OF_IMAGE[:1])
    fillings = (b"", b"\x55\x33\xaa" * 100, b"\xe6\x91" * 100)
    pictures = [pillow_images.jpeg_pixels(data + filling + END_OF_IMAGE) for filling in fillings]
    first = pictures[0]
    return first is not None and all(
        picture is not None and np.array_equal(first, picture) for picture in pictures[1:]
    )


def _decode_flag(header: ImageHeader, short_side: Optional[int]) -> int:
    """OpenCV's flag for the smallest scale that leaves ``short_side`` pixels."""
    if header.name == "JPEG" and short_side is not None:
        assert header.width is not None
        assert header.height is not None
        for factor, flag in REDUCED_FLAGS:
            if min(header.width, header.height) // factor >= short_side:
                return flag
    return cv2.IMREAD_COLOR
