"""What a network learns from: pixels for all its layers, or features for its output layer alone.

The loop, its steps and its scores are the same for both.
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

# Called before every batch; may raise to end what is under way.
Check = Callable[[], None]


class Inputs(Protocol):
    """Where batches come from, and in ``forward`` what computes logits from them."""

    forward: BatchForward
    # Whether the loss has to be scaled.
    in_float16: bool

    def prepare(self, check: Check) -> None:
        """Do once what training needs, when the network has the weights that it begins with."""
        ...

    def training(self, draws: Draws, skip: int) -> Iterator[Batch]:
        """The batches of an epoch's draws, without the first ``skip``."""
        ...

    def evaluation(self, rows: Samples, check: Check) -> Iterator[np.ndarray]:
        """Batches ``(B, 1, ...)`` of all rows in their order, as they are validated."""
        ...


def choose_inputs(
    config: Config, train: Samples, network: Any, contexts: list[Any], batch_size: int
) -> Inputs:
    """Features where all layers but the last are frozen and answer as ever, else pixels.

    ``network`` is frozen as the configuration says.
    """
    settings = config, train, network, contexts, batch_size
    if config.trainable != "head":
        return PixelInputs(*settings)
    try:
        return FeatureInputs(*settings)
    except NotConstantError as reason:
        return PixelInputs(*settings, reason=str(reason))


class PixelInputs:
    """Images, decoded and augmented every time, for the whole network.

    ``reason`` is why its features cannot be kept, where they would be.
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
        """Nothing but to tell the reason."""
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

    def evaluation(self, rows: Samples, check: Check) -> Iterator[np.ndarray]:
        """Centre crops ``(B, 1, crop, crop, 3) uint8``."""
        transform = EvaluationTransform(self._data)
        loader = Loader(rows.paths, transform, self._batch_size, workers=self._data.workers)
        for batch in loader.batches(np.arange(len(rows.paths))):
            check()
            yield batch.images


class FeatureInputs:
    """What the frozen layers make of each image, computed once, for the output layer alone.

    With V views, a row that epoch e draws for the k-th time (from 0) has view
    (e + k) mod V. Raises NotConstantError where that would not be what training
    on pixels sees.
    """

    def __init__(
        self, config: Config, train: Samples, network: Any, contexts: list[Any], batch_size: int
    ) -> None:
        if config.loss.mixup or config.loss.cutmix:
            raise NotConstantError("loss.mixup and loss.cutmix mix the pixels of two images")
        self._config, self._train, self._batch_size = config, train, batch_size
        # The output layer alone is computed in float32, whatever the precision.
        self.in_float16 = False
        backbone = cut_backbone(network, config.data.crop)
        self._store = FeatureStore(config, network, backbone, contexts)
        self._training: list[np.ndarray] = []
        self._evaluation: dict[tuple[Path, ...], np.ndarray] = {}
        columns = columns_of(train.tasks)
        self.forward = BatchForward(backbone.output, contexts, columns)

    def prepare(self, check: Check) -> None:
        """Compute the views of the training images that are not there yet."""
        if not self._training:
            if self._config.precision == "float16":
                log.info("precision float16: the output layer alone is trained, in float32")
            views = training_views(self._config)
            self._training = self._store.open(self._train.paths, views, check)

    def training(self, draws: Draws, skip: int) -> Iterator[Batch]:
        """Features ``(B, 1, ...) float32``."""
        self.prepare(lambda: None)
        views = (draws.epochs + draws.repeats) % len(self._training)
        for start in range(skip * self._batch_size, len(views), self._batch_size):
            part = slice(start, start + self._batch_size)
            yield Batch(self._gather(draws.rows[part], views[part]), draws.rows[part])

    def evaluation(self, rows: Samples, check: Check) -> Iterator[np.ndarray]:
        """Features ``(B, 1, ...) float32`` of the centre crops."""
        name = tuple(rows.paths)
        if name not in self._evaluation:
            view = centre_crop(self._config)
            (self._evaluation[name],) = self._store.open(rows.paths, [view], check)
        features = self._evaluation[name]
        for start in range(0, len(features), self._batch_size):
            check()
            yield np.array(features[start : start + self._batch_size, None])

    def _gather(self, rows: np.ndarray, views: np.ndarray) -> np.ndarray:
        features = np.empty((len(rows), 1, *self._training[0].shape[1:]), np.float32)
        for view in np.unique(views):
            chosen = views == view
            features[chosen, 0] = self._training[view][rows[chosen]]
        return features
