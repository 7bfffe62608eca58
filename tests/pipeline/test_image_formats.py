"""Formats, transparency, deep values and damage: which images decode to what."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile, TiffImagePlugin, TiffTags

from fashionai.errors import DataError
from fashionai.pipeline.decode import (
    Inspection,
    Trait,
    decode,
    find_damage,
    inspect_image,
    is_image,
    read_header,
)
from fashionai.pipeline.pixel_values import lay_on_white
from tests.support.commands import ROOT
from tests.support.pictures import as_rgb, encode, picture, with_chunk

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
NO_END_MARKER = "truncated: the end marker is missing"
NO_IMAGE_DATA = "truncated: image data are missing"


JPEG = encode(picture(), "JPEG", quality=90)
PNG = encode(picture(), "PNG")


# JPEG: fill bytes, end markers


@pytest.mark.parametrize(
    "data",
    [
        JPEG[:2] + b"\xff" * 3 + JPEG[2:],
        JPEG[:20] + b"\n" * 7 + JPEG[20:],
        JPEG[:20] + b"\xff" * 9 + JPEG[20:],
    ],
)
def test_bytes_between_the_segments_of_a_jpeg_are_skipped(
    data: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    assert inspect_image(data) == Inspection("", frozenset())
    np.testing.assert_array_equal(as_rgb(data), as_rgb(JPEG))
    assert read_header(data) == (48, 36)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("progressive", [False, True])
def test_a_missing_end_marker_is_distinguished_from_missing_data(progressive: bool) -> None:
    data = encode(picture((200, 150)), "JPEG", quality=90, progressive=progressive)
    assert find_damage(data[:-2]) == NO_END_MARKER
    assert find_damage(data[: len(data) // 2]) == NO_IMAGE_DATA
    assert find_damage(data[:-200]) == NO_IMAGE_DATA
    with pytest.raises(DataError, match=rf"^a\.jpg: .* {NO_END_MARKER}$"):
        decode(data[:-2], 32, "a.jpg")


def test_a_png_without_its_end_is_truncated_in_one_of_two_ways() -> None:
    assert find_damage(PNG[:-12]) == NO_END_MARKER
    assert find_damage(PNG[:-4]) == NO_END_MARKER
    assert find_damage(PNG[:-20]) == NO_IMAGE_DATA
    assert read_header(PNG[:-20]) == (48, 36)


def test_zeros_within_a_png_are_no_chunks() -> None:
    assert find_damage(PNG[:33] + bytes(50_000_000)) == "damaged: a chunk without a name"


# PNG: chunks of any size, profiles


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (b"zTXt", b"prompt\0\0" + zlib.compress(b"word " * 400_000)),
        (b"iTXt", b"prompt\0\1\0\0\0" + zlib.compress(b"word " * 400_000)),
        (b"tEXt", b"prompt\0" + b"word " * 2_000_000),
        (b"iCCP", b"p\0\0" + zlib.compress(bytes(36) + b"acsp" + bytes(2_000_000))),
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_texts_and_profiles_of_a_png_may_be_large(name: bytes, content: bytes, mode: str) -> None:
    data = with_chunk(encode(picture().convert(mode), "PNG"), name, content)
    assert find_damage(data) == ""
    np.testing.assert_array_equal(as_rgb(data), as_rgb(PNG))


@pytest.mark.parametrize(
    "profile", [b"p\0\0" + zlib.compress(b"no profile"), b"p\0\0damaged", b"p\0\0"]
)
def test_a_bad_profile_is_counted_and_printed_by_no_library(
    profile: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    data = with_chunk(PNG, b"iCCP", profile)
    assert inspect_image(data) == Inspection("", {Trait.BAD_PROFILE})
    np.testing.assert_array_equal(as_rgb(data), as_rgb(PNG))
    assert capfd.readouterr().err == ""


# 16 bits


@pytest.mark.parametrize("largest", [199, 4095, 65535])
@pytest.mark.parametrize("format_name", ["PNG", "TIFF"])
def test_deep_grey_is_scaled_by_its_own_range(largest: int, format_name: str) -> None:
    values = np.linspace(0, largest, 48 * 36).astype(np.uint16).reshape(36, 48)
    data = encode(Image.fromarray(values), format_name)
    pixels = as_rgb(data)
    expected = np.rint(values / largest * 255)
    assert np.abs(pixels - expected[:, :, None]).max() <= 1
    assert len(np.unique(pixels)) == min(largest + 1, 256)
    assert inspect_image(data) == Inspection("", {Trait.DEEP})


def test_deep_colours_are_scaled_by_one_range_for_all() -> None:
    colours = np.asarray(picture()).astype(np.uint16) * 16
    data = cv2.imencode(".png", colours[:, :, ::-1])[1].tobytes()
    low, high = int(colours.min()), int(colours.max())
    expected = (colours - low) / (high - low) * 255
    assert np.abs(as_rgb(data) - expected).max() <= 1


def test_deep_transparent_images_are_scaled_by_what_is_visible() -> None:
    values = np.zeros((20, 20, 4), np.uint16)
    values[:, :10] = (500, 1000, 1500, 65535)
    values[:10, :10, :3] = 0
    values[:, 10:, :3] = 65535  # Noise that nobody sees.
    pixels = decode(cv2.imencode(".png", values)[1].tobytes(), None, "a")
    assert pixels[15, 5].tolist() == [85, 170, 255]
    assert pixels[5, 5].tolist() == [0, 0, 0]
    assert pixels[5, 15].tolist() == [255, 255, 255]


def test_a_deep_image_of_one_value_is_constant() -> None:
    data = encode(Image.fromarray(np.full((20, 20), 700, np.uint16)), "PNG")
    assert inspect_image(data) == Inspection("", {Trait.DEEP, Trait.CONSTANT})


def test_infinite_values_become_the_ends_of_the_range_of_the_others() -> None:
    """As in depth maps; NaN counts as 0."""
    values = np.linspace(100, 300, 20 * 20, dtype=np.float32).reshape(20, 20)
    expected = np.rint((values - 100) / 200 * 255)
    values[3, :3], expected[3, :3] = np.inf, 255
    values[4, :3], expected[4, :3] = -np.inf, 0
    pixels = as_rgb(encode(Image.fromarray(values), "TIFF"))
    assert np.abs(pixels - expected[:, :, None]).max() <= 1
    values[5, 0] = np.nan
    expected = np.rint(values.clip(100, 300) / 300 * 255)
    expected[5, 0] = 0
    pixels = as_rgb(encode(Image.fromarray(values), "TIFF"))
    expected[4, :3] = 0
    assert np.abs(pixels - expected[:, :, None]).max() <= 1


# Transparency


def transparent(alpha: np.ndarray, **options) -> Image.Image:
    image = picture()
    image.putalpha(Image.fromarray(alpha))
    return image


@pytest.mark.parametrize("format_name", ["PNG", "WEBP", "TIFF"])
def test_transparency_is_laid_on_white(format_name: str) -> None:
    alpha = np.tile(np.linspace(0, 255, 48).astype(np.uint8), (36, 1))
    options = {"lossless": True, "exact": True} if format_name == "WEBP" else {}
    data = encode(transparent(alpha), format_name, **options)
    share = alpha[:, :, None] / 255
    expected = np.rint(np.asarray(picture()) * share + 255 * (1 - share))
    np.testing.assert_array_equal(as_rgb(data), expected)
    assert inspect_image(data) == Inspection("", {Trait.TRANSPARENT})


@pytest.mark.parametrize("format_name", ["PNG", "WEBP", "TIFF"])
def test_an_alpha_without_transparent_pixels_changes_nothing(format_name: str) -> None:
    options = {"lossless": True} if format_name == "WEBP" else {}
    data = encode(picture().convert("RGBA"), format_name, **options)
    np.testing.assert_array_equal(as_rgb(data), np.asarray(picture()))
    assert inspect_image(data) == Inspection("", frozenset())


def test_a_large_transparent_image_is_laid_on_white_in_strips() -> None:
    layered = np.random.default_rng(0).integers(0, 256, (2500, 1000, 4), np.uint8)
    share = layered[:, :, 3:] / 255
    expected = np.rint(layered[:, :, :3] * share + 255 * (1 - share))
    np.testing.assert_array_equal(lay_on_white(layered), expected)


def test_noise_below_transparency_does_not_reach_the_network() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 4), np.uint8)
    noise[:, :, 3] = 0
    data = encode(Image.fromarray(noise), "PNG")
    assert as_rgb(data).min() == 255
    assert inspect_image(data) == Inspection("", {Trait.TRANSPARENT, Trait.CONSTANT})


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "1"])
def test_a_transparent_colour_becomes_white(mode: str) -> None:
    grey = np.full((20, 20), 0, np.uint8)
    grey[:, 10:] = 255
    image = Image.fromarray(grey).convert(mode)
    data = encode(image, "PNG", transparency=(0, 0, 0) if mode == "RGB" else 0)
    assert as_rgb(data).min() == 255


def test_a_transparent_png_is_turned_upright() -> None:
    tags = Image.Exif()
    tags[0x0112] = 6
    opaque = encode(picture(), "PNG", exif=tags)
    layered = encode(picture().convert("RGBA"), "PNG", exif=tags)
    assert as_rgb(opaque).shape == (48, 36, 3)
    np.testing.assert_array_equal(as_rgb(layered), as_rgb(opaque))


def test_images_of_nearly_one_colour_are_found() -> None:
    rng = np.random.default_rng(0)
    flat = rng.integers(100, 104, (64, 64, 3)).astype(np.uint8)
    dotted = flat.copy()
    dotted[30:34, 30:34] = 255
    assert Trait.CONSTANT in inspect_image(encode(Image.fromarray(flat), "PNG")).traits
    assert Trait.CONSTANT not in inspect_image(encode(Image.fromarray(dotted), "PNG")).traits


# Formats


ANIMATED = {"save_all": True, "append_images": [picture().rotate(90)]}
MAGICK = 'magick "FILE[0]" OUT.png'
DARKTABLE = "camera raw is not read; convert it: darktable-cli FILE OUT.jpg"
RSVG = "SVG is not read; convert it: rsvg-convert FILE --output OUT.png"


def tiff_with(*entries: tuple[int, int]) -> bytes:
    """A TIFF of 48 x 36 pixels with more entries, pairs of tag and value."""
    extra = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in entries:
        extra[tag] = value
        extra.tagtype[tag] = TiffTags.LONG
    return encode(picture(), "TIFF", tiffinfo=extra)


@pytest.mark.parametrize(
    ("data", "damage"),
    [
        (encode(picture(), "GIF"), f"GIF is not read; convert it: {MAGICK}"),
        (encode(picture(), "GIF", **ANIMATED), f"GIF is not read; convert it: {MAGICK}"),
        *(
            (
                encode(picture(), name, **ANIMATED),
                f"animated {shown}, expected a still image; convert its first frame: {MAGICK}",
            )
            for name, shown in (("PNG", "PNG"), ("WEBP", "WebP"))
        ),
        (encode(picture(), "ICO"), f"icon is not read; convert it: {MAGICK}"),
        (b"8BPS\0\1" + bytes(100), f"PSD is not read; convert it: {MAGICK}"),
        (
            b"\1\0\0\0" + bytes(36) + b" EMF" + bytes(60),
            "EMF is not read; convert it: soffice --convert-to png FILE",
        ),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", RSVG),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- drawn -->\n<!DOCTYPE svg PUBLIC ''>", RSVG),
        (b"<!-- <svg> --><html><svg></svg></html>", "not an image"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(90), DARKTABLE),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(90), DARKTABLE),
        (b"FUJIFILMCCD-RAW 0201" + bytes(90), DARKTABLE),
        (tiff_with((254, 1), (330, 8)), DARKTABLE),  # as Nikon and Sony write
        (tiff_with((50706, 0x01040000)), DARKTABLE),  # DNG
        (tiff_with((254, 1)), ""),
        (tiff_with((254, 2)), ""),
    ],
)
def test_what_is_not_read_is_named(data: bytes, damage: str) -> None:
    assert find_damage(data) == damage


@pytest.mark.parametrize("format_name", ["TIFF", "JPEG2000", "PPM", "BMP"])
def test_lossless_formats_decode_to_the_same_pixels(format_name: str) -> None:
    data = encode(picture(), format_name)
    assert find_damage(data) == ""
    np.testing.assert_array_equal(as_rgb(data), np.asarray(picture()))
    assert read_header(io.BytesIO(data)) == (48, 36)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (PNG, True),
        (PNG[:20], True),
        (encode(picture(), "BMP"), True),
        (encode(picture(), "PPM"), True),
        (encode(picture(), "GIF"), True),
        (b"", False),
        (b"BMW/1.jpg,a red car on a road\n" * 9, False),
        (b"P1 is the first photograph\n" * 9, False),
        (b"path,class\na.jpg,cat\n" * 9, False),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n" * 9, False),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), False),
    ],
)
def test_images_are_distinguished_from_other_files_by_content(
    content: bytes, expected: bool
) -> None:
    assert is_image(io.BytesIO(content)) is expected


def test_importing_leaves_the_guard_of_pillow_on() -> None:
    program = (
        "from PIL import Image; before = Image.MAX_IMAGE_PIXELS\n"
        "import fashionai.pipeline.decode; assert Image.MAX_IMAGE_PIXELS == before is not None"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# Damage


def test_a_changed_bit_of_an_animated_png_does_not_end_the_process() -> None:
    gradient = Image.linear_gradient("L").resize((64, 48)).convert("RGB")
    data = bytearray(encode(gradient, "PNG", save_all=True, append_images=[gradient.rotate(90)]))
    for bit in range(8):
        changed = bytearray(data)
        changed[125] ^= 1 << bit
        assert find_damage(bytes(changed)) != ""


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_2000_that_ends_early_does_not_end_the_process(mode: str) -> None:
    data = encode(picture().convert(mode), "JPEG2000")
    for keep in (80, 150, 200):
        assert find_damage(data[:keep]) != ""


@pytest.mark.parametrize("switched_on", [False, True])
def test_truncation_is_found_although_a_library_makes_pillow_ignore_it(
    switched_on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GluonCV does so when it is imported. The setting stays as it was."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", switched_on)
    ppm, jp2 = encode(picture(), "PPM"), encode(picture(), "JPEG2000")
    jpeg = encode(picture((200, 150)), "JPEG", progressive=True)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(find_damage, [ppm[:500], jp2[:150], ppm, jpeg[:-200]] * 20))
    assert found == ["cannot be decoded", "cannot be decoded", "", NO_IMAGE_DATA] * 20
    assert ImageFile.LOAD_TRUNCATED_IMAGES is switched_on


def test_a_short_campaign_of_damaged_images() -> None:
    """300 cases over all formats in a process of their own; see the script for the rest."""
    script = ROOT / "scripts/campaigns/images.py"
    done = subprocess.run(
        [sys.executable, script, "--cases", "300", "--seed", "3"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + json.dumps(done.stderr[-2000:])
    assert "300 cases, 0 failures" in done.stdout
    # Each format was both decoded and refused, so the cases are neither all sound nor all broken.
    for name in ("JPEG", "WebP", "BMP", "PNM"):
        (line,) = [line for line in done.stdout.splitlines() if line.split("  ")[0] == name]
        assert "decoded" in line
        assert "refused" in line
