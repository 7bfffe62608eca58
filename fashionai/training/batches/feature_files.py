"""Files of features: arrays that are mapped into memory, with a checksum that finds damage.

A file is NumPy's ``.npy`` of ``float32``, followed by the SHA-256 of its bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Optional

import numpy as np

from fashionai.errors import TrainingError
from fashionai.files import atomic_path

log = logging.getLogger(__name__)

FORMAT = "<f4"
# A temporary file that was not written to for this long belongs to a process that was killed.
ABANDONED_SECONDS = 3600.0
DISK_HINT = "Free disk space there, or set FASHIONAI_HOME to another folder"


def file_size(shape: tuple[int, ...]) -> int:
    """The size in bytes of a file with an array of this shape."""
    return len(_header(shape)) + _array_size(shape) + hashlib.sha256().digest_size


def write_features(path: Path, shape: tuple[int, ...], blocks: Iterable[np.ndarray]) -> None:
    """Write blocks of rows one after the other; together they are an array of ``shape``.

    The file appears when it is complete. Raises TrainingError when it cannot be written,
    for instance because the disk is full.
    """
    digest = hashlib.sha256()
    try:
        with atomic_path(path) as temporary, open(temporary, "wb") as handle:
            for part in _parts(shape, blocks):
                digest.update(part)
                handle.write(part)
            handle.write(digest.digest())
    except OSError as error:
        raise TrainingError(
            f"{path.parent}: features of {file_size(shape) / 1e6:,.1f} MB cannot be written: "
            f"{error.strerror}",
            DISK_HINT,
        ) from None


def read_features(path: Path, shape: tuple[int, ...]) -> Optional[np.ndarray]:
    """The array of a file, mapped into memory; None when the file is missing or damaged.

    The whole file is read once to compare its checksum. Damage is logged.
    """
    whole: np.ndarray
    try:
        whole = np.memmap(path, np.uint8, mode="r")
    except FileNotFoundError:
        return None
    except (OSError, ValueError):  # ValueError: the file is empty
        whole = np.zeros(0, np.uint8)
    header, end = _header(shape), file_size(shape) - hashlib.sha256().digest_size
    intact = (
        len(whole) == file_size(shape)
        and whole[: len(header)].tobytes() == header
        and hashlib.sha256(whole[:end].data).digest() == whole[end:].tobytes()
    )
    if not intact:
        log.info("%s: damaged, computing it again", path)
        return None
    return np.memmap(path, FORMAT, mode="r", offset=len(header), shape=shape)


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files of processes that were killed."""
    for file in folder.glob(".*.tmp"):
        # Another process may rename its file meanwhile.
        with contextlib.suppress(FileNotFoundError):
            if time.time() - file.stat().st_mtime > ABANDONED_SECONDS:
                file.unlink()


def _parts(shape: tuple[int, ...], blocks: Iterable[np.ndarray]) -> Iterable[bytes]:
    yield _header(shape)
    for block in blocks:
        yield block.astype(FORMAT, copy=False).tobytes()


def _array_size(shape: tuple[int, ...]) -> int:
    return math.prod(shape) * np.dtype(FORMAT).itemsize


def _header(shape: tuple[int, ...]) -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": FORMAT, "fortran_order": False, "shape": shape}
    )
    return header.getvalue()
