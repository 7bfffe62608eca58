"""AVIF and HEIC: the pixels are those of the picture and of the libraries; damage is found."""

from __future__ import annotations

import base64
import io
import struct
import sys
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from fashionai.pipeline.decode import (
    Inspection,
    Trait,
    find_damage,
    inspect_image,
    is_image,
    read_header,
)
from fashionai.pipeline.formats.optional_formats import FORMATS
from fashionai.pipeline.pixel_values import to_eight_bits
from tests.support.pictures import as_rgb, encode

pillow_heif.register_heif_opener()

# 48 x 36 pixels of 10 bits, as avifenc of libavif 0.11.1 writes them at a high quality.
DEEP_AVIF = base64.b64decode(
    "AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUEAAADybWV0YQAAAAAAAAAoaGRscgAAAAAAAAAAcGljdAAAAAAA"
    "AAAAAAAAAGxpYmF2aWYAAAAADnBpdG0AAAAAAAEAAAAeaWxvYwAAAABEAAABAAEAAAABAAABGgAAAIQAAAAoaWluZgAA"
    "AAAAAQAAABppbmZlAgAAAAABAABhdjAxQ29sb3IAAAAAamlwcnAAAABLaXBjbwAAABRpc3BlAAAAAAAAADAAAAAkAAAA"
    "EHBpeGkAAAAAAwoKCgAAAAxhdjFDgSBAAAAAABNjb2xybmNseAABAA0ABoAAAAAXaXBtYQAAAAAAAAABAAEEAQKDBAAA"
    "AIxtZGF0EgAKCTgVb42MBDQaQDJ1EYACCCCEALViHXirvxyU8gvPfo0ycOIqwhZ5Jb5UfflcbVs9aq0VIjXXwz2mjNmj"
    "+1TzIDsqG1/hJqN62cR17euOorZaM9lrN38XFC4OcisI3eXrUaieiauUCBAZGzGzjpV1Le+mgM5GpE/GvQSGLYluU9jO"
)


def photo() -> Image.Image:
    return Image.fromarray(load_sample_image("china.jpg")[100:340, 100:420])


def encoded(image: Image.Image, name: str, **options) -> bytes:
    return encode(image, "HEIF" if name == "HEIC" else name, quality=90, **options)


def psnr(pixels: np.ndarray, expected: np.ndarray) -> float:
    difference = pixels.astype(np.float64) - expected
    return float(10 * np.log10(255**2 / max(1e-9, np.mean(difference**2))))


FILES = {name: encoded(photo(), name) for name in FORMATS}


@pytest.mark.parametrize("name", FORMATS)
def test_the_pixels_are_those_of_the_library_and_of_the_photograph(name: str) -> None:
    pixels = as_rgb(FILES[name])
    expected = np.asarray(Image.open(io.BytesIO(FILES[name])))
    np.testing.assert_array_equal(pixels, expected)
    assert psnr(pixels, np.asarray(photo())) > 32
    assert inspect_image(FILES[name]) == Inspection("", frozenset())
    assert read_header(FILES[name]) == (320, 240)
    assert is_image(io.BytesIO(FILES[name]))


