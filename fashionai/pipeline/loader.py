"""Batches of images, decoded and augmented by threads before they are needed.

The workers are threads because OpenCV releases the interpreter lock while it
decodes, and because a process forked after MXNet has started its own threads may
deadlock (apache/mxnet issues 13945 and 15690).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, Optional

import numpy as np

from fashionai.pipeline.augment import Transform
from fashionai.pipeline.decode import ImageFile, read_image
from fashionai.runtime import usable_cores

# The number of batches that are decoded while another one is used.
PREFETCH = 3

# The last number of a seed (seed, epoch, index, stream), one for each purpose of random numbers.
VIEW_STREAM, SHUFFLE_STREAM, STEP_STREAM, MIXING_STREAM = 0, 1, 2, 3


class Batch(NamedTuple):
    """``images`` is ``(B, V, crop, crop, 3) uint8`` RGB, ``rows`` ``(B,) int64`` are indices."""

    images: np.ndarray
    rows: np.ndarray


class Draws(NamedTuple):
    """Drawn samples in the order in which they are loaded, and what their views depend on.

    ``indices``, ``epochs`` and ``repeats`` are ``(N,) int64``. ``indices`` are those of the
    samples, ``repeats`` counts the earlier draws of the same sample in the same epoch.
    """

    indices: np.ndarray
    epochs: np.ndarray
    repeats: np.ndarray


class Loader:
    """Reads image files and yields them in batches.

    A sample is known by its index in ``paths``. A view is a function of the seed, the epoch,
    the index and the number of earlier draws of that sample in the epoch. It does not depend
    on the thread that decodes it.
    """

    def __init__(
        self,
        paths: Sequence[ImageFile],
        transform: Transform,
        batch_size: int,
        *,
        workers: Optional[int] = None,
        seed: int = 0,
    ) -> None:
        self._paths = paths
        self._transform = transform
        self._batch_size = batch_size
        self._workers = workers or usable_cores()
        self._seed = seed

    def steps(self, samples: int) -> int:
        """The number of batches of so many samples; the last batch may be smaller."""
        return math.ceil(samples / self._batch_size)

    def batches(self, indices: np.ndarray, epoch: int = 0) -> Iterator[Batch]:
        """Yield batches of samples ``(N,) int64`` of an epoch in this order, see load."""
        return self.load(draws_of(indices, epoch))

    def load(self, draws: Draws, skip: int = 0) -> Iterator[Batch]:
        """Yield batches of draws in their order, without the first ``skip`` batches.

        Raises DataError for the first image that cannot be decoded.
        """
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="decode")
        pending: deque[tuple[Batch, list[Future[None]]]] = deque()
        # Every draw of a sample has a view of its own: in its seed, the k-th repeat has the number
        # index + k * (number of samples).
        seed_numbers = draws.indices + draws.repeats * len(self._paths)
        keys = np.stack([draws.indices, draws.epochs, seed_numbers], axis=1)
        try:
            for step in range(skip, self.steps(len(keys))):
                start = step * self._batch_size
                pending.append(self._submit(pool, keys[start : start + self._batch_size]))
                if len(pending) > PREFETCH:
                    yield _wait_for(*pending.popleft())
            while pending:
                yield _wait_for(*pending.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _submit(
        self, pool: ThreadPoolExecutor, keys: np.ndarray
    ) -> tuple[Batch, list[Future[None]]]:
        """Allocate a batch and start the threads that fill it with consecutive images each.

        ``keys`` is ``(B, 3) int64``: the index, its epoch, and its number in the seed.
        """
        crop = self._transform.crop
        images = np.empty((len(keys), self._transform.views, crop, crop, 3), np.uint8)
        shares = np.array_split(np.arange(len(keys)), min(self._workers, len(keys)))
        futures = [pool.submit(self._fill, images, keys, share) for share in shares]
        return Batch(images, keys[:, 0]), futures

    def _fill(self, images: np.ndarray, keys: np.ndarray, share: np.ndarray) -> None:
        for position in share:
            index, epoch, seed_number = (int(number) for number in keys[position])
            image = read_image(self._paths[index], self._transform.decode_short)
            rng = np.random.default_rng((self._seed, epoch, seed_number, VIEW_STREAM))
            self._transform(image, rng, images[position])


def draws_of(indices: np.ndarray, epoch: int) -> Draws:
    """The draws of one epoch in the order of ``indices``, ``(N,) int64``."""
    return Draws(indices, np.full(len(indices), epoch), _count_earlier(indices))


def _count_earlier(indices: np.ndarray) -> np.ndarray:
    """For each entry, the number of equal entries before it, ``(N,) int64``."""
    order = np.argsort(indices, kind="stable")
    _, starts, counts = np.unique(indices[order], return_index=True, return_counts=True)
    repeats = np.empty(len(indices), np.int64)
    repeats[order] = np.arange(len(indices)) - np.repeat(starts, counts)
    return repeats


def shuffled_indices(samples: int, seed: int, epoch: int) -> np.ndarray:
    """A random permutation ``(samples,) int64`` of indices, determined by seed and epoch."""
    return np.random.default_rng((seed, epoch, 0, SHUFFLE_STREAM)).permutation(samples)


def _wait_for(batch: Batch, futures: Sequence[Future[None]]) -> Batch:
    """Return the batch when all threads have filled it; raises the errors of the threads."""
    for future in futures:
        future.result()
    return batch
