"""Computes single images in batches: those that arrive within a few milliseconds, together."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple, Optional

import numpy as np

from fashionai.engines.protocol import Engine
from fashionai.errors import TrainingError

# The first image of a batch waits so long for others.
SECONDS_TO_WAIT = 0.004


class _Item(NamedTuple):
    views: np.ndarray
    result: Future[np.ndarray]


class Batcher:
    """Computes the views of images in a thread of its own, which alone uses the engine.

    Args:
        open_engine: Opens the engine, in that thread.
        batch_size: The most images per batch.
        on_batch: Called with the number of images of each batch.
        more_to_come: Whether images are being decoded, for which a batch waits.
    """

    def __init__(
        self,
        open_engine: Callable[[], Engine],
        batch_size: int,
        on_batch: Callable[[int], None] = lambda images: None,
        more_to_come: Callable[[], bool] = lambda: True,
    ) -> None:
        """Open the engine, and raise its errors."""
        self._items: queue.SimpleQueue[Optional[_Item]] = queue.SimpleQueue()
        self._batch_size, self._on_batch = batch_size, on_batch
        self._more_to_come = more_to_come
        opened: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(open_engine, opened), name="engine", daemon=True
        )
        self._thread.start()
        opened.result()

    def begin(self, views: np.ndarray) -> Future[np.ndarray]:
        """Start to compute an image's views ``(V, crop, crop, 3) uint8``.

        Returns the mean of their probabilities, ``(C,) float64``; TrainingError where one of them
        is not a number. A result that is cancelled before its batch begins is not computed.
        """
        item = _Item(views, Future())
        self._items.put(item)
        return item.result

    def close(self) -> None:
        """Compute what has begun, and end the thread."""
        self._items.put(None)
        self._thread.join()

    def _run(self, open_engine: Callable[[], Engine], opened: Future[None]) -> None:
        try:
            engine = open_engine()
        except BaseException as error:  # also KeyboardInterrupt: the constructor raises it
            opened.set_exception(error)
            return
        opened.set_result(None)
        ended = False
        while not ended:
            batch, ended = self._next_batch()
            wanted = [item for item in batch if item.result.set_running_or_notify_cancel()]
            if wanted:
                self._on_batch(len(wanted))
                self._compute(engine, wanted)

    def _next_batch(self) -> tuple[list[_Item], bool]:
        """The items that arrive shortly after the first; whether the last has arrived."""
        first = self._items.get()
        if first is None:
            return [], True
        items, end = [first], time.monotonic() + SECONDS_TO_WAIT
        while len(items) < self._batch_size:
            seconds = max(0.0, end - time.monotonic()) if self._more_to_come() else 0.0
            try:
                item = self._items.get(timeout=seconds)
            except queue.Empty:
                break
            if item is None:
                return items, True
            items.append(item)
        return items, False

    def _compute(self, engine: Engine, items: list[_Item]) -> None:
        """Compute a batch; an error is that of each of its images."""
        try:
            images = np.stack([item.views for item in items])
            outputs = engine.begin(images.reshape(-1, *images.shape[2:]))()
            means = outputs.reshape(*images.shape[:2], -1).mean(axis=1)
            if not np.isfinite(means).all():
                raise TrainingError("the network gives a probability that is not a number")
        except Exception as error:
            for item in items:
                item.result.set_exception(error)
            return
        for item, probabilities in zip(items, means):
            item.result.set_result(probabilities)
