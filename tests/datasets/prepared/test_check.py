"""Which images are refused, and why; sound ones from Pillow and OpenCV all pass."""

from __future__ import annotations

import hashlib
import io
import os
import random
import struct
import threading
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fashionai.datasets.prepared.check import check_images, conflicting_groups, find_copies
from fashionai.datasets.records import LabelledImage
from fashionai.pipeline.decode import find_damage


def pixels(height: int = 60, width: int = 80, channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(height * width)
    smooth = cv2.resize(
        rng.integers(0, 256, (6, 8, channels), dtype=np.uint8), (width, height)
    ).reshape(height, width, channels)
    return smooth if channels > 1 else smooth[:, :, 0]


def encode(image: Image.Image | None = None, format: str = "JPEG", **options) -> bytes:
    buffer = io.BytesIO()
    (image or Image.fromarray(pixels())).save(buffer, format, **options)
    return buffer.getvalue()


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def with_thumbnail() -> bytes:
    """A JPEG that holds another, complete one in front of its own data, as cameras write them."""
    thumbnail = encode(Image.fromarray(pixels(12, 16)))
    comment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 8) + b"Exif\0\0" + thumbnail
    data = encode()
    return data[:2] + comment + data[2:]


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def two_pictures() -> bytes:
    return encode(format="MPO", save_all=True, append_images=[Image.fromarray(pixels(24, 32))])


