"""Features: the output of the frozen layers, computed once and cached in the user's home folder.

A file holds the features of one view of all images of a split. Its name is a hash of
everything that its content depends on, so that every run can use a file it finds. Only rounding
may differ: other devices and numbers of threads would compute other last bits.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from tqdm import tqdm

import fashionai
from fashionai.config import Config
from fashionai.datasets.prepared.check import hash_files
from fashionai.errors import TrainingError, counted
from fashionai.files import content_hash
from fashionai.frameworks.processes import place_or_alone
from fashionai.models.views import Pending, mean_over_views
from fashionai.pipeline.augment import EvaluationTransform, TrainingTransform, Transform
from fashionai.pipeline.decode import PIXELS_VERSION
from fashionai.pipeline.loader import Loader
from fashionai.runtime import home_folder
from fashionai.training.batches.feature_files import (
    DISK_HINT,
    file_size,
    read_features,
    remove_abandoned,
    write_features,
)

log = logging.getLogger(__name__)

# Images per device in one forward pass.
IMAGES_PER_DEVICE = 32


class View(NamedTuple):
    """How one view of every image is made: a transform, and the epoch that seeds it.

    ``settings`` are all that the pixels of the view depend on, as JSON values.
    """

    transform: Transform
    epoch: int
    settings: dict[str, Any]


class Backbone(Protocol):
    """Computes the features of images: the frozen layers before a network's output layer.

    ``shape`` is that of one image's features, ``batch_size`` the number of images in one
    forward pass, whatever the training batch is: rounding depends on it, and features that
    are computed again must have the same bits. ``key`` identifies what the features
    depend on, apart from the images: the framework, and the names and values of the weights.
    """

    shape: tuple[int, ...]
    batch_size: int

    def key(self) -> str:
        """A text that identifies framework and weights."""
        ...

    def begin(self, pixels: np.ndarray) -> Pending:
        """Start to compute images ``(N, crop, crop, 3) uint8``; call the result for features.

        They are ``(N, D) float32``.
        """
        ...

    def close(self) -> None:
        """Free memory that only this computation needs."""
        ...


def weights_hash(parameters: Iterable[tuple[str, np.ndarray]]) -> str:
    """The SHA-256 of names, shapes and values of parameters."""
    digest = hashlib.sha256()
    for name, values in parameters:
        digest.update(f"{name} {values.shape} {values.dtype}\n".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def training_views(config: Config) -> list[View]:
    """The training views of the first ``data.feature_views`` epochs.

    They are one view when the transform has no random steps, and at most one per epoch.
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
    """The view that validation uses."""
    return View(EvaluationTransform(config.data), 0, {"transform": "evaluation"})


def _write_and_map(file: Path, shape: tuple[int, ...], blocks: Iterable[np.ndarray]) -> np.ndarray:
    """Write the features of a view to a file, and map the file into memory."""
    write_features(file, shape, blocks)
    features = read_features(file, shape)
    if features is None:
        raise TrainingError(f"{file}: cannot be read back after writing", DISK_HINT)
    return features


class FeatureStore:
    """The cached features of a network's frozen layers (its backbone)."""

    def __init__(self, config: Config, backbone: Backbone) -> None:
        self._config, self._backbone = config, backbone
        self.folder = home_folder() / "features"

    def open(
        self, paths: Sequence[Path], views: Sequence[View], check: Callable[[], None]
    ) -> list[np.ndarray]:
        """Features ``(N, *shape) float32`` of each view, mapped into memory.

        Features that are missing or damaged are computed. ``check`` is called before each
        batch and may raise to stop. Raises TrainingError when features cannot be written,
        DataError for an image that cannot be read.
        """
        shape = (len(paths), *self._backbone.shape)
        files = self._files(hash_files(paths, lambda _: check()), views)
        found = [read_features(file, shape) for file in files]
        missing = [index for index, features in enumerate(found) if features is None]
        self._log_work(len(paths), len(views), len(missing))
        size = len(missing) * file_size(shape)
        if missing:
            self._make_room(size)
        start = time.perf_counter()
        with tqdm(
            total=len(missing) * len(paths),
            desc="features",
            unit=" images",
            leave=False,
            disable=None if place_or_alone().is_first else True,  # one bar for all processes
        ) as bar:
            for index in missing:
                blocks = self._compute(paths, views[index], bar, check)
                found[index] = _write_and_map(files[index], shape, blocks)
        if missing:
            speed = len(missing) * len(paths) / (time.perf_counter() - start)
            log.info("%.1f images/s; %.1f MB kept in %s", speed, size / 1e6, self.folder)
        self._backbone.close()
        return [features for features in found if features is not None]

    def _log_work(self, images: int, views: int, missing: int) -> None:
        """Log how many views of the images are computed, or that they are read."""
        which = "" if views == 1 else f" in {counted(views, 'view')}"
        what = f"the features of {counted(images, 'image')}{which}"
        if missing == 0:
            log.info("reading %s from %s", what, self.folder)
        elif missing < views:
            log.info("computing %s once for all epochs, of which %d are missing", what, missing)
        else:
            log.info("computing %s once for all epochs", what)

    def _files(self, images: Sequence[str], views: Sequence[View]) -> list[Path]:
        """The file of each view; ``images`` are the hashes of the image files."""
        data = self._config.data
        mean, std = (list(values) for values in data.normalization)
        key = {
            "version": fashionai.__version__,
            "pixels": PIXELS_VERSION,
            "network": self._config.model.name,
            "weights": self._backbone.key(),
            "images": content_hash("".join(images).encode()),
            "input": [data.short_side, data.crop, mean, std],
        }
        texts = [json.dumps({**key, "view": view.settings}, sort_keys=True) for view in views]
        return [self.folder / f"{content_hash(text.encode())}.npy" for text in texts]

    def _compute(
        self, paths: Sequence[Path], view: View, bar: Any, check: Callable[[], None]
    ) -> Iterator[np.ndarray]:
        """Yield the features of all images in batches, ``(B, D) float32``."""
        config, batch_size = self._config, self._backbone.batch_size
        loader = Loader(
            paths, view.transform, batch_size, workers=config.data.workers, seed=config.seed
        )

        def batches() -> Iterator[np.ndarray]:
            for batch in loader.batches(np.arange(len(paths)), view.epoch):
                check()
                yield batch.images
                bar.update(len(batch.rows))

        return mean_over_views(self._backbone.begin, batches(), batch_size)

    def _make_room(self, needed: int) -> None:
        """Make the folder; TrainingError unless it has ``needed`` bytes of free disk space."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            remove_abandoned(self.folder)
            free = shutil.disk_usage(self.folder).free
        except OSError as error:
            raise TrainingError(
                f"{self.folder}: cannot be written: {error.strerror}", DISK_HINT
            ) from None
        if free < needed:
            raise TrainingError(
                f"{self.folder}: {needed / 1e6:,.1f} MB of features do not fit, "
                f"{free / 1e6:,.1f} MB are free",
                DISK_HINT,
            )
