"""Files as this project reads and writes them: atomic writes, CSV, YAML, default folders."""

from fashionai.files.atomic import (
    as_json,
    atomic_path,
    content_hash,
    file_hash,
    named_errors,
    write_json,
    write_text,
)

__all__ = [
    "as_json",
    "atomic_path",
    "content_hash",
    "file_hash",
    "named_errors",
    "write_json",
    "write_text",
]
