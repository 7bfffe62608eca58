"""Batches of images, decoded and augmented by threads ahead of their use.

Threads, not processes: OpenCV releases the interpreter lock while it decodes,
and a process forked after MXNet has started its own threads may deadlock
(apache/mxnet issues 13945 and 15690).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, Optional

import numpy as np

from fashionai.pipeline.augment import Transform
from fashionai.pipeline.decode import ImageFile, read_image
from fashionai.runtime import usable_cores

# Batches decoded ahead of the one in use.
PREFETCH = 3

# Last word of the seeds (seed, epoch, row, stream): each use of chance has its own.
VIEW_STREAM, SHUFFLE_STREAM, STEP_STREAM, MIXING_STREAM = 0, 1, 2, 3


class Batch(NamedTuple):
    """``images`` is ``(B, V, crop, crop, 3) uint8`` RGB, ``rows`` the B rows they come from."""

    images: np.ndarray
    rows: np.ndarray


class Draws(NamedTuple):
    """Rows in the order in which they are shown, and what their views depend on.

    ``rows``, ``epochs`` and ``repeats`` are ``(N,) int64``: ``repeats`` is how often
    the epoch had the row before.
    """

    rows: np.ndarray
    epochs: np.ndarray
    repeats: np.ndarray


class Loader:
    """Reads image files and yields them in batches.

    What a view looks like depends on seed, epoch, row, and how often the epoch
    had the row before: never on which thread decodes it or when.
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

    def steps(self, rows: int) -> int:
        """Number of batches that so many rows make; the last one may be short."""
        return -(-rows // self._batch_size)

    def batches(self, rows: np.ndarray, epoch: int = 0, skip: int = 0) -> Iterator[Batch]:
        """Yield batches of an epoch's ``rows`` in order, see load."""
        return self.load(draws_of(rows, epoch), skip)

    def load(self, draws: Draws, skip: int = 0) -> Iterator[Batch]:
        """Yield batches of draws in order, without the first ``skip`` batches.

        Raises DataError for the first image that cannot be decoded.
        """
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="decode")
        waiting: deque[tuple[Batch, list[Future[None]]]] = deque()
        # A row that is drawn again has another view: it counts as a row beyond the last.
        words = draws.rows + draws.repeats * len(self._paths)
        keys = np.stack([draws.rows, draws.epochs, words], axis=1)
        try:
            for step in range(skip, self.steps(len(keys))):
                start = step * self._batch_size
                waiting.append(self._begin(pool, keys[start : start + self._batch_size]))
                if len(waiting) > PREFETCH:
                    yield _finish(*waiting.popleft())
            while waiting:
                yield _finish(*waiting.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _begin(
        self, pool: ThreadPoolExecutor, keys: np.ndarray
    ) -> tuple[Batch, list[Future[None]]]:
        """Allocate a batch and let the threads fill it, a share of consecutive images each.

        ``keys`` are ``(B, 3)``: the row, its epoch, and what stands for the row in its seed.
        """
        crop = self._transform.crop
        images = np.empty((len(keys), self._transform.views, crop, crop, 3), np.uint8)
        shares = np.array_split(np.arange(len(keys)), min(self._workers, len(keys)))
        futures = [pool.submit(self._fill, images, keys, share) for share in shares]
        return Batch(images, keys[:, 0]), futures

    def _fill(self, images: np.ndarray, keys: np.ndarray, share: np.ndarray) -> None:
        for position in share:
            row, epoch, key = (int(word) for word in keys[position])
            image = read_image(self._paths[row], self._transform.decode_short)
            rng = np.random.default_rng((self._seed, epoch, key, VIEW_STREAM))
            self._transform(image, rng, images[position])


def draws_of(rows: np.ndarray, epoch: int) -> Draws:
    """All rows of an epoch, in their order."""
    return Draws(rows, np.full(len(rows), epoch), _earlier_draws(rows))


def _earlier_draws(rows: np.ndarray) -> np.ndarray:
    """How often each entry occurs before its place, ``(N,) int64``."""
    order = np.argsort(rows, kind="stable")
    _, starts, counts = np.unique(rows[order], return_index=True, return_counts=True)
    draws = np.empty(len(rows), np.int64)
    draws[order] = np.arange(len(rows)) - np.repeat(starts, counts)
    return draws


def shuffled_rows(rows: int, seed: int, epoch: int) -> np.ndarray:
    """The order of an epoch's rows, ``(rows,) int64``, a function of seed and epoch alone."""
    return np.random.default_rng((seed, epoch, 0, SHUFFLE_STREAM)).permutation(rows)


def _finish(batch: Batch, futures: Sequence[Future[None]]) -> Batch:
    """The batch once every thread has filled its share; their errors are raised here."""
    for future in futures:
        future.result()
    return batch
