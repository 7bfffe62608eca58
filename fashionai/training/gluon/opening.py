"""Opens the learner of MXNet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from fashionai.config import Config
from fashionai.datasets.prepared.samples import Samples
from fashionai.frameworks.mxnet import import_mxnet, own_contexts
from fashionai.models.describe import describe
from fashionai.models.description import NetworkDescription
from fashionai.tasks import columns_of
from fashionai.training.gluon.learner import GluonLearner, initial_network
from fashionai.training.learners.opening import Opened
from fashionai.weights.pretrained import starting_weights
from fashionai.weights.store import StartingWeights

mx = import_mxnet()


def open_gluon(
    config: Config,
    train: Samples,
    contexts: Sequence[Any],
    resuming: bool = False,
    *,
    pixels_only: bool = False,
) -> Opened:
    """Open a GluonLearner on MXNet contexts, or PyTorch's CPU; see open_learner."""
    config, weights = _with_weights(config, resuming)
    pretrained = None if weights is None else weights.file
    own = own_contexts(contexts)
    learner = GluonLearner(config, train, own, pretrained, pixels_only=pixels_only)
    return Opened(learner, config, weights)


def describe_network(
    config: Config, train: Samples, resuming: bool
) -> tuple[Config, Optional[StartingWeights], NetworkDescription]:
    """The network of a configuration with its initial weights, for another framework.

    Also returns the configuration with the input of the weights, and the weights. Errors as
    for open_learner.
    """
    config, weights = _with_weights(config, resuming)
    pretrained = None if weights is None else weights.file
    classes = columns_of(train.tasks)[-1].stop
    network = initial_network(config, classes, [mx.cpu()], pretrained)
    return config, weights, describe(network, config.data.crop)


def _with_weights(config: Config, resuming: bool) -> tuple[Config, Optional[StartingWeights]]:
    """The configuration with the input of its pretrained weights, and these."""
    if resuming:
        return config, None
    weights = starting_weights(config)
    return weights.resolve_input(config), weights
