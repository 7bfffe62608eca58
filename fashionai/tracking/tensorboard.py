"""A training as TensorBoard shows it, written by tensorboardX into the run."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Any

from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event

from fashionai.config import Config
from fashionai.files.formats.yaml_files import dump_yaml
from fashionai.runs import TENSORBOARD_FOLDER, Run, RunFolder
from fashionai.tracking.pictures import pictures
from fashionai.tracking.scalars import curves_of
from fashionai.training.records.history import EpochRow

EVENT_FILES = "events.out.tfevents.*"


class TensorBoardLog:
    """Writes the folder ``tensorboard`` of a run.

    Events cannot be replaced, and a killed process may have left half of one. A training that
    begins or is resumed therefore writes all of them anew, from the history, which is small: every
    epoch is there once. Their times are those at which the epochs would have ended without a pause.
    """

    def begin(self, run: RunFolder, config: Config) -> None:
        """Begin the file anew, with the configuration."""
        self._run, self._config, self._done = run, config, 0
        folder = run.path / TENSORBOARD_FOLDER
        for earlier in folder.glob(EVENT_FILES):
            earlier.unlink()
        folder.mkdir(exist_ok=True)
        # SummaryWriter would write later, in a thread: a training that ends would lose events.
        self._writer = EventsWriter(str(folder / "events"))
        text = f"```yaml\n{dump_yaml(config.model_dump())}```"
        self._write(summary.text("configuration", text), 0)
        self._writer.flush()

    def observe(self, rows: Sequence[EpochRow]) -> None:
        """Write the epochs that are not written yet."""
        new = rows[self._done :]
        later = sum(row["seconds"] for row in new)
        for row in new:
            later -= row["seconds"]
            for name, value in curves_of(row).items():
                self._write(summary.scalar(name, value), int(row["epoch"]), later)
        self._done = len(rows)
        self._writer.flush()

    def finish(self, devices: Sequence[Any]) -> None:
        """Write the pictures and close the file."""
        for name, picture in pictures(self._config, Run(self._run), devices):
            self._write(summary.image(name, picture, dataformats="HWC"), self._done)
        self._writer.close()

    def end_early(self, *, failed: bool) -> None:
        """Close the file; the events do not say how the training has ended."""
        # A full disk may be why the training has failed: that error is the one to tell.
        with contextlib.suppress(OSError):
            self._writer.close()

    def _write(self, content: Any, step: int, seconds_ago: float = 0) -> None:
        wall_time = time.time() - seconds_ago
        self._writer.write_event(Event(wall_time=wall_time, step=step, summary=content))
