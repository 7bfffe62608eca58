"""The decisions of a review: kept in a file of corrections, which is written at each of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Optional

from fashionai.datasets.corrections import (
    ACTIONS,
    CORRECT,
    CORRECTIONS,
    KEEP,
    Correction,
    read_corrections,
    write_corrections,
)
from fashionai.datasets.prepared.folders import APPLIED_CORRECTIONS
from fashionai.errors import ConfigError, nearest
from fashionai.files.outputs import check_not_lost, try_place
from fashionai.tasks import Task


class Decisions:
    """Decisions about the labels of a prepared task, by the source of the image.

    Decisions of earlier sessions are read from the file and kept. Methods may be called from
    several threads.

    Args:
        file: File of corrections, which need not exist yet. A symbolic link stands for its target,
            which several projects may share.
        task: The task.
        folder: The prepared folder of the task.
        today: Gives the date of a decision.

    Raises:
        ConfigError: The file exists and holds something else.
        DataError: A row of the file does not fit the task.
    """

    def __init__(
        self, file: Path, task: Task, folder: Path, today: Callable[[], date] = date.today
    ) -> None:
        output = f"--corrections {file}"
        # Writing replaces links. Unlike Path.resolve, this takes links that lead to themselves.
        file = Path(os.path.realpath(file))
        if file == (folder / APPLIED_CORRECTIONS).resolve():
            raise ConfigError(
                f"{output}: prepare writes this file", "Copy it, and name the copy to go on with it"
            )
        check_not_lost(output, file, CORRECTIONS, overwrite=False, hint="Name another file")
        try_place(output, file)
        self.file, self.task, self._today = file, task, today
        self._rows = _read(file, task)
        # What the label files say, where the prepared folder already has a correction.
        self._originals = {
            path: row.old_label for path, row in _read(folder / APPLIED_CORRECTIONS, task).items()
        }
        self._undoable: list[tuple[str, Optional[Correction]]] = []
        self._lock = threading.Lock()

    @property
    def rows(self) -> Mapping[str, Correction]:
        """All decisions, in the order in which they were made."""
        return self._rows

    def decide(self, path: str, label: str, action: str, new_label: str, reason: str) -> None:
        """Save a decision about an image with this label in the prepared folder.

        ``new_label`` counts only if ``action`` is CORRECT. ConfigError for an unknown action or
        class, OSError if the file cannot be written; nothing is decided then.
        """
        if action not in ACTIONS:
            raise ConfigError(f"action: found '{action}'", nearest(action, ACTIONS))
        if action == CORRECT and new_label not in self.task.labels:
            raise ConfigError(
                f"new_label: found '{new_label}'", nearest(new_label, self.task.labels)
            )
        original = self._originals.get(path, label)
        wanted = {CORRECT: new_label, KEEP: label}.get(action, "")
        if wanted:
            action, wanted = (KEEP, "") if wanted == original else (CORRECT, wanted)
        day = self._today().isoformat()
        with self._lock:
            before = self._rows.get(path)
            self._set(path, Correction(path, action, original, wanted, reason, day))
            self._undoable.append((path, before))

    def undo(self) -> Optional[str]:
        """Take the last decision of this session back; return its image, None without any.

        OSError if the file cannot be written; the decision stays then.
        """
        with self._lock:
            if not self._undoable:
                return None
            path, before = self._undoable[-1]
            self._set(path, before)
            self._undoable.pop()
            return path

    def _set(self, path: str, row: Optional[Correction]) -> None:
        rows = {known: each for known, each in self._rows.items() if known != path}
        if row is not None:
            rows[path] = row
        # The file first: a decision that could not be saved is not shown as saved.
        write_corrections(self.file, rows.values())
        self._rows = rows


def _read(file: Path, task: Task) -> dict[str, Correction]:
    if not file.exists() or not file.stat().st_size:
        return {}
    return {each.correction.path: each.correction for each in read_corrections(file, task)}
