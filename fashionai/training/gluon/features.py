"""What the frozen layers make of images, computed once and kept in the user's cache folder.

A file holds one view of all images of a split. Its name is a key over everything
that decides what is in it, so that a file is right whoever finds it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

import fashionai
from fashionai.config import Config
from fashionai.datasets.prepared.check import hash_files
from fashionai.errors import TrainingError
from fashionai.files import content_hash
from fashionai.models.backbone import Backbone
from fashionai.models.forward import Forward, Pending, mean_over_views
from fashionai.models.zoo import output_names
from fashionai.pipeline.augment import EvaluationTransform, TrainingTransform, Transform
from fashionai.pipeline.loader import Loader
from fashionai.runtime import home_folder
from fashionai.training.gluon.feature_files import (
    ELSEWHERE,
    file_size,
    read_features,
    remove_abandoned,
    write_features,
)

log = logging.getLogger(__name__)

# Images a device computes at once, whatever batches they are trained in: rounding depends on it,
# and features that are computed again have to be the same bits.
COMPUTED_AT_ONCE = 32


class View(NamedTuple):
    """A view of every image: that of an epoch, by a transform; ``settings`` tell both."""

    transform: Transform
    epoch: int
    settings: dict[str, Any]


def training_views(config: Config) -> list[View]:
    """What the loader shows in the first ``data.feature_views`` epochs.

    One is enough where nothing is random, and for one epoch.
    """
    data = config.data
    steps = [step.model_dump() for step in data.augment if not step.changes_nothing]
    transform = TrainingTransform(data)
    if not steps:
        return [View(transform, 0, {"transform": "training"})]
    settings = {"transform": "training", "augment": steps, "seed": config.seed}
    return [
        View(transform, epoch, {**settings, "epoch": epoch})
        for epoch in range(min(data.feature_views, config.epochs))
    ]


def centre_crop(config: Config) -> View:
    """What validation sees."""
    return View(EvaluationTransform(config.data), 0, {"transform": "evaluation"})


def _keep(file: Path, shape: tuple[int, ...], blocks: Iterable[np.ndarray]) -> np.ndarray:
    """The features of a view, written to a file and mapped into memory."""
    begun = time.perf_counter()
    write_features(file, shape, blocks)
    features = read_features(file, shape)
    if features is None:
        raise TrainingError(f"{file}: is not there as it was written", ELSEWHERE)
    log.info("a view is computed: %.1f images/s", shape[0] / (time.perf_counter() - begun))
    return features


class FeatureStore:
    """Computes the features of a network's backbone, or finds them computed."""

    def __init__(
        self, config: Config, network: Any, backbone: Backbone, contexts: Sequence[Any]
    ) -> None:
        self._config, self._network, self._backbone = config, network, backbone
        self._contexts = list(contexts)
        self.folder = home_folder() / "features"

    def open(
        self, paths: Sequence[Path], views: Sequence[View], check: Callable[[], None]
    ) -> list[np.ndarray]:
        """Features ``(N, *shape) float32`` of every view, mapped into memory.

        Those that are missing or damaged are computed; ``check`` is called before
        every batch and may raise. Raises TrainingError when they cannot be kept,
        DataError for an image that cannot be read.
        """
        shape = (len(paths), *self._backbone.shape)
        files = self._files(hash_files(paths, lambda _: check()), views)
        found = [read_features(file, shape) for file in files]
        missing = [at for at, features in enumerate(found) if features is None]
        log.info(
            "features of %s images in %s, views to compute: %d of %d, %.1f MB each",
            *(f"{len(paths):,}", self.folder, len(missing), len(views), file_size(shape) / 1e6),
        )
        if missing:
            self._make_room(len(missing) * file_size(shape))
        with tqdm(
            total=len(missing) * len(paths),
            desc="features",
            unit=" images",
            leave=False,
            disable=None,
        ) as bar:
            for at in missing:
                blocks = self._computed(paths, views[at], bar, check)
                found[at] = _keep(files[at], shape, blocks)
        # Frees the memory that the graph was given.
        self._backbone.block.hybridize(False)
        return [features for features in found if features is not None]

    def _files(self, images: Sequence[str], views: Sequence[View]) -> list[Path]:
        """The file of every view; ``images`` are the hashes of the image files."""
        data = self._config.data
        mean, std = (list(values) for values in data.normalization)
        decisive = {
            "version": fashionai.__version__,
            "network": self._config.model.name,
            "weights": self._weights_hash(),
            "images": content_hash("".join(images).encode()),
            "input": [data.resize_short, data.crop, mean, std],
        }
        keys = [json.dumps({**decisive, "view": view.settings}, sort_keys=True) for view in views]
        return [self.folder / f"{content_hash(key.encode())}.npy" for key in keys]

    def _computed(
        self, paths: Sequence[Path], view: View, bar: Any, check: Callable[[], None]
    ) -> Iterator[np.ndarray]:
        """The features of all images, a batch at a time, ``(B, D) float32``."""
        config = self._config
        batch_size = COMPUTED_AT_ONCE * len(self._contexts)
        loader = Loader(
            paths, view.transform, batch_size, workers=config.data.workers, seed=config.seed
        )
        forward = Forward(
            self._backbone.block, *config.data.normalization, self._contexts, columns=[]
        )

        def batches() -> Iterator[np.ndarray]:
            for batch in loader.batches(np.arange(len(paths)), view.epoch):
                check()
                yield batch.images
                bar.update(len(batch.rows))

        def begin(pixels: np.ndarray) -> Pending:
            pending = forward.outputs(pixels)
            return lambda: pending().reshape(len(pixels), -1)

        return mean_over_views(begin, batches(), batch_size)

    def _make_room(self, needed: int) -> None:
        """TrainingError unless so many bytes can be written to the folder."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            remove_abandoned(self.folder)
            free = shutil.disk_usage(self.folder).free
        except OSError as error:
            raise TrainingError(
                f"{self.folder}: cannot be written: {error.strerror}", ELSEWHERE
            ) from None
        if free < needed:
            raise TrainingError(
                f"{self.folder}: {needed / 1e6:,.1f} MB of features do not fit, "
                f"{free / 1e6:,.1f} MB are free",
                ELSEWHERE,
            )

    def _weights_hash(self) -> str:
        """The SHA-256 of the names, shapes and values of all parameters but the output layer's."""
        digest = hashlib.sha256()
        own = output_names(self._network)
        for name, parameter in self._network._collect_params_with_prefix().items():
            if name not in own:
                values = parameter.list_data()[0].asnumpy()
                digest.update(f"{name} {values.shape} {values.dtype}\n".encode())
                digest.update(values.tobytes())
        return digest.hexdigest()
