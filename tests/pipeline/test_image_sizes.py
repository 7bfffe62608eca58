"""Sizes and extreme shapes: which images are refused, and what is used of the others."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from fashionai.config import DataConfig
from fashionai.errors import DataError
from fashionai.pipeline.augment import EvaluationTransform, TrainingTransform
from fashionai.pipeline.augmentation.geometry import Box, sample_view
from fashionai.pipeline.decode import (
    LONGEST_RATIO,
    Inspection,
    Trait,
    decode,
    find_damage,
    inspect_image,
)
from tests.support.commands import ROOT
from tests.support.pictures import chunk, encode, picture

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("format_name", ["PPM", "TIFF", "BMP", "PNG", "JPEG2000", "WEBP", "JPEG"])
def test_small_images_are_refused_wherever_they_are_decoded(format_name: str) -> None:
    data = encode(picture((7, 40)), format_name)
    assert find_damage(data) == "too small: 7x40 pixels"
    with pytest.raises(DataError, match=r"^a: .* too small: 7x40 pixels$"):
        decode(data, 16, "a")


def claims_to_be_large(format_name: str) -> bytes:
    """A small image whose header claims 20,000 x 20,000 pixels."""
    if format_name == "PPM":
        return b"P6 20000 20000 255\n"
    data = bytearray(encode(picture(), format_name))
    if format_name == "BMP":
        struct.pack_into("<ii", data, 18, 20_000, -20_000)
    if format_name == "PNG":
        struct.pack_into(">II", data, 16, 20_000, 20_000)
    if format_name == "JPEG":
        struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, 20_000, 20_000)
    if format_name == "TIFF":
        for tag, side in ((256, 48), (257, 36)):
            entry = data.index(struct.pack("<HHII", tag, 4, 1, side))
            struct.pack_into("<I", data, entry + 8, 20_000)
    return bytes(data)


@pytest.mark.parametrize("format_name", ["PPM", "TIFF", "BMP", "PNG", "JPEG"])
def test_large_images_are_refused_wherever_they_are_decoded(format_name: str) -> None:
    data = claims_to_be_large(format_name)
    assert find_damage(data) == "too large: 20000x20000 pixels"
    with pytest.raises(DataError, match=r"^a: .* too large: 20000x20000 pixels$"):
        decode(data, 16, "a")


def tall_png(width: int, height: int) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    rows = np.zeros((height, width + 1), np.uint8)
    rows[:, 1:] = (np.arange(height) % 251)[:, None]
    return PNG_MAGIC + header + chunk(b"IDAT", zlib.compress(rows.tobytes())) + chunk(b"IEND", b"")


def test_of_a_very_long_image_the_middle_is_used() -> None:
    data = tall_png(8, 100_000)
    image = decode(data, 256, "a")
    assert image.shape == (8 * LONGEST_RATIO, 8, 3)
    assert image[0, 0, 0] == (50_000 - 4 * LONGEST_RATIO) % 251
    assert inspect_image(data) == Inspection("", {Trait.LONG})
    wide = encode(Image.fromarray(np.arange(2000, dtype=np.uint8)[None].repeat(8, 0)), "PNG")
    assert decode(wide, 256, "a").shape == (8, 8 * LONGEST_RATIO, 3)


def test_images_of_many_pixels_are_noted_but_for_jpegs() -> None:
    """A JPEG is decoded at a reduced scale, so its size costs little."""
    assert inspect_image(tall_png(5000, 5000)).traits == set()
    assert inspect_image(tall_png(5001, 5000)).traits == {Trait.HUGE}
    tiff = encode(picture((5001, 5000)), "TIFF")
    assert Trait.HUGE in inspect_image(tiff).traits
    jpeg = encode(picture((5001, 5000)), "JPEG")
    assert Trait.HUGE not in inspect_image(jpeg).traits


def test_the_views_of_the_longest_image_take_little_memory() -> None:
    """In a process of its own: less than 200 MB beside the 24 MB of its pixels."""
    program = """
import resource, sys
import numpy as np
from fashionai.config import DataConfig
from fashionai.pipeline.augment import EvaluationTransform, TrainingTransform
from fashionai.pipeline.decode import decode
from tests.pipeline.test_image_sizes import tall_png
data = tall_png(8, 1_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
config = DataConfig()
for transform in (EvaluationTransform(config, 10), TrainingTransform(config)):
    out = np.empty((transform.views, config.crop, config.crop, 3), np.uint8)
    transform(decode(data, transform.decode_short, "a"), np.random.default_rng(0), out)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 200_000  # KB


def test_a_warp_takes_images_with_sides_of_any_length() -> None:
    """The view is that of the part of the image about the box."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (40_000, 300, 3), np.uint8)
    angle = np.radians(20)
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    for top in (0, 20_000, 39_800):
        view = sample_view(image, Box(top, 50, 200, 200), turn, 200)
        first = max(0, min(top - 1000, 40_000 - 2200))
        part = image[first : first + 2200]
        expected = sample_view(part, Box(top - first, 50, 200, 200), turn, 200)
        # Float32 coordinates of a far corner differ in their last bits.
        assert np.abs(view.astype(int) - expected).mean() < 2


def gradient(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The colours of a large image at these places: slow waves, and a slope that shows where."""
    waves = [np.abs(places % 510 - 255) for places in (rows, columns)]
    return np.stack([*waves, (rows + columns) * 255 / 40_300], axis=-1)


@pytest.mark.parametrize("shape", [(300, 40_000), (40_000, 300)])
def test_views_of_a_long_image_are_those_of_its_middle(shape: tuple[int, int]) -> None:
    """For the centre crop of training, turned, and the five crops of evaluation."""
    pixels = np.rint(gradient(*np.indices(shape))).astype(np.uint8)
    image = decode(encode(Image.fromarray(pixels), "PNG"), 256, "a")
    data = DataConfig(augment=[{"name": "rotate", "degrees": 30}])
    scale = 300 / data.short_side
    middle, half = np.array(shape) / 2, data.crop * scale / 2
    to_corner = np.minimum(middle, 300 * LONGEST_RATIO / 2) - half
    # From the middle of the view to each of its pixels, in pixels of the image.
    down, right = (np.indices((data.crop, data.crop)) + 0.5) * scale - half
    angle = np.radians(np.random.default_rng(0).uniform(-30, 30))
    turned = (
        np.sin(angle) * right + np.cos(angle) * down,
        np.cos(angle) * right - np.sin(angle) * down,
    )
    corners = [middle + to_corner * sign for sign in ((-1, -1), (-1, 1), (1, -1), (1, 1))]
    for transform, offsets, centres in (
        (TrainingTransform(data), turned, [middle]),
        (EvaluationTransform(data, 5), (down, right), [middle, *corners]),
    ):
        out = np.empty((transform.views, data.crop, data.crop, 3), np.uint8)
        transform(image, np.random.default_rng(0), out)
        for view, centre in zip(out, centres):
            rows, columns = (place + offset for place, offset in zip(centre, offsets))
            inside = (rows > 0) & (rows < shape[0]) & (columns > 0) & (columns < shape[1])
            differences = np.abs(view - gradient(rows - 0.5, columns - 0.5))[inside]
            # The place of a crop is rounded to whole pixels, each a grey level of the waves.
            assert differences.max() < 4
