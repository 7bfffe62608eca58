"""Which rows every step trains on: batches of one size, epoch after epoch."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from fashionai.config import Config
from fashionai.datasets.prepared.samples import Samples
from fashionai.errors import TrainingError
from fashionai.pipeline.loader import Draws, draws_of, shuffled_rows
from fashionai.training.class_balance import balanced_rows


class RowOrder:
    """The rows of a training in batches of ``batch_size``, which is the same in every step.

    Each epoch has an order of its own, of as many rows as there are. What of it
    does not fill a batch comes first in the next epoch (rollover) or is left out
    (discard). ``steps_per_epoch`` is the mean over epochs: with rollover they
    differ by one at most. Raises TrainingError for too few rows.
    """

    def __init__(self, config: Config, train: Samples, devices: int) -> None:
        self._config, self._train, self._rows = config, train, len(train.paths)
        if self._rows < devices:
            raise TrainingError(
                f"{self._rows} training images are too few, expected at least {devices}"
            )
        # Every device has the same share of a batch.
        self.batch_size = min(config.batch_size, self._rows // devices) * devices
        self.steps_per_epoch = Fraction(self._rows, self.batch_size)
        if config.data.last_batch == "discard":
            self.steps_per_epoch = Fraction(self._rows // self.batch_size)

    def first_step(self, epoch: int) -> int:
        """How many steps there are before an epoch, both counted from 0."""
        return int(epoch * self.steps_per_epoch)

    def steps(self, epoch: int) -> int:
        """How many steps an epoch has, at least one."""
        return self.first_step(epoch + 1) - self.first_step(epoch)

    def draws(self, epoch: int) -> Draws:
        """The rows of an epoch's steps, ``steps * batch_size`` of them.

        Samples that the epoch before has left keep the views that they would have had there.
        """
        wanted = self.steps(epoch) * self.batch_size
        parts = [self._ordered(epoch)]
        if self._config.data.last_batch == "rollover":
            carried = epoch * self._rows - self.first_step(epoch) * self.batch_size
            if carried:
                left = [values[-carried:] for values in self._ordered(epoch - 1)]
                parts.insert(0, Draws(*left))
        return Draws(*(np.concatenate(values)[:wanted] for values in zip(*parts)))

    def _ordered(self, epoch: int) -> Draws:
        """All rows in an epoch's own order, a function of seed and epoch alone."""
        seed = self._config.seed
        if self._config.data.sampler == "balanced":
            return draws_of(balanced_rows(self._train, seed, epoch), epoch)
        return draws_of(shuffled_rows(self._rows, seed, epoch), epoch)
