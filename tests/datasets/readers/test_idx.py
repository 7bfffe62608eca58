"""Files of the idx format, written here by hand from its description."""

from __future__ import annotations

import gzip
import io
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fashionai.datasets.readers.idx import read_idx, read_idx_images
from fashionai.families import FASHION_MNIST
from tests.support.data_trees import idx_bytes, write_idx_set
from tests.support.errors import error_of


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("shape", [(3, 4, 5), (7,), (0,), (2, 1, 1)])
def test_an_array_is_read_as_it_was_written(tmp_path: Path, zipped: bool, shape) -> None:
    array = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(idx_bytes(array)) if zipped else idx_bytes(array))
    np.testing.assert_array_equal(read_idx(path, len(shape)), array)


GOOD = idx_bytes(np.arange(24).reshape(2, 3, 4))
HUGE = bytes([0, 0, 8, 3]) + struct.pack(">III", 2**22, 2**21, 2**21)  # 2**64 values


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "magic number is missing (empty file), expected 00000803"),
        (b"\0\0", "magic number is 0000, expected 00000803"),
        (b"\0\0\x0d\x03" + GOOD[4:], "magic number is 00000d03, expected 00000803"),
        (idx_bytes(np.arange(24)), "magic number is 00000801, expected 00000803"),
        (b"\x89PNG" + GOOD[4:], "magic number is 89504e47, expected 00000803"),
        (GOOD[:10], "ends inside its header"),
        (GOOD[:-1], "holds 23 values, its header says 2x3x4"),
        (GOOD + b"\0", "holds 25 values, its header says 2x3x4"),
        (HUGE, "holds 0 values, its header says 4194304x2097152x2097152"),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_a_wrong_magic_number_or_size_is_refused(tmp_path, data, problem, zipped) -> None:
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(data) if zipped else data)
    assert error_of(read_idx, path, 3) == f"{path}: {problem}"


def test_a_header_that_states_gigabytes_takes_none(tmp_path: Path) -> None:
    """The memory grows with what the file holds."""
    path = tmp_path / "a"
    path.write_bytes(bytes([0, 0, 8, 1]) + struct.pack(">I", 2**31) + b"12345")
    tracemalloc.start()
    try:
        message = error_of(read_idx, path, 1)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert message == f"{path}: holds 5 values, its header says 2147483648"
    assert most < 2**23


@pytest.mark.parametrize("keep", [2, 9, 15, -8, -1])
def test_a_gzip_file_that_ends_early_is_damaged(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(GOOD)[:keep])
    assert error_of(read_idx, path, 3).startswith(f"{path}: damaged gzip file: ")


def test_a_gzip_file_with_a_changed_byte_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    data = bytearray(gzip.compress(GOOD))
    data[-7] ^= 255  # its checksum
    path.write_bytes(data)
    assert error_of(read_idx, path, 3).startswith(f"{path}: damaged gzip file: ")


@pytest.mark.parametrize("zipped", [True, False])
def test_images_become_png_of_the_same_pixels_in_their_own_split(tmp_path, zipped) -> None:
    arrays = write_idx_set(tmp_path, zipped=zipped)
    records = read_idx_images(tmp_path, FASHION_MNIST)
    assert [record.split for record in records] == [None] * 12 + ["test"] * 5
    pixels = np.concatenate(
        [arrays["train-images-idx3-ubyte"], arrays["t10k-images-idx3-ubyte"]], axis=0
    )
    labels = [*range(10), 0, 1, *range(5)]
    for record, image, label in zip(records, pixels, labels):
        with Image.open(io.BytesIO(record.read())) as decoded:
            assert decoded.format == "PNG"
            np.testing.assert_array_equal(np.asarray(decoded), image)
        assert record.class_index == label
        assert record.label == FASHION_MNIST.classes[label]
    assert len({record.file_name for record in records}) == 17


def test_progress_counts_every_image(tmp_path: Path) -> None:
    write_idx_set(tmp_path)
    done: list[int] = []
    read_idx_images(tmp_path, FASHION_MNIST, done.append)
    assert sum(done) == 17


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    write_idx_set(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    assert error_of(read_idx_images, tmp_path, FASHION_MNIST) == (
        f"{tmp_path}: neither t10k-labels-idx1-ubyte nor t10k-labels-idx1-ubyte.gz found. "
        "Give the folder of the files with --data"
    )


def test_other_numbers_of_labels_and_images_are_refused(tmp_path: Path) -> None:
    write_idx_set(tmp_path)
    path = tmp_path / "train-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(idx_bytes(np.zeros(11))))
    assert error_of(read_idx_images, tmp_path, FASHION_MNIST) == (
        f"{path}: 11 labels for 12 images"
    )


def test_a_label_beyond_the_classes_is_refused_with_its_place(tmp_path: Path) -> None:
    write_idx_set(tmp_path)
    path = tmp_path / "train-labels-idx1-ubyte.gz"
    labels = np.zeros(12)
    labels[7] = 10
    path.write_bytes(gzip.compress(idx_bytes(labels)))
    assert error_of(read_idx_images, tmp_path, FASHION_MNIST) == (
        f"{path}: label 7 is 10, expected 0 to 9"
    )
