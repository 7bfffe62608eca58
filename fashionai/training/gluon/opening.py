"""Opens the learner of MXNet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fashionai.config import Config
from fashionai.datasets.prepared.samples import Samples
from fashionai.models.mixed_precision import check_precision
from fashionai.training.gluon.learner import GluonLearner
from fashionai.training.opening import Opened
from fashionai.weights.pretrained import starting_weights


def open_gluon(
    config: Config,
    train: Samples,
    contexts: Sequence[Any],
    resuming: bool = False,
    *,
    pixels_only: bool = False,
) -> Opened:
    """Open a GluonLearner on MXNet contexts; see open_learner."""
    check_precision(config.precision, contexts)
    weights = None if resuming else starting_weights(config)
    if weights is not None:
        config = config.with_input(weights.mean, weights.std)
    pretrained = None if weights is None else weights.file
    learner = GluonLearner(config, train, contexts, pretrained, pixels_only=pixels_only)
    return Opened(learner, config, weights)
