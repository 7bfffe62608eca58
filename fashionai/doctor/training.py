"""Checks that train: three steps for time and memory, and whether one batch can be learnt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fashionai.config import Config
from fashionai.datasets.prepared.samples import Samples
from fashionai.doctor.data import Splits
from fashionai.doctor.findings import ERROR, OK, WARNING, Finding, of_error
from fashionai.errors import FashionAIError, TrainingError, counted
from fashionai.training.learners.learner import Learner
from fashionai.training.learners.opening import open_learner
from fashionai.training.speed.estimate import (
    FORWARD_SHARE,
    MEASURED_BATCH,
    SAFE_LR,
    Speed,
    config_of_last_phase,
    estimate_lines,
    training_seconds,
)
from fashionai.training.speed.step_speed import measure_epochs

# The check of one batch: its steps, of which the first ones warm up, and the share of the first
# loss below which the loss has to fall.
OVERFIT_STEPS, WARMUP_STEPS, LOSS_SHARE = 50, 10, 0.5
# A loss that ends above the first one by this factor has diverged.
DIVERGED = 1.5
# The loss of a step alone may be low by chance.
SMOOTHED = 3


class Measured(NamedTuple):
    """The finding of the steps, and the bytes of the network's parameters; 0 where it failed."""

    finding: Finding
    parameter_bytes: int


def check_steps(
    config: Config, splits: Splits, contexts: Sequence[Any], has_weights: bool
) -> Measured:
    """Estimate time and memory from three steps of the training as it is configured.

    Of several phases and sizes of images, they are those of the last ones, which take most.
    Without weights at hand, the network begins with random ones.
    """
    try:
        # Weights that diverge would say nothing about the time.
        measured = config_of_last_phase(config).changed({"optimizer.lr": SAFE_LR})
        learner = _open(measured, splits.train, contexts, has_weights)
        seconds = 1 / measure_epochs(learner)
    except FashionAIError as error:
        return Measured(of_error("steps", error), 0)
    memory = learner.memory_gigabytes()
    images = len(splits.train.paths), len(splits.val.paths)
    seconds = _seconds_per_image(config, measured, seconds, *images)
    (line, *_) = estimate_lines(learner.config, seconds, *images, 0, contexts, memory)
    size = sum(value.nbytes for value in learner.parameters().values())
    return Measured(Finding("steps", OK, line), size)


def _seconds_per_image(
    config: Config, measured: Config, seconds: float, train_images: int, val_images: int
) -> float:
    """The mean over all epochs, where features are computed only once, from that of a step."""
    # The steps of frozen layers are forward passes.
    forward = seconds if measured.trainable == "head" else seconds * FORWARD_SHARE
    speed = Speed(seconds, forward)
    total = training_seconds(config, speed, train_images, val_images, config.epochs)
    return total / (config.epochs * (train_images + FORWARD_SHARE * val_images))


def _open(config: Config, train: Samples, contexts: Sequence[Any], has_weights: bool) -> Learner:
    return open_learner(config, train, contexts, resuming=not has_weights, pixels_only=True).learner


def check_overfit(
    config: Config, splits: Splits, contexts: Sequence[Any], has_weights: bool, config_name: str
) -> Finding:
    """Whether the loss of one batch falls below half of its first value within 50 steps.

    A network, its labels and its optimizer that work learn a few images by heart (Karpathy 2019,
    "A Recipe for Training Neural Networks"). A loss that rises or is not finite shows a learning
    rate that is too high, before hours are spent on it.
    """
    mend = f"fashionai find-lr --config {config_name}"
    try:
        losses = overfit(_of_one_batch(config, len(contexts)), splits.train, contexts, has_weights)
    except TrainingError as error:
        return of_error("one batch", error, mend)
    except FashionAIError as error:
        return of_error("one batch", error)
    first, last, bound = losses[0], _last(losses), LOSS_SHARE * losses[0]
    rate = f"optimizer.lr={config.optimizer.lr:g}"
    found = f"loss {first:.3g} to {last:.3g} in {counted(len(losses), 'step')} with {rate}"
    if not math.isfinite(last) or last > DIVERGED * first:
        return Finding("one batch", ERROR, f"{found}: it diverges", mend)
    if last >= bound:
        reason = f"{found}, expected below {bound:.3g}: the learning rate does not suit"
        return Finding("one batch", WARNING, reason, mend)
    return Finding("one batch", OK, found)


def _of_one_batch(config: Config, devices: int) -> Config:
    """The configuration for one small batch without what makes its loss harder to lower."""
    return config_of_last_phase(config).changed(
        {
            "epochs": 1,
            "accumulate": 1,
            "batch_size": min(config.batch_size, max(1, MEASURED_BATCH // devices)),
            "ema": None,
            "compile": False,
            "evaluate_test": "never",
            "loss.mixup": 0,
            "loss.cutmix": 0,
            "loss.label_smoothing": 0,
        }
    )


def overfit(
    config: Config, train: Samples, contexts: Sequence[Any], has_weights: bool
) -> list[float]:
    """The losses of steps on one batch, until they are low for three steps or not finite."""
    learner = _open(config, train, contexts, has_weights)
    batch = next(iter(learner.batches(0)))
    losses: list[float] = []
    with learner.clear_errors():
        for step in range(OVERFIT_STEPS):
            lr = config.optimizer.lr * min(1.0, (step + 1) / WARMUP_STEPS)
            result = learner.step(batch, 0, step, lr, config.optimizer.momentum)
            losses.append(result.read()[0] / result.images)
            if not math.isfinite(losses[-1]) or _last(losses) < LOSS_SHARE * losses[0]:
                break
        learner.wait()
    return losses


def _last(losses: Sequence[float]) -> float:
    """The mean of the last losses; the last one where it is not finite."""
    if not math.isfinite(losses[-1]):
        return losses[-1]
    return float(np.mean(losses[-SMOOTHED:]))
