"""The inputs of a training: pixels for the whole network, or features for its output layer alone.

The training loop, its steps and its scores are the same for both.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from fashionai.config import Config
from fashionai.datasets.prepared.samples import Samples
from fashionai.pipeline.augment import EvaluationTransform, TrainingTransform
from fashionai.pipeline.loader import Batch, Draws, Loader
from fashionai.training.batches.features import FeatureStore, centre_crop, training_views

log = logging.getLogger(__name__)

# Why features cannot be kept, see FeatureInputs.
MIXES_PIXELS = "loss.mixup and loss.cutmix mix the pixels of two images"
CHANGES_SIZE = "data.sizes changes the size of the images"

# Called before each batch; may raise to stop.
Check = Callable[[], None]


class Sizes(NamedTuple):
    """The number of samples of this process in a training step, and in a batch of evaluation."""

    training: int
    evaluation: int


class Inputs(Protocol):
    """Yields batches for the network, or for its output layer."""

    def prepare(self, check: Check) -> None:
        """Do what training needs once, after the network has its initial weights."""
        ...

    def training(self, draws: Draws, epoch: int, skip: int) -> Iterator[Batch]:
        """Yield the batches of the draws of an epoch, without the first ``skip`` batches."""
        ...

    def evaluation(self, samples: Samples, check: Check) -> Iterator[np.ndarray]:
        """Yield batches ``(B, 1, ...)`` of all samples in order, without augmentation."""
        ...


def why_no_features(config: Config) -> str:
    """The setting for which features cannot be kept, whatever the network; "" without one."""
    if config.loss.mixup or config.loss.cutmix:
        return MIXES_PIXELS
    return CHANGES_SIZE if config.data.sizes else ""


class PixelInputs:
    """Images for the whole network, decoded and augmented in every epoch.

    ``reason`` says why features cannot be used, if only the output layer is trained.
    """

    def __init__(self, config: Config, train: Samples, sizes: Sizes, reason: str = "") -> None:
        self._config, self._train = config, train
        self._sizes, self._reason = sizes, reason

    def prepare(self, check: Check) -> None:
        """Log the reason for using pixels, if there is one."""
        if self._reason:
            log.info("the frozen layers are computed in every epoch: %s", self._reason)

    def training(self, draws: Draws, epoch: int, skip: int) -> Iterator[Batch]:
        """Augmented views ``(B, 1, side, side, 3) uint8``, see Config.training_side."""
        # Draws may be left over from the epoch before.
        config = self._config.for_training(epoch)
        loader = Loader(
            self._train.paths,
            TrainingTransform(config.data),
            self._sizes.training,
            workers=config.data.workers,
            seed=config.seed,
        )
        return loader.load(draws, skip)

    def evaluation(self, samples: Samples, check: Check) -> Iterator[np.ndarray]:
        """Centre crops ``(B, 1, crop, crop, 3) uint8``."""
        data = self._config.data
        transform, size, workers = EvaluationTransform(data), self._sizes.evaluation, data.workers
        loader = Loader(samples.paths, transform, size, workers=workers)
        for batch in loader.batches(np.arange(len(samples.paths))):
            check()
            yield batch.images


class FeatureInputs:
    """Features of the frozen layers, computed once, for the output layer alone.

    There are V views of each image. A sample that epoch e draws for the k-th time, both
    from 0, has view (e + k) mod V. ``in_turn`` lets one process of a machine compute features
    before the others look for them.
    """

    def __init__(
        self,
        config: Config,
        train: Samples,
        sizes: Sizes,
        store: FeatureStore,
        in_turn: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._config, self._train, self._sizes = config, train, sizes
        self._store, self._in_turn = store, in_turn
        self._training: list[np.ndarray] = []
        self._evaluation: dict[tuple[Path, ...], np.ndarray] = {}

    def prepare(self, check: Check) -> None:
        """Compute the features of the training images that are not cached yet."""
        if not self._training:
            if self._config.precision != "float32":
                log.info(
                    "precision %s: only the output layer is trained, in float32",
                    self._config.precision,
                )
            views = training_views(self._config)
            with self._in_turn():
                self._training = self._store.open(self._train.paths, views, check)

    def training(self, draws: Draws, epoch: int, skip: int) -> Iterator[Batch]:
        """Features ``(B, 1, ...) float32``."""
        self.prepare(lambda: None)
        views = (draws.epochs + draws.repeats) % len(self._training)
        size = self._sizes.training
        for start in range(skip * size, len(views), size):
            part = slice(start, start + size)
            yield Batch(self._gather(draws.indices[part], views[part]), draws.indices[part])

    def evaluation(self, samples: Samples, check: Check) -> Iterator[np.ndarray]:
        """Features ``(B, 1, ...) float32`` of the centre crops."""
        if not samples.paths:
            return
        key = tuple(samples.paths)
        if key not in self._evaluation:
            view = centre_crop(self._config)
            (self._evaluation[key],) = self._store.open(samples.paths, [view], check)
        features, size = self._evaluation[key], self._sizes.evaluation
        for start in range(0, len(features), size):
            check()
            yield np.array(features[start : start + size, None])

    def _gather(self, rows: np.ndarray, views: np.ndarray) -> np.ndarray:
        features = np.empty((len(rows), 1, *self._training[0].shape[1:]), np.float32)
        for view in np.unique(views):
            of_view = views == view
            features[of_view, 0] = self._training[view][rows[of_view]]
        return features
