"""The model behind the server: images in, classes out, by decoders and an engine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Optional

import numpy as np

from fashionai.engines.choice import MIN_VIEWS_TO_MEASURE, open_chosen
from fashionai.engines.protocol import Engine
from fashionai.predictions.classify import rank_classes, ranked_json
from fashionai.predictions.scaling import Calibration
from fashionai.runs import Run
from fashionai.runtime import usable_cores
from fashionai.serving.batching import Batcher
from fashionai.serving.decoding import Decoders, ImageError, Wanted
from fashionai.serving.limits import Limits
from fashionai.serving.metrics import Metrics
from fashionai.tasks import Task


class Settings(NamedTuple):
    """How a run predicts: see fashionai.predictions.predict.predict.

    With a ``calibration`` the probabilities are scaled.
    """

    contexts: Sequence[Any]
    crops: int
    batch_size: int
    engine: str
    calibration: Optional[Calibration] = None


class Service:
    """A run that predicts, as long as the server runs.

    Args:
        run: The run.
        settings: Crops, batch size, engine and devices.
        limits: What is accepted.

    Raises errors of open_engine.
    """

    def __init__(self, run: Run, settings: Settings, limits: Limits) -> None:
        self.run, self.settings, self.limits = run, settings, limits
        self.metrics = Metrics()
        self.engine = settings.engine
        # Set when the server is asked to end: new images are refused.
        self.stopping = False
        self.waiting = self.waiting_bytes = 0
        self._decoding = 0
        self._batcher = Batcher(
            self._open,
            settings.batch_size,
            self.metrics.batches.observe,
            lambda: self._decoding > 0,
        )
        processes = usable_cores()
        # An image that takes too long is told so, and not the whole request.
        wanted = Wanted(run.config.data, settings.crops, limits.pixels, limits.seconds / 2)
        self.decoders = Decoders(wanted, processes)
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="decode")

    def _open(self) -> Engine:
        # A server computes many views: measuring which engine is fastest pays.
        self.engine, engine = open_chosen(
            self.run, self.settings.contexts, self.settings.engine, MIN_VIEWS_TO_MEASURE
        )
        return engine

    async def classify(self, image: bytes, top: Optional[int]) -> dict[str, Any]:
        """The ``top`` most probable classes of each task with their probabilities.

        With None it is all classes. Raises ImageError for an image that cannot be used.
        """
        loop = asyncio.get_running_loop()
        self._decoding += 1
        try:
            views = await loop.run_in_executor(self._threads, self.decoders.views, image)
        finally:
            # Before this image is in a batch, which would wait for it as well.
            self._decoding -= 1
        outputs = await asyncio.wrap_future(self._batcher.begin(views))
        return {
            task.name: ranked_json(rank_classes(task, self._scaled(task, probabilities), top))
            for task, probabilities in zip(
                self.run.tasks, (outputs[columns] for columns in self.run.columns)
            )
        }

    def _scaled(self, task: Task, probabilities: np.ndarray) -> np.ndarray:
        """The probabilities ``(C,)`` of one image, calibrated where that was asked for."""
        if self.settings.calibration is None:
            return probabilities
        (scaled,) = self.settings.calibration.of(task).apply(probabilities[None])
        return np.asarray(scaled)

    async def answers(
        self, images: Sequence[tuple[str, bytes]], top: Optional[int]
    ) -> list[dict[str, Any]]:
        """The answer to each named image: its classes, or an error with its status code."""
        self.waiting += len(images)
        self.metrics.waiting.set(self.waiting)
        try:
            return list(await asyncio.gather(*(self._answer(*image, top) for image in images)))
        finally:
            self.waiting -= len(images)
            self.metrics.waiting.set(self.waiting)

    async def _answer(self, name: str, image: bytes, top: Optional[int]) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = {"image": name, "tasks": await self.classify(image, top)}
        except ImageError as error:
            self.metrics.images.labels(error.status).inc()
            return {"image": name, "error": {"status": error.status, "detail": error.reason}}
        self.metrics.images.labels(200).inc()
        return answer

    @contextlib.contextmanager
    def holding(self, length: int) -> Iterator[None]:
        """Count so many bytes of a request's body as waiting while in this context."""
        self.waiting_bytes += length
        try:
            yield
        finally:
            self.waiting_bytes -= length

    def description(self) -> dict[str, Any]:
        """What the model is, and what the server accepts."""
        return {
            "network": self.run.config.model.name,
            "engine": self.engine,
            "crops": self.settings.crops,
            "calibrated": self.settings.calibration is not None,
            "tasks": {task.name: list(task.classes) for task in self.run.tasks},
            "limits": self.limits._asdict(),
        }

    def stop(self) -> None:
        """Refuse new images from now on."""
        self.stopping = True

    def close(self) -> None:
        """Compute what has begun, and end the decoders and the engine."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self.decoders.close()
        self._batcher.close()
