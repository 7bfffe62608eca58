"""Atomic writing of files: a reader never sees an incomplete file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fashionai.files.abandoned import remove_abandoned, temporary_name


@contextlib.contextmanager
def atomic_path(path: Path, durable: bool = True) -> Iterator[Path]:
    """A temporary path in the folder of ``path``, renamed to ``path`` at the end of the block.

    The block must create the file. If it raises, the temporary file is deleted and
    ``path`` is unchanged. With ``durable`` the content is flushed to disk before the
    rename, and temporary files of ``path`` that killed processes have left are removed;
    this is slow for many small files.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if durable:
        remove_abandoned(path)
    # The file is not created here: an interruption before the try block would leave it behind.
    temporary = path.with_name(temporary_name(path))
    try:
        yield temporary
        if durable:
            with open(temporary, "rb") as written:
                os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically, see as_json."""
    write_text(path, as_json(value))


def as_json(value: Any) -> str:
    """The indented JSON text of a value. Numbers that are not finite become null."""
    return json.dumps(_finite(value), indent=2, ensure_ascii=False) + "\n"


def content_hash(data: bytes) -> str:
    """The SHA-256 of the bytes in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def _finite(value: Any) -> Any:
    """The value with NaN and infinity, which JSON does not have, replaced by None."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not (float("-inf") < value < float("inf")):
        return None
    return value
