"""Temporary files whose names say which process writes them, and removing those of killed ones."""

from __future__ import annotations

import contextlib
import functools
import glob
import hashlib
import os
import re
import secrets
from pathlib import Path

from fashionai.files.names import fitting

# Files that identify what a process number is valid in: the machine since its last start, and
# the container.
SCOPE_FILES = (Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid"))
TEMPORARY = re.compile(r"\..*\.tmp")
# Characters of what OWNER matches.
LONGEST_ENDING = 41
OWNER = re.compile(r"\.([0-9a-f]{8})-(\d{1,10})-[0-9a-f]{16}\.tmp$")


def temporary_name(path: Path) -> str:
    """A new hidden name for a temporary file of ``path``, which names this process."""
    return f"{_stem(path)}.{_scope()}-{os.getpid()}-{secrets.token_hex(8)}.tmp"


def remove_abandoned(path: Path) -> None:
    """Remove the temporary files of ``path`` whose processes have been killed.

    Only processes of this machine and container are known. Files of others, and those from
    before a restart of the machine, stay.
    """
    for file in abandoned_files(path):
        with contextlib.suppress(OSError):
            file.unlink()


def abandoned_files(path: Path) -> list[Path]:
    """The temporary files of ``path`` that remove_abandoned would remove."""
    files = path.parent.glob(f"{glob.escape(_stem(path))}.*.tmp")
    return [file for file in files if _is_abandoned(file)]


def is_temporary(name: str) -> bool:
    """Whether a file has the name of a temporary one, of any process."""
    return TEMPORARY.fullmatch(name) is not None


def remove_temporary_files(folder: Path) -> None:
    """Remove all temporary files of a folder. The caller holds its lock, so nobody writes them."""
    for file in folder.glob(".*.tmp"):
        file.unlink()


def _stem(path: Path) -> str:
    """How the names of temporary files of ``path`` begin; cut where they would be too long."""
    return fitting(f".{path.name}", " " * LONGEST_ENDING)[:-LONGEST_ENDING]


def _is_abandoned(file: Path) -> bool:
    owner = OWNER.search(file.name)
    return bool(owner and owner[1] == _scope() and not _is_alive(int(owner[2])))


@functools.cache
def _scope() -> str:
    """Eight digits that are equal for processes that see each other's numbers."""
    parts = [os.uname().nodename]
    for file in SCOPE_FILES:
        with contextlib.suppress(OSError):
            parts.append(str(file.readlink()) if file.is_symlink() else file.read_text())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # a process of another user
        return True
    return True
