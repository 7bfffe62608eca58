"""What identifies the program that trains, beside the version that its authors give it."""

from __future__ import annotations

import functools
import importlib.metadata
from pathlib import Path

import fashionai
from fashionai.files import content_hash, file_hash


@functools.cache  # it is asked for twice, and for every phase
def source_hash() -> str:
    """The hash of the names and contents of this package's source files."""
    folder = Path(fashionai.__file__).parent
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*.py")}
    lines = [f"{name} {file_hash(files[name])}" for name in sorted(files)]
    return content_hash("\n".join(lines).encode())


def torch_version() -> str:
    """The version of PyTorch that is installed, which is not imported; empty without one."""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return ""
