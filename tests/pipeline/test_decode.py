"""Decoding: reduced resolution, colours, orientation."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from fashionai.errors import DataError
from fashionai.pipeline.decode import decode, read_header, read_image


def picture(width: int, height: int) -> Image.Image:
    """A smooth picture with shapes, as photographs are."""
    rng = np.random.default_rng(width * 7919 + height)
    coarse = rng.integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return Image.fromarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR))


def encode(image: Image.Image, format: str = "JPEG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@settings(max_examples=60, deadline=None)
@given(st.integers(8, 900), st.integers(8, 900), st.integers(8, 500), st.booleans())
def test_the_short_side_is_never_smaller_than_the_given_one(
    width, height, short, progressive
) -> None:
    data = encode(picture(width, height), quality=60, progressive=progressive)
    image = decode(data, short, "a.jpg")
    smallest = min(image.shape[:2])
    assert smallest >= min(short, width, height)
    # At most two times too large, but for the 8 times that libjpeg can shrink.
    assert smallest < 2 * short + 2 or smallest <= -(-min(width, height) // 8)
    assert image.dtype == np.uint8
    assert abs(image.shape[1] / image.shape[0] - width / height) < 0.3 * width / height


@pytest.mark.parametrize(("factor", "short"), [(1, 250), (2, 200), (4, 100), (8, 40)])
def test_reduced_decoding_looks_like_full_decoding_resized(factor: int, short: int) -> None:
    data = encode(picture(480, 400), quality=92)
    reduced = decode(data, short, "a.jpg")
    assert reduced.shape == (400 // factor, 480 // factor, 3)
    with Image.open(io.BytesIO(data)) as image:
        full = np.asarray(image.convert("RGB"))[:, :, ::-1]
    resized = cv2.resize(full, reduced.shape[1::-1], interpolation=cv2.INTER_AREA)
    difference = np.abs(resized.astype(int) - reduced)
    assert difference.mean() < 2
    assert difference.max() < 40


@pytest.mark.parametrize("format", ["PNG", "BMP", "WEBP"])
def test_other_formats_are_decoded_in_full(format: str) -> None:
    options = {"lossless": True} if format == "WEBP" else {}
    image = picture(96, 64)
    decoded = decode(encode(image, format, **options), 8, "a")
    np.testing.assert_array_equal(decoded, np.asarray(image)[:, :, ::-1])


def test_colours_are_blue_green_red() -> None:
    for format in ("JPEG", "PNG"):
        data = encode(Image.new("RGB", (64, 64), (250, 120, 5)), format)
        for short in (64, 16):
            blue, green, red = decode(data, short, "a").reshape(-1, 3).mean(axis=0)
            assert (abs(red - 250) < 4, abs(green - 120) < 4, abs(blue - 5) < 4) == (True,) * 3


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "RGBA", "1"])
def test_every_colour_mode_becomes_three_channels(mode: str) -> None:
    image = picture(40, 30).convert(mode)
    data = encode(image, "JPEG" if mode in ("L", "CMYK") else "PNG")
    decoded = decode(data, 30, "a")
    assert decoded.shape == (30, 40, 3)
    with Image.open(io.BytesIO(data)) as opened:
        expected = np.asarray(opened.convert("RGB"))[:, :, ::-1]
    assert np.abs(expected.astype(int) - decoded).mean() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("short", [120, 60, 15])
def test_the_cameras_orientation_is_applied(orientation: int, short: int) -> None:
    tags = Image.Exif()
    tags[0x0112] = orientation
    data = encode(picture(160, 120), exif=tags.tobytes(), quality=95)
    decoded = decode(data, short, "a.jpg")
    with Image.open(io.BytesIO(data)) as image:
        upright = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))[:, :, ::-1]
    factor = 120 // short
    assert decoded.shape == (upright.shape[0] // factor, upright.shape[1] // factor, 3)
    small = cv2.resize(upright, decoded.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - decoded).mean() < 3


def test_the_size_is_read_from_the_header_without_decoding() -> None:
    assert read_header(encode(picture(33, 21))) == (33, 21)
    data = encode(picture(33, 21), "PNG")
    assert read_header(data) == (33, 21)
    assert read_header(data[: len(data) // 2]) == (33, 21)
    assert read_header(b"text") is None
    assert read_header(b"") is None


@pytest.mark.parametrize("content", [b"", b"text", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n"])
def test_what_cannot_be_decoded_is_an_error_with_its_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_image(path, 32)
    assert str(caught.value).startswith(f"{path}: the image cannot be decoded")


def test_a_missing_file_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_image(tmp_path / "a.jpg", 32)
    assert str(caught.value) == f"{tmp_path / 'a.jpg'}: cannot be read: No such file or directory"
