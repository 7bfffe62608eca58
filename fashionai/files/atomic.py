"""Atomic writing of files: a reader never sees an incomplete file."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

from fashionai.files.abandoned import remove_abandoned, temporary_name

# Errors of a full disk, a used up quota and a file that is too large.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def atomic_path(path: Path, durable: bool = True) -> Iterator[Path]:
    """A temporary path in the folder of ``path``, renamed to ``path`` at the end of the block.

    The block must create the file. If it raises, the temporary file is deleted and
    ``path`` is unchanged. With ``durable`` the content is flushed to disk before the
    rename, and temporary files of ``path`` that killed processes have left are removed;
    this is slow for many small files. An OSError of the block that names no file, as of a
    full disk, or that names the temporary one, gets the name ``path``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if durable:
        remove_abandoned(path)
    # The file is not created here: an interruption before the try block would leave it behind.
    temporary = path.with_name(temporary_name(path))
    try:
        with named_errors(path, temporary):
            yield temporary
            if durable:
                with open(temporary, "rb") as written:
                    os.fsync(written.fileno())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def named_errors(path: Path, temporary: Optional[Path] = None) -> Iterator[None]:
    """Give the name ``path`` to an OSError of the block that names no file or ``temporary``.

    Writing to an open file raises errors without a name: a full disk would be reported without
    saying what could not be written. A copy that does not fit names its source first.
    """
    try:
        yield
    except OSError as error:
        if type(error) is OSError and error.errno is None:
            # NumPy's and Pillow's, when not all of it could be written.
            raise OSError(errno.EIO, str(error), str(path)) from None
        does_not_fit = error.errno in NO_ROOM and error.filename2 is not None
        if error.errno is not None and (
            does_not_fit or error.filename in (None, str(temporary), temporary)
        ):
            error.filename = str(path)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically, see as_json.

    Names of files that are not UTF-8 keep their bytes as JSON's escapes, such as ``\\udcb9``.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(as_json(value).encode("utf-8", "backslashreplace"))


def as_json(value: Any) -> str:
    """The indented JSON text of a value. Numbers that are not finite become null."""
    return json.dumps(_finite(value), indent=2, ensure_ascii=False) + "\n"


def content_hash(data: bytes) -> str:
    """The SHA-256 of the bytes in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def file_hash(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while block := handle.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _finite(value: Any) -> Any:
    """The value with NaN and infinity, which JSON does not have, replaced by None."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not (float("-inf") < value < float("inf")):
        return None
    return value
