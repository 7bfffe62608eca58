"""Fashion-MNIST and other data sets in the idx format of the MNIST database.

A file holds a magic number (two zero bytes, the type 8 for unsigned bytes, the number of
dimensions), the size of each dimension as a big-endian 32-bit integer, and then the values
(http://yann.lecun.com/exdb/mnist, "the IDX file format").
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from fashionai.datasets.readers.reader import HINT_AT_DATA, Reader
from fashionai.datasets.records import DataSet, LabelledImage
from fashionai.errors import DataError, counted
from fashionai.progress import Advance, no_progress
from fashionai.tasks import Task

UNSIGNED_BYTE = 8
GZIP_MAGIC = b"\x1f\x8b"
# In bytes. The largest published set of this kind, EMNIST, has 640 million.
LARGEST_FILE = 2**31
CHUNK = 2**20
# Of each part: the prefix of its files, its name in ``source``, and its split in the data set.
PARTS = (("train", "train", None), ("t10k", "test", "test"))


class BinaryFile(Protocol):
    """A file of bytes, unpacked or not."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, at most ``size``."""


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Read an idx file, gzipped or not, as a ``uint8`` array with that number of dimensions.

    No more is kept than the header states. Raises DataError for a wrong magic number, a
    damaged gzip file, a number of values that differs from the header, images of size 0, and
    more than LARGEST_FILE bytes.
    """
    try:
        with path.open("rb") as file:
            is_zipped = file.read(2) == GZIP_MAGIC
            file.seek(0)
            values = gzip.GzipFile(fileobj=file) if is_zipped else file
            return _read_values(values, path, dimensions)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: damaged gzip file: {error}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def _read_values(file: BinaryFile, path: Path, dimensions: int) -> np.ndarray:
    magic, expected = file.read(4), bytes([0, 0, UNSIGNED_BYTE, dimensions])
    if magic != expected:
        start = magic.hex() or "missing (empty file)"
        raise DataError(f"{path}: magic number is {start}, expected {expected.hex()}")
    header = file.read(4 * dimensions)
    if len(header) < 4 * dimensions:
        raise DataError(f"{path}: ends inside its header")
    shape = struct.unpack(f">{dimensions}I", header)
    sizes, size = "x".join(map(str, shape)), math.prod(shape)
    if 0 in shape[1:]:
        raise DataError(f"{path}: its header says {sizes}, expected images of 1x1 pixels or more")
    kept = _read_at_most(file, size if size <= LARGEST_FILE else 0)
    found = len(kept) + _count_bytes(file)
    if found != size:
        count = counted(found, "value") if found < LARGEST_FILE else f"over {LARGEST_FILE:,} values"
        raise DataError(f"{path}: holds {count}, its header says {sizes}")
    if size > LARGEST_FILE:
        raise DataError(f"{path}: its header says {sizes}, expected at most {LARGEST_FILE:,} bytes")
    return np.frombuffer(kept, np.uint8).reshape(shape)


def _read_at_most(file: BinaryFile, size: int) -> bytearray:
    """Return the next ``size`` bytes or, of a file that ends before, what there is.

    The memory grows with what was read: a damaged header may state gigabytes.
    """
    kept = bytearray()
    while len(kept) < size:
        chunk = file.read(min(CHUNK, size - len(kept)))
        if not chunk:
            break
        kept += chunk
    return kept


def _count_bytes(file: BinaryFile) -> int:
    """Return how many bytes follow, without keeping them; counting stops beyond LARGEST_FILE."""
    count = 0
    while count <= LARGEST_FILE:
        chunk = file.read(CHUNK)
        if not chunk:
            break
        count += len(chunk)
    return count


def read_idx_images(data: Path, task: Task, progress: Advance = no_progress) -> list[LabelledImage]:
    """Read all images of the four files, encoded as PNG; those of t10k have the split test.

    ``progress`` is called with the number of images encoded since the last call. Raises
    DataError for missing files, and for labels that are not the index of a class.
    """
    records = []
    for file_prefix, name, split in PARTS:
        images_file = _find(data, f"{file_prefix}-images-idx3-ubyte")
        labels_file = _find(data, f"{file_prefix}-labels-idx1-ubyte")
        images, labels = read_idx(images_file, 3), read_idx(labels_file, 1)
        if not len(images):
            raise DataError(f"{images_file}: holds no images")
        if len(images) != len(labels):
            raise DataError(
                f"{labels_file}: {counted(len(labels), 'label')} "
                f"for {counted(len(images), 'image')}"
            )
        if labels.size and labels.max() >= len(task.classes):
            row = int(np.argmax(labels >= len(task.classes)))
            raise DataError(
                f"{labels_file}: label {row} is {labels[row]}, "
                f"expected 0 to {len(task.classes) - 1}"
            )
        for index, (image, label) in enumerate(zip(images, labels)):
            _, encoded = cv2.imencode(".png", image)
            records.append(
                LabelledImage(
                    source=f"{images_file.name}/{name}-{index:05d}.png",
                    path=None,
                    content=encoded.tobytes(),
                    class_index=int(label),
                    label=task.classes[label],
                    where=f"{labels_file}: label {index}",
                    split=split,
                )
            )
            progress(1)
    return records


def _find(data: Path, name: str) -> Path:
    for candidate in (data / name, data / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    raise DataError(f"{data}: neither {name} nor {name}.gz found", HINT_AT_DATA)


def read_idx_data_set(data: Path, task: Task) -> DataSet:
    """Read the data set of the four files in ``data``; errors as for read_idx_images."""
    return DataSet(task, read_idx_images(data, task), notes=[])


READER = Reader(read_idx_data_set)