PICTURE = Image.fromarray(pixels())
SOUND = {
    "jpeg": encode(),
    "jpeg of quality 100": encode(quality=100, subsampling=0),
    "progressive jpeg": encode(progressive=True),
    "jpeg with restart markers": encode(restart_marker_blocks=2),
    "grey jpeg": encode(PICTURE.convert("L")),
    "cmyk jpeg": encode(PICTURE.convert("CMYK")),
    "rotated jpeg": encode(exif=exif(6)),
    "jpeg with a profile": encode(icc_profile=b"p" * 3000),
    "jpeg with a comment": encode(comment=b"\xff\xda" * 50),
    "jpeg with a thumbnail": with_thumbnail(),
    "jpeg with bytes after its end": encode() + b"trailer" * 20,
    "jpeg of two pictures": two_pictures(),
    "png": encode(format="PNG"),
    "png with alpha": encode(PICTURE.convert("RGBA"), "PNG"),
    "png with a palette": encode(PICTURE.quantize(16), "PNG"),
    "16 bit png": encode(Image.fromarray(pixels()[:, :, 0].astype(np.uint16) * 257), "PNG"),
    "bmp": encode(format="BMP"),
    "webp": encode(format="WEBP"),
    "8x8 png": encode(Image.fromarray(pixels(8, 8)), "PNG"),
    **{
        f"{suffix} of opencv": cv2.imencode(suffix, pixels())[1].tobytes()
        for suffix in (".jpg", ".png", ".bmp", ".webp")
    },
    "progressive jpeg of opencv": cv2.imencode(".jpg", pixels(), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[
        1
    ].tobytes(),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_image_passes(name: str) -> None:
    assert find_damage(SOUND[name]) == ""


# What follows the end of the first picture may be cut off: nothing decodes it.
FOLLOWED_BY_MORE = ("jpeg with bytes after its end", "jpeg of two pictures")
JPEGS = {name: data for name, data in SOUND.items() if data.startswith(b"\xff\xd8")}


@pytest.mark.parametrize("name", [n for n in JPEGS if n not in FOLLOWED_BY_MORE])
def test_a_jpeg_without_its_end_marker_is_truncated(name: str) -> None:
    assert JPEGS[name].endswith(b"\xff\xd9")
    assert find_damage(JPEGS[name][:-2]) == "truncated: the end marker is missing"
    assert find_damage(JPEGS[name][:-1]) == "truncated: the end marker is missing"


@pytest.mark.parametrize("name", JPEGS)
def test_a_jpeg_that_ends_anywhere_inside_its_picture_is_refused(name: str) -> None:
    data = JPEGS[name]
    end = len(data)
    if name in FOLLOWED_BY_MORE:
        end = data.index(b"\xff\xd9") + 2
    for keep in [*range(1, 24), *range(24, end - 2, max(1, end // 50)), end - 2, end - 1]:
        assert find_damage(data[:keep]) != "", f"{keep} of {end} bytes"


@pytest.mark.parametrize("name", ["png", "bmp", "webp", "png with a palette"])
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.99])
def test_other_formats_that_end_early_are_refused(name: str, keep: float) -> None:
    assert find_damage(SOUND[name][: int(len(SOUND[name]) * keep)]) != ""


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"this is a text\n" * 100, "not an image"),
        (b"<html><body>404 Not Found</body></html>", "not an image"),
        (random.Random(0).randbytes(5000), "not an image"),
        (b"\xff\xd8\xff", "not an image"),
        (encode(Image.fromarray(pixels(7, 7)), "PNG"), "too small: 7x7 pixels"),
        (encode(Image.fromarray(pixels(7, 300))), "too small: 300x7 pixels"),
        (png_header(30_000, 30_000), "too large: 30000x30000 pixels"),
        (png_header(178_956_971 // 8 + 1, 8), f"too large: {178_956_971 // 8 + 1}x8 pixels"),
        (png_header(13_000, 13_000), "cannot be decoded"),
        (png_header(2_000_000, 8), "cannot be decoded"),
        (png_header(100, 100), "cannot be decoded"),
        (encode(format="GIF"), 'GIF is not read; convert it: magick "FILE[0]" OUT.png'),
        (encode(format="PPM")[:200], "cannot be decoded"),
    ],
)
def test_what_cannot_be_used_has_its_reason(data: bytes, reason: str) -> None:
    assert find_damage(data) == reason


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(SOUND)),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_changed_bytes_never_raise(name: str, changes: list[tuple[int, int]]) -> None:
    data = bytearray(SOUND[name])
    for position, value in changes:
        data[position % len(data)] = value
    assert isinstance(find_damage(bytes(data)), str)


def labelled(path: Path, class_index: int = 0) -> LabelledImage:
    return LabelledImage(path.name, path, None, class_index, "", f"label.csv:{class_index}")


def test_outcomes_are_in_order_with_the_hash_of_the_bytes(tmp_path: Path) -> None:
    files = {f"{index:02d}.jpg": data for index, data in enumerate(SOUND.values())}
    files["50.jpg"], files["51.jpg"] = b"", SOUND["jpeg"][:-2]
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    done: list[int] = []
    images = [labelled(tmp_path / name) for name in files]
    checked = check_images(images, done.append)
    assert [c.content for c in checked] == [hashlib.sha256(d).hexdigest() for d in files.values()]
    assert [c.damage for c in checked] == [""] * len(SOUND) + [
        "empty file",
        "truncated: the end marker is missing",
    ]
    assert sum(done) == len(files)


def test_a_png_behind_a_jpg_name_is_fine_and_a_text_is_not(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(SOUND["png"])
    (tmp_path / "b.jpg").write_text("hello")
    checked = check_images([labelled(tmp_path / "a.jpg"), labelled(tmp_path / "b.jpg")])
    assert [c.damage for c in checked] == ["", "not an image"]


def test_what_cannot_be_read_is_a_reason_not_an_exception(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    checked = check_images([labelled(tmp_path / "folder.jpg"), labelled(tmp_path / "none.jpg")])
    assert [c.damage for c in checked] == [
        "cannot be read: Is a directory",
        "cannot be read: No such file or directory",
    ]


def test_copies_have_the_same_bytes(tmp_path: Path) -> None:
    contents = {"a": b"12", "b": b"21", "c": b"123", "d": b"12", "e": b"", "f": b"21"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    files, others = ([tmp_path / name for name in names] for names in ("abce", "dce"))
    kept = {contents[path.name] for path in others}
    assert find_copies(files, others) == [contents[path.name] in kept for path in files]
    assert find_copies(files, []) == [False] * 4
    with pytest.raises(FileNotFoundError):
        find_copies(files, [tmp_path / "missing"])


def test_links_are_copies_that_need_not_be_read(tmp_path: Path) -> None:
    """Prepared folders hold links to the files of the user."""
    file, link = tmp_path / "a.jpg", tmp_path / "b.jpg"
    file.write_bytes(SOUND["jpeg"])
    os.link(file, link)
    (tmp_path / "c.jpg").symlink_to(file)

    def read(description: str, total: int, unit: str = "images") -> None:
        pytest.fail("a file is read")

    assert find_copies([link, tmp_path / "c.jpg"], [file], read) == [True, True]


def test_an_interruption_does_not_wait_for_all_other_images(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(SOUND["jpeg"])
    before = threading.active_count()
    read = []

    class Counted(LabelledImage):
        def read(self) -> bytes:
            read.append(1)
            return super().read()

    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_images([Counted(*labelled(path))] * 5000, interrupt)
    assert len(read) < 2500
    assert threading.active_count() == before


def test_conflicts_are_equal_bytes_with_different_classes(tmp_path: Path) -> None:
    images = [labelled(tmp_path / f"{i}.jpg", cls) for i, cls in enumerate([0, 1, 0, 0, 2, 2])]
    groups = conflicting_groups(images, ["x", "y", "y", "x", "y", "z"])
    assert groups == [[images[1], images[2], images[4]]]
