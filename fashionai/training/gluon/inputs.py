"""The inputs of a training: pixels for the whole network, or features for its output layer alone.

The training loop, its steps and its scores are the same for both.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from fashionai.config import Config
from fashionai.datasets.prepared.samples import Samples
from fashionai.models.backbone import NotConstantError, cut_backbone
from fashionai.models.forward import BatchForward, Forward
from fashionai.models.mixed_precision import mixed_precision
from fashionai.pipeline.augment import EvaluationTransform, TrainingTransform
from fashionai.pipeline.loader import Batch, Draws, Loader
from fashionai.tasks import columns_of
from fashionai.training.gluon.features import FeatureStore, centre_crop, training_views

log = logging.getLogger(__name__)

# Called before each batch; may raise to stop.
Check = Callable[[], None]


class Inputs(Protocol):
    """Yields batches; ``forward`` computes logits from them."""

    forward: BatchForward
    # Whether the network computes in float16, so that the loss must be scaled.
    in_float16: bool

    def prepare(self, check: Check) -> None:
        """Do what training needs once, after the network has its initial weights."""
        ...

    def training(self, draws: Draws, skip: int) -> Iterator[Batch]:
        """Yield the batches of an epoch's draws, without the first ``skip`` batches."""
        ...

    def evaluation(self, samples: Samples, check: Check) -> Iterator[np.ndarray]:
        """Yield batches ``(B, 1, ...)`` of all samples in order, without augmentation."""
        ...


def choose_inputs(
    config: Config, train: Samples, network: Any, contexts: list[Any], batch_size: int
) -> Inputs:
    """Features if only the output layer is trained and its input is constant, else pixels.

    The layers of ``network`` are frozen already, as the configuration says.
    """
    arguments = config, train, network, contexts, batch_size
    if config.trainable != "head":
        return PixelInputs(*arguments)
    try:
        return FeatureInputs(*arguments)
    except NotConstantError as reason:
        return PixelInputs(*arguments, reason=str(reason))


class PixelInputs:
    """Images for the whole network, decoded and augmented in every epoch.

    ``reason`` says why features cannot be used, if only the output layer is trained.
    """

    def __init__(
        self,
        config: Config,
        train: Samples,
        network: Any,
        contexts: list[Any],
        batch_size: int,
        reason: str = "",
    ) -> None:
        self._data, self._seed, self._train = config.data, config.seed, train
        self._batch_size, self._reason = batch_size, reason
        columns = columns_of(train.tasks)
        self.in_float16 = config.precision == "float16"
        if self.in_float16:
            network = mixed_precision(network)
        self.forward: BatchForward = Forward(network, *self._data.normalization, contexts, columns)

    def prepare(self, check: Check) -> None:
        """Log the reason for using pixels, if there is one."""
        if self._reason:
            log.info("the frozen layers are computed in every epoch: %s", self._reason)

    def training(self, draws: Draws, skip: int) -> Iterator[Batch]:
        """Augmented views ``(B, 1, crop, crop, 3) uint8``."""
        loader = Loader(
            self._train.paths,
            TrainingTransform(self._data),
            self._batch_size,
            workers=self._data.workers,
            seed=self._seed,
        )
        return loader.load(draws, skip)

    def evaluation(self, samples: Samples, check: Check) -> Iterator[np.ndarray]:
        """Centre crops ``(B, 1, crop, crop, 3) uint8``."""
        transform = EvaluationTransform(self._data)
        loader = Loader(samples.paths, transform, self._batch_size, workers=self._data.workers)
        for batch in loader.batches(np.arange(len(samples.paths))):
            check()
            yield batch.images


class FeatureInputs:
    """Features of the frozen layers, computed once, for the output layer alone.

    There are V views of each image. A sample that epoch e draws for the k-th time, both
    from 0, has view (e + k) mod V. Raises NotConstantError when training on pixels would
    give other features.
    """

    def __init__(
        self, config: Config, train: Samples, network: Any, contexts: list[Any], batch_size: int
    ) -> None:
        if config.loss.mixup or config.loss.cutmix:
            raise NotConstantError("loss.mixup and loss.cutmix mix the pixels of two images")
        self._config, self._train, self._batch_size = config, train, batch_size
        # The output layer is computed in float32, whatever the precision.
        self.in_float16 = False
        backbone = cut_backbone(network, config.data.crop)
        self._store = FeatureStore(config, network, backbone, contexts)
        self._training: list[np.ndarray] = []
        self._evaluation: dict[tuple[Path, ...], np.ndarray] = {}
        columns = columns_of(train.tasks)
        self.forward = BatchForward(backbone.output, contexts, columns)

    def prepare(self, check: Check) -> None:
        """Compute the features of the training images that are not cached yet."""
        if not self._training:
            if self._config.precision == "float16":
                log.info("precision float16: only the output layer is trained, in float32")
            views = training_views(self._config)
            self._training = self._store.open(self._train.paths, views, check)

    def training(self, draws: Draws, skip: int) -> Iterator[Batch]:
        """Features ``(B, 1, ...) float32``."""
        self.prepare(lambda: None)
        views = (draws.epochs + draws.repeats) % len(self._training)
        for start in range(skip * self._batch_size, len(views), self._batch_size):
            part = slice(start, start + self._batch_size)
            yield Batch(self._gather(draws.indices[part], views[part]), draws.indices[part])

    def evaluation(self, samples: Samples, check: Check) -> Iterator[np.ndarray]:
        """Features ``(B, 1, ...) float32`` of the centre crops."""
        key = tuple(samples.paths)
        if key not in self._evaluation:
            view = centre_crop(self._config)
            (self._evaluation[key],) = self._store.open(samples.paths, [view], check)
        features = self._evaluation[key]
        for start in range(0, len(features), self._batch_size):
            check()
            yield np.array(features[start : start + self._batch_size, None])

    def _gather(self, rows: np.ndarray, views: np.ndarray) -> np.ndarray:
        features = np.empty((len(rows), 1, *self._training[0].shape[1:]), np.float32)
        for view in np.unique(views):
            of_view = views == view
            features[of_view, 0] = self._training[view][rows[of_view]]
        return features