@pytest.mark.parametrize("name", FORMATS)
def test_grey_pictures_have_three_equal_channels(name: str) -> None:
    pixels = as_rgb(encoded(photo().convert("L"), name))
    assert psnr(pixels, np.asarray(photo().convert("L"))[:, :, None]) > 32
    assert np.ptp(pixels, axis=2).max() <= 1


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("orientation", "turn"),
    [(3, lambda p: p[::-1, ::-1]), (6, lambda p: np.rot90(p, -1)), (8, np.rot90)],
)
def test_the_rotation_of_the_file_is_applied_once(name: str, orientation: int, turn) -> None:
    """The libraries write it as rotation of the file; HEIC has it in the EXIF data as well."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    data = encoded(photo(), name, exif=tags.tobytes())
    assert b"irot" in data
    assert psnr(as_rgb(data), turn(np.asarray(photo()))) > 32


@pytest.mark.parametrize("name", FORMATS)
def test_orientations_that_the_file_does_not_state_as_rotation_are_ignored(name: str) -> None:
    """ISO/IEC 23008-12 has rotations as properties; those of EXIF and XMP inform only."""
    other_tag = 0x0113  # the libraries move an orientation to the properties
    tags = Image.Exif()
    tags[other_tag] = 1
    data = encoded(photo(), name, exif=tags.tobytes(), xmp=b'<x tiff:Orientation="1"/>')
    before = struct.pack(">HHIH", other_tag, 3, 1, 1)
    assert before in data
    turned = data.replace(before, struct.pack(">HHIH", 0x0112, 3, 1, 6))
    turned = turned.replace(b'Orientation="1"', b'Orientation="6"')
    np.testing.assert_array_equal(as_rgb(turned), as_rgb(data))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("premultiplied", [False, True])
def test_transparency_is_laid_on_white(name: str, premultiplied: bool) -> None:
    alpha = np.full((240, 320), 255, np.uint8)
    alpha[:120], alpha[120:180] = 0, 128
    image = photo()
    image.putalpha(Image.fromarray(alpha))
    options = {}
    if premultiplied:
        options = {"alpha_premultiplied": True} if name == "AVIF" else {}
        image = image.convert("RGBa") if name == "HEIC" else image
    data = encoded(image, name, **options)
    share = alpha[:, :, None] / 255
    expected = np.asarray(photo()) * share + 255 * (1 - share)
    pixels = as_rgb(data)
    assert inspect_image(data) == Inspection("", {Trait.TRANSPARENT})
    # The codec blurs alpha where it jumps.
    for rows in (slice(0, 110), slice(130, 170), slice(190, 240)):
        assert psnr(pixels[rows], expected[rows]) > 30


def test_an_opaque_alpha_is_not_transparent() -> None:
    for name in FORMATS:
        data = encoded(photo().convert("RGBA"), name)
        assert inspect_image(data) == Inspection("", frozenset())


def gradient() -> np.ndarray:
    y, x = np.mgrid[:36, :48]
    values = (8000 + 400 * x + 300 * y).astype(np.uint16)
    return np.dstack([values[:, ::-1], values[::-1], values])


def deep_heic(mode: str, values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    data = np.ascontiguousarray(values).tobytes()
    pillow_heif.encode(mode, (48, 36), data, buffer, quality=-1, chroma=444)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "values"),
    [
        (DEEP_AVIF, gradient()),
        (deep_heic("RGB;16", gradient()), gradient()),
        (deep_heic("I;16", gradient()[:, :, 0]), gradient()[:, :, :1]),
    ],
)
def test_ten_bits_are_scaled_by_their_own_range(data: bytes, values: np.ndarray) -> None:
    expected = (values - 8000.0) / (values.max() - 8000.0) * 255
    pixels = as_rgb(data)
    assert psnr(pixels, expected) > 32
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert inspect_image(data) == Inspection("", {Trait.DEEP})


def test_ten_bits_with_transparency_are_scaled_by_what_is_visible() -> None:
    values = gradient()
    values[:10] = 65535
    alpha = np.full((36, 48, 1), 65535, np.uint16)
    alpha[:10] = 0
    data = deep_heic("RGBA;16", np.dstack([values, alpha]))
    pixels = as_rgb(data)
    assert pixels[:10].min() == 255
    seen = to_eight_bits(values[10:])
    assert psnr(pixels[12:], seen[2:]) > 28
    assert inspect_image(data) == Inspection("", {Trait.DEEP, Trait.TRANSPARENT})


def test_pictures_that_move_are_refused() -> None:
    moving = encode(photo(), "AVIF", save_all=True, append_images=[photo().rotate(90)])
    assert find_damage(moving).startswith("animated AVIF, expected a still image; convert")
    assert find_damage(b"\0\0\0\x18ftyphevc" + bytes(99)).startswith("animated HEIC, expected")


def test_of_several_pictures_the_primary_one_is_read() -> None:
    other = photo().transpose(Image.Transpose.ROTATE_180)
    data = encoded(other, "HEIC", save_all=True, append_images=[photo()], primary_index=1)
    assert psnr(as_rgb(data), np.asarray(photo())) > 32


# Damage


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_ends_anywhere_is_refused_and_nothing_is_printed(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    data = FILES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for keep in [*range(12, 400, 40), *range(400, len(data), 997), len(data) - 1]:
            assert find_damage(data[:keep]) != "", f"{keep} of {len(data)} bytes"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "size", "reason"),
    [
        *((name, (14_000, 14_000), "too large: 14000x14000 pixels") for name in FORMATS),
        *((name, (7, 40), "too small: 7x40 pixels") for name in FORMATS),
        ("HEIC", (30_000, 30_000), "too large: 30000x30000 pixels"),
        ("AVIF", (30_000, 30_000), "cannot be decoded"),  # beyond libavif's own limit
    ],
)
def test_the_size_that_the_header_states_is_checked_before_decoding(
    name: str, size: tuple[int, int], reason: str
) -> None:
    data = bytearray(FILES[name])
    place = data.index(b"ispe") + 8
    data[place : place + 8] = struct.pack(">II", *size)
    tracemalloc.start()
    assert find_damage(bytes(data)) == reason
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_many_threads_decode_the_same_pixels() -> None:
    expected = {name: as_rgb(data) for name, data in FILES.items()}
    with ThreadPoolExecutor(4) as pool:
        for name in FORMATS:
            for pixels in pool.map(as_rgb, [FILES[name]] * 24):
                np.testing.assert_array_equal(pixels, expected[name])


# Without the libraries


@pytest.mark.parametrize(
    ("name", "module"), [("AVIF", "PIL.AvifImagePlugin"), ("HEIC", "pillow_heif")]
)
def test_without_the_library_its_installation_and_a_conversion_are_named(
    name: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert find_damage(FILES[name]) == (
        f'{name} needs a library: pip install "fashionai[formats]"; '
        'or convert it: magick "FILE[0]" OUT.png'
    )
    assert read_header(FILES[name]) is None
    assert is_image(io.BytesIO(FILES[name]))


def test_an_avif_whose_first_brand_is_any_image_is_an_avif() -> None:
    data = FILES["AVIF"].replace(b"ftypavif\0\0\0\0avifmif1", b"ftypmif1\0\0\0\0mif1avif")
    assert data != FILES["AVIF"]
    np.testing.assert_array_equal(as_rgb(data), as_rgb(FILES["AVIF"]))


def test_opencv_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imdecode", None)
    assert [find_damage(FILES[name]) for name in FORMATS] == ["", ""]
