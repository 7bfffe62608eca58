"""The learner of each phase of a training, see Config.phases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from fashionai.config import Config
from fashionai.datasets.prepared.samples import Samples
from fashionai.files.formats.array_lists import hash_arrays
from fashionai.runs.recorded_weights import INITIAL_LICENCE, INITIAL_SOURCE, INITIAL_WEIGHTS
from fashionai.training.learners.opening import Opener


class PhaseLearners:
    """Opens a learner for the first phase, and another one for each that is entered.

    ``config`` is the configuration with all phases and the input of the weights, ``weights``
    are what the first learner begins with, as open_learner returns them.
    """

    def __init__(
        self,
        opener: Opener,
        config: Config,
        train: Samples,
        contexts: Sequence[Any],
        resuming: bool,
        batch_size: Optional[int],
    ) -> None:
        self._opener, self._train, self._contexts = opener, train, contexts
        self.phase = config.phases[0]
        given = {"trainable": config.trainable, "data.feature_views": config.data.feature_views}
        opened = opener(
            config.in_phase(self.phase), train, contexts, resuming, batch_size=batch_size
        )
        self.learner, self.weights = opened.learner, opened.weights
        self.config = opened.config.changed(given)

    def beginning(self) -> dict[str, str]:
        """What a run records of the weights that the first learner begins with, see BEGINNING."""
        found = {INITIAL_WEIGHTS: hash_arrays(self.learner.parameters())}
        if self.weights is not None and self.weights.source:
            found[INITIAL_SOURCE] = self.weights.source
            found[INITIAL_LICENCE] = self.weights.licence
        return found

    def enter(self, epoch: int) -> bool:
        """Open the learner of the phase that an epoch, from 0, belongs to.

        It has random weights, which a saved state has to replace. Returns False if that phase was
        entered already.
        """
        phase = self.config.phase_of(epoch)
        if phase == self.phase:
            return False
        config, size = self.config.in_phase(phase), self.learner.batch_plan.batch_size
        opened = self._opener(config, self._train, self._contexts, True, batch_size=size)
        self.phase, self.learner = phase, opened.learner
        return True
