"""Runs the command line in a process that may kill itself before one of its file operations.

usage: python child.py FOLDER NUMBER COUNT_FILE [ARGUMENT]...

The process counts its file operations below FOLDER: files opened for writing, renames, links,
removals and new folders, in this order of an audit hook. It kills itself with SIGKILL before
operation NUMBER; with 0 it goes on to the end and writes the count to COUNT_FILE. The ARGUMENTs
are those of fashionai.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

# Audit events whose first argument is a path that they change; of a rename, the first of two.
CHANGES = frozenset(
    ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate")
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class FileOperations:
    """Counts the file operations below a folder, and kills the process before one of them."""

    def __init__(self, folder: Path, kill_before: int) -> None:
        self.folder = str(folder.resolve())
        self.kill_before = kill_before
        self.count = 0

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """The audit hook: called before each audited operation of the process."""
        if event in CHANGES or (event == "open" and self._writes(*arguments)):
            if not self._is_inside(arguments[1 if event in ("os.link", "os.symlink") else 0]):
                return
            self.count += 1
            if self.count == self.kill_before:
                os.kill(os.getpid(), signal.SIGKILL)

    def _writes(self, path: Any, mode: Any, flags: Any) -> bool:
        """Whether a file is opened for writing, or a temporary one to flush it to the disk."""
        if isinstance(flags, int) and flags & WRITING:
            return True
        return isinstance(path, (str, os.PathLike)) and os.fspath(path).endswith(".tmp")

    def _is_inside(self, path: Any) -> bool:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return False
        # No call that raises an audit event itself may be made here.
        absolute = os.path.join(os.getcwd(), os.fsdecode(path))  # noqa: PTH109, PTH118
        return os.path.normpath(absolute).startswith(f"{self.folder}/")


def main() -> None:
    """Install the audit hook and run the command line."""
    folder, number, count_file, *arguments = sys.argv[1:]
    operations = FileOperations(Path(folder), int(number))
    sys.addaudithook(operations.audit)
    from fashionai.cli import main as run_command_line

    code: Any = 0
    try:
        run_command_line(arguments)
    except SystemExit as stop:
        code = stop.code
    count = operations.count
    operations.kill_before = 0
    with contextlib.suppress(OSError):
        Path(count_file).write_text(str(count))
    sys.exit(code)


if __name__ == "__main__":
    main()
