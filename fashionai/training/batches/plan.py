"""Which samples each training step takes: batches of one size, epoch after epoch."""

from __future__ import annotations

from fractions import Fraction
from typing import Optional

import numpy as np

from fashionai.config import Config
from fashionai.datasets.prepared.samples import Samples
from fashionai.errors import TrainingError, counted
from fashionai.pipeline.loader import Draws, draws_of, shuffled_indices
from fashionai.training.batches.class_balance import balanced_order


class BatchPlan:
    """Divides the training samples of every epoch into batches of ``batch_size``, one per step.

    ``batch_size`` counts the samples on all ``devices`` and is the same in every step. It is
    ``accumulate`` times that of the configuration, if there are as many samples.
    Each epoch has its own order of N samples. Samples at its end that do not fill
    a batch come first in the next epoch (``data.last_batch=rollover``) or are left
    out (``discard``). ``steps_per_epoch`` is the mean over epochs: with rollover
    the number of steps differs between epochs by at most one.

    ``batch_size`` can be given, for a training that goes on with another number of devices.
    Raises TrainingError when there are fewer samples than devices, or when a given batch
    cannot be divided among them.
    """

    def __init__(
        self, config: Config, train: Samples, devices: int, batch_size: Optional[int] = None
    ) -> None:
        self._config, self._train, self._count = config, train, len(train.paths)
        self.devices = devices
        if self._count < devices:
            raise TrainingError(
                f"too few training images: found {self._count:,}, expected at least {devices:,}"
            )
        # Every device gets an equal share of a batch.
        wanted = config.batch_size * config.accumulate
        self.batch_size = batch_size or min(wanted, self._count // devices) * devices
        # Whether there are too few samples for the batches that the configuration asks for.
        self.is_reduced = batch_size is None and wanted * devices > self._count
        if self.batch_size % devices:
            raise TrainingError(
                f"the training was begun with batches of {counted(self.batch_size, 'image')}, "
                f"which cannot be divided among {counted(devices, 'process')}"
            )
        self.steps_per_epoch = Fraction(self._count, self.batch_size)
        if config.data.last_batch == "discard":
            self.steps_per_epoch = Fraction(self._count // self.batch_size)

    def first_step(self, epoch: int) -> int:
        """The number of steps before an epoch; steps and epochs count from 0."""
        return int(epoch * self.steps_per_epoch)

    def steps(self, epoch: int) -> int:
        """The number of steps in an epoch, at least one."""
        return self.first_step(epoch + 1) - self.first_step(epoch)

    def draws(self, epoch: int) -> Draws:
        """The samples of an epoch's steps in order, ``steps * batch_size`` of them.

        A sample that the previous epoch carries over keeps the view that it would
        have had in that epoch.
        """
        count = self.steps(epoch) * self.batch_size
        parts = [self._epoch_order(epoch)]
        if self._config.data.last_batch == "rollover":
            carried = epoch * self._count - self.first_step(epoch) * self.batch_size
            if carried:
                left_over = [values[-carried:] for values in self._epoch_order(epoch - 1)]
                parts.insert(0, Draws(*left_over))
        return Draws(*(np.concatenate(values)[:count] for values in zip(*parts)))

    def _epoch_order(self, epoch: int) -> Draws:
        """All N samples in the epoch's own order, a function of seed and epoch alone."""
        seed = self._config.seed
        if self._config.data.sampler == "balanced":
            return draws_of(balanced_order(self._train, seed, epoch), epoch)
        return draws_of(shuffled_indices(self._count, seed, epoch), epoch)
