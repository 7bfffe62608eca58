"""Networks of this project: steps of training and forward passes."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from measuring.cases import Case, serve_cases
from measuring.worker import Settings

from fashionai.config import Config
from fashionai.engines.opening import open_engine
from fashionai.frameworks.choice import contexts
from fashionai.runs import Run
from fashionai.training.trainer import Trainer


def build(case: Settings) -> Case:
    """Compute batches of pixels in memory, as ``measure`` says: step or forward."""
    return training(case) if case["measure"] == "step" else prediction(case)


def training(case: Settings) -> Case:
    """Steps on one constant batch, with the engine that the configuration names."""
    config = Config.model_validate(case["config"])
    learner = Trainer(config, contexts("cpu", engine=config.engine)).learner
    batch, steps = next(learner.batches(0)), itertools.count()
    rates = config.optimizer.lr, config.optimizer.momentum
    return Case(lambda: learner.step(batch, 0, next(steps), *rates), learner.wait)


def prediction(case: Settings) -> Case:
    """Probabilities of random pixels."""
    engine = open_engine(Run.open(Path(case["run"])), contexts("cpu"), case["engine"])
    shape = (case["batch_size"], case["crop"], case["crop"], 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return Case(lambda: engine.begin(pixels)())


if __name__ == "__main__":
    serve_cases(build, "mxnet", "torch", "numpy", "onnxruntime")
