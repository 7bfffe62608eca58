"""Training with this project: the training loop, steps on one constant batch, or whole epochs."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from measuring.worker import FACTS, Settings, serve

from fashionai.config import Config
from fashionai.frameworks.choice import contexts
from fashionai.runs import RunFolder
from fashionai.runtime import compute_threads
from fashionai.training.interrupt import StopRequest
from fashionai.training.trainer import Trainer


def set_up(settings: Settings) -> Callable[[], float]:
    """Measure images per second over an epoch of what the setting ``measure`` names.

    loop: the steps of the training loop; step: the same number of steps on one constant batch;
    whole: the steps, validation and the files of the run.
    """
    config = Config.model_validate(settings["config"])
    FACTS["threads"] = compute_threads()
    measures = {"loop": loop, "step": steps_on_one_batch, "whole": whole}
    measure = measures[settings["measure"]](config)
    measure()
    return measure


def open_trainer(config: Config) -> Trainer:
    """A trainer on the CPU with the engine of the configuration."""
    return Trainer(config, contexts("cpu", engine=config.engine))


def loop(config: Config) -> Callable[[], float]:
    """The part of Trainer.fit between two validations; each call trains one epoch."""
    trainer = open_trainer(config)
    learner, epochs = trainer.learner, itertools.count()
    plan = learner.batch_plan

    def measure() -> float:
        epoch = next(epochs)
        trainer.progress.begin_epoch(epoch)
        begun = time.perf_counter()
        trainer._train_epoch(StopRequest())
        learner.wait()
        return plan.steps(epoch) * plan.batch_size / (time.perf_counter() - begun)

    return measure


def steps_on_one_batch(config: Config) -> Callable[[], float]:
    """Forward pass, backward pass and update alone; waits for their results at the end."""
    learner, optimizer = open_trainer(config).learner, config.optimizer
    batch, epochs = next(learner.batches(0)), itertools.count()

    def measure() -> float:
        epoch = next(epochs)
        steps = learner.batch_plan.steps(epoch)
        begun = time.perf_counter()
        for step in range(steps):
            learner.step(batch, epoch, step, optimizer.lr, optimizer.momentum)
        learner.wait()
        return steps * len(batch.rows) / (time.perf_counter() - begun)

    return measure


def whole(config: Config) -> Callable[[], float]:
    """Everything that Trainer.fit does in an epoch: steps, validation and the files of the run."""
    trainer = open_trainer(config)
    plan, epochs = trainer.learner.batch_plan, itertools.count()
    folder = tempfile.TemporaryDirectory()
    trainer.run = RunFolder(Path(folder.name))

    def measure(folder: object = folder) -> float:
        epoch, stop = next(epochs), StopRequest()
        trainer.progress.begin_epoch(epoch)
        begun = time.perf_counter()
        trainer._train_epoch(stop)
        trainer._finish_epoch(trainer._validate(stop))
        return plan.steps(epoch) * plan.batch_size / (time.perf_counter() - begun)

    return measure


if __name__ == "__main__":
    serve(set_up, "mxnet", "torch", "numpy", "opencv-python", "opencv-python-headless")
