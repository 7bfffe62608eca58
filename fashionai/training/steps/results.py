"""The results of steps, which are read some steps later: devices never wait for Python."""

from __future__ import annotations

import math
from collections import deque

from fashionai.config import Config
from fashionai.errors import DivergedError
from fashionai.training.learners.learner import StepResult
from fashionai.training.records.checkpoint import Progress
from fashionai.training.records.messages import divergence_hint

# The results of so many steps are not read yet.
READ_BEHIND = 2


class StepResults:
    """Adds the results of the steps of an epoch, which has ``steps``, to the progress."""

    def __init__(self, progress: Progress, config: Config, steps: int) -> None:
        self._progress, self._config, self._steps = progress, config, steps
        self._unread: deque[StepResult] = deque()

    def add(self, result: StepResult) -> None:
        """Take the result of a step, and read that of an earlier one."""
        self._unread.append(result)
        if len(self._unread) > READ_BEHIND:
            self._read(self._unread.popleft())

    def read_all(self) -> None:
        """Read the results of all steps. DivergedError when a loss is not finite, as for add."""
        while self._unread:
            self._read(self._unread.popleft())

    def _read(self, result: StepResult) -> None:
        progress = self._progress
        loss_sum, correct = result.read()
        if not math.isfinite(loss_sum):
            raise DivergedError(
                f"the loss is {loss_sum} at epoch {progress.epoch + 1}, "
                f"step {result.step + 1} of {self._steps}",
                divergence_hint(self._config),
            )
        progress.step = result.step + 1
        progress.loss_sum += loss_sum
        progress.correct += correct
        progress.seen += result.images
