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

import cv2
import numpy as np

from fashionai.datasets.readers.reader import Reader
from fashionai.datasets.records import DataSet, LabelledImage
from fashionai.errors import DataError
from fashionai.progress import Advance, no_progress
from fashionai.tasks import Task

UNSIGNED_BYTE = 8
GZIP_MAGIC = b"\x1f\x8b"
# Of each part: the prefix of its files, its name in ``source``, and its split in the data set.
PARTS = (("train", "train", None), ("t10k", "test", "test"))


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Read an idx file, gzipped or not, as a ``uint8`` array with that number of dimensions.

    Raises DataError for a wrong magic number, a damaged gzip file, and a number of values that
    differs from the header.
    """
    data = path.read_bytes()
    if data[:2] == GZIP_MAGIC:
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path}: damaged gzip file: {error}") from None
    expected = bytes([0, 0, UNSIGNED_BYTE, dimensions])
    if data[:4] != expected:
        found = data[:4].hex() or "missing (empty file)"
        raise DataError(f"{path}: magic number is {found}, expected {expected.hex()}")
    header_size = 4 + 4 * dimensions
    if len(data) < header_size:
        raise DataError(f"{path}: ends inside its header")
    shape = struct.unpack(f">{dimensions}I", data[4:header_size])
    values = np.frombuffer(data, np.uint8, offset=header_size)
    if values.size != math.prod(shape):
        sizes = "x".join(str(size) for size in shape)
        raise DataError(f"{path}: holds {values.size:,} values, its header says {sizes}")
    return values.reshape(shape)


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
        if len(images) != len(labels):
            raise DataError(f"{labels_file}: {len(labels):,} labels for {len(images):,} images")
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
    raise DataError(
        f"{data}: neither {name} nor {name}.gz found", "Give the folder of the files with --data"
    )


def read_idx_data_set(data: Path, task: Task) -> DataSet:
    """Read the data set of the four files in ``data``; errors as for read_idx_images."""
    return DataSet(task, read_idx_images(data, task), notes=[])


READER = Reader(read_idx_data_set)
