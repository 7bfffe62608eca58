"""Opens the learner of a configuration, without importing any framework before it is needed."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional, Protocol

import fashionai
from fashionai.config import Config, shown_keys
from fashionai.datasets.prepared.samples import Samples
from fashionai.errors import ConfigError, counted
from fashionai.models.catalogue import find_network
from fashionai.training.batches.class_balance import class_weights
from fashionai.training.learners.engine_choice import check_engine, resolve_engine
from fashionai.training.learners.learner import SOFT_TARGETS, Learner
from fashionai.training.learners.program import source_hash, torch_version
from fashionai.weights.store import StartingWeights


class FirstHasFinished(Exception):  # noqa: N818 - it is no error
    """The first of several processes has found the run finished."""


class Opened(NamedTuple):
    """A learner with its resolved configuration; its initial weights, unless it resumes."""

    learner: Learner
    config: Config
    weights: Optional[StartingWeights]


class Opener(Protocol):
    """Opens a learner; see open_learner."""

    def __call__(
        self,
        config: Config,
        train: Samples,
        contexts: Sequence[Any],
        resuming: bool = False,
        *,
        pixels_only: bool = False,
        batch_size: Optional[int] = None,
    ) -> Opened:
        """Open a learner."""
        ...


def what_must_be_same(config: Config, resume_key: Mapping[str, str]) -> dict[str, str]:
    """What all processes of a training must have in common, see Learner.check_same."""
    own = config.changed({"data.folder": "", "data.workers": None})
    return {
        "the version of fashionai": fashionai.__version__,
        "the hash of fashionai's source files": source_hash(),
        "the version of PyTorch": torch_version(),
        "the hash of the prepared folder": resume_key["data"],
        "the hash of data.soft_targets": resume_key.get(SOFT_TARGETS, ""),
        **shown_keys(own),
    }


def check_sizes(config: Config) -> None:
    """Raise ConfigError for a size of data.sizes that no epoch has, since shares are rounded."""
    begins = [round(share * config.epochs) for share, _ in config.data.sizes]
    for size, first, end in zip(config.data.sizes, begins, [*begins[1:], config.epochs]):
        if first >= end:
            share, side = size
            raise ConfigError(
                f"data.sizes: [{share:g}, {side}] would begin after {counted(first, 'epoch')} and "
                f"end after {counted(end, 'epoch')} of {config.epochs:,}",
                "Train more epochs, or leave it out",
            )


def open_learner(
    config: Config,
    train: Samples,
    contexts: Sequence[Any],
    resuming: bool = False,
    *,
    pixels_only: bool = False,
    batch_size: Optional[int] = None,
) -> Opened:
    """Open the learner of a configuration on devices, with its initial weights.

    ``resuming`` tells that the weights will come from a saved state, so that pretrained ones
    need not be at hand. With ``pixels_only`` no features are kept. ``batch_size`` is that of all
    processes of a training that was begun with another number of them (PyTorch). The returned
    configuration has the input of the weights: mean, standard deviation and resized short side.

    Raises WeightsError for pretrained weights that are missing or do not fit, ConfigError for
    settings that the network or the devices cannot compute, TrainingError for fewer training
    images than devices.
    """
    if config.engine == "auto":
        shown = config.epochs * len(train.paths)
        config = resolve_engine(config, shown, contexts, resuming)
    check_engine(config, contexts)
    # Before weights are fetched.
    if config.model.pretrained is True:
        find_network(config.model.name)
    class_weights(config.loss.class_weights, train)
    check_sizes(config)
    if config.engine == "gluon":
        opener = pkgutil.resolve_name("fashionai.training.gluon.opening:open_gluon")
        opened: Opened = opener(config, train, contexts, resuming, pixels_only=pixels_only)
        return opened
    # MXNet builds and initialises the network, and hands it over as data.
    describe = pkgutil.resolve_name("fashionai.training.gluon.opening:describe_network")
    config, weights, description = describe(config, train, resuming)
    open_torch = pkgutil.resolve_name("fashionai.training.torch.opening:open_torch")
    learner = open_torch(
        config, train, contexts, description, pixels_only=pixels_only, batch_size=batch_size
    )
    return Opened(learner, config, weights)
