"""Processes that work on one prediction meet through files in a folder that all of them see."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

from fashionai.errors import ConfigError, counted
from fashionai.files import write_json
from fashionai.files.formats.json_files import read_json
from fashionai.frameworks.processes import Place, patience_seconds

# A process that shows no sign of life for so many seconds has died or hangs.
PATIENCE = 1800.0
# Waiting processes list the folder at growing intervals: many of them would burden a file server.
FIRST_PAUSE, LONGEST_PAUSE, PAUSE_GROWTH = 0.05, 2.0, 1.3
JOB_FILE = "job.json"


class Meeting:
    """The processes of one job, in a folder that the first of them makes.

    Files of an earlier job that was killed may lie there. Therefore each process shows a number
    of its own, drawn at random, and takes part when the first process has repeated it.
    """

    def __init__(self, folder: Path, place: Place) -> None:
        self.folder, self.place = folder, place
        self._own = secrets.token_hex(8)
        self._job = ""

    def begin(self) -> None:
        """Wait until all processes are here. Raises ConfigError when one of them is missing."""
        if self.place.count == 1:
            return
        if self.place.is_first:
            self._job = self._own
            self._wait_until(self._all_have_joined, self._missing)
        else:
            self._wait_until(self._has_joined, lambda: "the first process")

    def reach(self, stage: str) -> None:
        """Tell the other processes that this one has finished a stage."""
        if self.place.count > 1:
            write_json(self._mark(stage, self.place.rank), {})

    def wait_for(self, stage: str, progress: Callable[[], int] = lambda: 0) -> None:
        """Wait until all processes have finished a stage.

        The time limit begins anew whenever the value of ``progress`` changes.
        """
        if self.place.count > 1:
            self._wait_until(
                lambda: not self._without(stage), lambda: self._listed(stage), progress
            )

    def wait_for_end(self) -> None:
        """Wait until the first process has removed the files."""
        self._wait_until(lambda: not (self.folder / JOB_FILE).exists(), lambda: "the first process")

    def _all_have_joined(self) -> bool:
        """Repeat the numbers that the others show; True when all of them have seen theirs."""
        found = {str(rank): _read(self._hello(rank)) for rank in range(1, self.place.count)}
        job = {"job": self._job, "numbers": found}
        if _read(self.folder / JOB_FILE) != job:
            write_json(self.folder / JOB_FILE, job)
        return not self._without("joined", others=True)

    def _has_joined(self) -> bool:
        """Show the own number; True when the first process has repeated it."""
        if not self.folder.is_dir():
            return False
        rank = self.place.rank
        # The first process may discard what it finds in the folder.
        with contextlib.suppress(OSError):
            if _read(self._hello(rank)) != self._own:
                self._hello(rank).write_text(json.dumps(self._own))
        job: Any = _read(self.folder / JOB_FILE)
        numbers = job.get("numbers") if isinstance(job, dict) else None
        if not isinstance(numbers, dict) or numbers.get(str(rank)) != self._own:
            return False
        self._job = str(job["job"])
        self.reach("joined")
        return True

    def _hello(self, rank: int) -> Path:
        return self.folder / f"hello-{rank}.json"

    def _mark(self, stage: str, rank: int) -> Path:
        return self.folder / f"{stage}-{rank}-{self._job}.json"

    def _without(self, stage: str, others: bool = False) -> list[int]:
        """The processes that have not finished a stage."""
        present = {file.name for file in self.folder.iterdir()}
        ranks = range(1 if others else 0, self.place.count)
        return [rank for rank in ranks if self._mark(stage, rank).name not in present]

    def _missing(self) -> str:
        return ", ".join(f"rank {rank}" for rank in self._without("joined", others=True))

    def _listed(self, stage: str) -> str:
        return ", ".join(f"rank {rank}" for rank in self._without(stage))

    def _wait_until(
        self,
        is_reached: Callable[[], bool],
        missing: Callable[[], str],
        progress: Callable[[], int] = lambda: 0,
    ) -> None:
        patience, last, since = patience_seconds(PATIENCE), progress(), time.monotonic()
        pause = FIRST_PAUSE
        while not is_reached():
            time.sleep(pause)
            pause = min(PAUSE_GROWTH * pause, LONGEST_PAUSE)
            found = progress()
            if found != last:
                last, since = found, time.monotonic()
            if time.monotonic() - since > patience:
                raise ConfigError(
                    f"{self.folder}: waited {patience:,.0f} s for {missing()} of "
                    f"{counted(self.place.count, 'process')}",
                    "All processes need the same command, and a folder that all of them see",
                )


def _read(file: Path) -> Optional[Any]:
    """The content of a JSON file; None when it is missing or not complete yet."""
    try:
        return read_json(file)
    except (OSError, ValueError):
        return None
