"""Training with this project: its own loop, or steps on one batch that stays."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from worker import FACTS, Settings, serve

from fashionai.config import Config
from fashionai.runs import RunFolder
from fashionai.runtime import compute_threads, contexts, import_mxnet
from fashionai.training.interrupt import StopRequest
from fashionai.training.trainer import Trainer

mx = import_mxnet()
Epoch = Callable[[int], None]


def set_up(settings: Settings) -> Callable[[], float]:
    """Images a second over an epoch, by what ``measure`` asks for.

    epoch: the steps of the training loop; step: as many on one batch; whole: the steps,
    validation and the files of the run.
    """
    config = Config.model_validate(settings["config"])
    trainer = Trainer(config, contexts("cpu"))
    FACTS["threads"] = compute_threads()
    order, epochs = trainer.learner.order, iter(range(1_000_000))
    ways = {"epoch": _steps, "step": _steps_on_one_batch, "whole": _steps_and_the_rest}
    run = ways[settings["measure"]](trainer)
    folder = tempfile.TemporaryDirectory()
    trainer.run = RunFolder(Path(folder.name))

    def measure(folder: object = folder) -> float:
        epoch = next(epochs)
        trainer.progress.begin_epoch(epoch)
        begun = time.perf_counter()
        run(epoch)
        mx.nd.waitall()
        return order.steps(epoch) * order.batch_size / (time.perf_counter() - begun)

    measure()
    return measure


# What Trainer.fit does in an epoch, one a call: between them the other side measures.


def _steps(trainer: Trainer) -> Epoch:
    return lambda epoch: trainer._train_epoch(StopRequest())


def _steps_and_the_rest(trainer: Trainer) -> Epoch:
    def run(epoch: int) -> None:
        stop = StopRequest()
        trainer._train_epoch(stop)
        trainer._finish_epoch(trainer._validate(stop))

    return run


def _steps_on_one_batch(trainer: Trainer) -> Epoch:
    learner, optimizer = trainer.learner, trainer.config.optimizer
    batch = next(learner.batches(0))

    def run(epoch: int) -> None:
        for step in range(learner.order.steps(epoch)):
            learner.step(batch, epoch, step, optimizer.lr, optimizer.momentum)

    return run


if __name__ == "__main__":
    serve(set_up, "mxnet", "numpy", "opencv-python", "opencv-python-headless")
