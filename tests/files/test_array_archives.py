"""Archives of arrays: read as NumPy reads them, and refused whole where anything is wrong."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fashionai.files.formats.array_archives import ArrayArchive, DamagedArchiveError

SHAPE = (4, 3)


def member(descr: str, shape: tuple[int, ...], data: bytes = bytes(48)) -> bytes:
    """An ``.npy`` file whose header need not fit its values."""
    buffer = io.BytesIO()
    header: dict[str, Any] = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue() + data


def stored(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_are_read_as_by_numpy(tmp_path: Path, order: Any) -> None:
    array = np.asarray(np.random.default_rng(0).random(SHAPE), np.float32, order=order)
    np.savez(tmp_path / "a.npz", a=array, text=np.array("é"))
    with ArrayArchive(tmp_path / "a.npz") as archive:
        assert archive.names() == {"a", "text"}
        assert archive.read_text("text") == "é"
        np.testing.assert_array_equal(archive.read("a", SHAPE, np.float32), array)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (stored(np.zeros((1,), np.float32)), "shape"),  # NumPy and MXNet would repeat it
        (stored(np.zeros(SHAPE, np.float64)), "float64"),
        (stored(np.zeros(SHAPE, ">f4")), "expected"),
        (member("<f4", (2**40,)), "48 bytes for float32"),
        (member("<f4", (-4, -3)), "a: "),
        (member("|O", SHAPE), "48 bytes for object"),
        (member("<U99999999", ()), "48 bytes"),
        (stored(np.zeros(SHAPE, np.float32)) + b"\0", "49 bytes"),
        (b"\x93NUMPY\x01\0\x10\0{'descr': ((((  \n", "a: "),
        (b"\x93NUMPY\x09\0", "version"),
        (b"", "a: "),
    ],
)
def test_any_other_array_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("a.npy", content)
    with (
        ArrayArchive(tmp_path / "a.npz") as archive,
        pytest.raises(DamagedArchiveError, match=words),
    ):
        archive.read("a", SHAPE, np.float32)


def test_an_archive_that_unpacks_to_more_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.npy", bytes(2**24))
    with pytest.raises(DamagedArchiveError, match="more bytes than it has"):
        ArrayArchive(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"", b"PK", b"text", stored(np.zeros(3))])
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DamagedArchiveError, match="not an archive"):
        ArrayArchive(tmp_path / "a.npz")


def test_a_missing_or_changed_array(tmp_path: Path) -> None:
    file = tmp_path / "a.npz"
    np.savez(file, a=np.full(SHAPE, 7, np.float32))
    changed = bytearray(file.read_bytes())
    changed[changed.rindex(np.float32(7).tobytes())] ^= 1
    with ArrayArchive(file) as archive, pytest.raises(DamagedArchiveError, match="missing"):
        archive.read("b", SHAPE, np.float32)
    file.write_bytes(changed)
    with ArrayArchive(file) as archive, pytest.raises(DamagedArchiveError, match="CRC"):
        archive.read("a", SHAPE, np.float32)
