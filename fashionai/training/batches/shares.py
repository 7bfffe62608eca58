"""The share of each process when several processes train one network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fashionai.pipeline.loader import Draws


@dataclass(frozen=True)
class Share:
    """Share ``index``, from 0, of ``count`` equal shares of every batch.

    The shares of a batch, one after the other, are the batch of a single process.
    """

    index: int
    count: int

    def of_draws(self, draws: Draws, batch_size: int) -> Draws:
        """The share of each batch of ``batch_size`` draws; ``count`` divides ``batch_size``."""
        size = batch_size // self.count
        position = np.arange(len(draws.indices)) % batch_size
        chosen = position // size == self.index
        return Draws(*(values[chosen] for values in draws))

    def of_rows(self, rows: int) -> slice:
        """The share of ``rows`` rows in their order; shares differ by at most one row."""
        bounds = np.linspace(0, rows, self.count + 1).round().astype(int)
        return slice(int(bounds[self.index]), int(bounds[self.index + 1]))


WHOLE = Share(0, 1)
