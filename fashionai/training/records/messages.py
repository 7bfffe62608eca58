"""What a training logs, and the hints in its errors."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import shlex
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np

from fashionai.config import LAST, Config, reported_score
from fashionai.config.phases import Phase
from fashionai.datasets.prepared.samples import Samples
from fashionai.datasets.prepared.shared_images import SHARED, count_shared
from fashionai.errors import counted
from fashionai.frameworks.driver import compute_capabilities
from fashionai.metrics import YES, advice_on_classes, advice_on_validation
from fashionai.runs import RunFolder
from fashionai.training.batches.plan import BatchPlan
from fashionai.training.records.history import (
    EPOCH_HEADER,
    FEW_IMAGES,
    PREDICTED_CLASSES,
    EpochRow,
    best_file,
    choose_best,
    epoch_lines,
    just_collapsed,
    score_name,
    stopped_early,
)
from fashionai.weights.licences import SOURCE_LINE, licence_lines
from fashionai.weights.store import StartingWeights

log = logging.getLogger(__name__)

# The width of a log line.
COLUMNS = 80

# The GPUs of all processes that fashionai train has started itself, as its option has them.
GPUS_OF_PROCESSES = "FASHIONAI_GPUS_OF_PROCESSES"

LEARNING = {
    "head": "the output layer learns",
    "last-stage": "the last stage learns too",
    "all": "all layers learn",
}

MIXED_APART = "%s: each of %d devices mixes its own images, one device would mix the whole batch"

COLLAPSED = (
    "epoch %d: the network has collapsed: all validation images get the same class",
    "optimizer.lr may be too high or the classes imbalanced",
)
USELESS = "all validation images get the same class: these weights have learnt too little"


def log_data(config: Config, train: Samples, val: Samples) -> None:
    """Log the number of classes and images of every task, and advice on few images.

    A fold of a cross-validation needs no advice on its validation images.
    """
    for head, task in enumerate(val.tasks):
        log.info(
            "%s: %s, %s, %s",
            task.name,
            counted(len(task.classes), "class"),
            counted(len(train.of_task(head)), "training image"),
            counted(len(val.of_task(head)), "validation image"),
        )
        counts = (train.marks_of(head) == YES).sum(axis=0)
        for advice in advice_on_classes(task.classes, counts.tolist()):
            _log_wrapped(advice)
    if len(val.tasks) > 1:
        with contextlib.suppress(OSError):  # an image that is missing is named when it is read
            count = count_shared(train, val)
            if count:
                _log_wrapped(SHARED % ("validation", count, counted(len(val.paths), "image")))
    if config.data.fold is None:
        fewest = min(len(val.of_task(head)) for head in range(len(val.tasks)))
        _log_wrapped(advice_on_validation(fewest))


def _log_wrapped(text: str) -> None:
    for line in textwrap.wrap(text, COLUMNS):
        log.info("%s", line)


def log_settings(
    config: Config, run: RunFolder, plan: BatchPlan, weights: Optional[StartingWeights]
) -> None:
    """Log the network, the steps per epoch, the run, and what of the settings is unusual.

    ``weights`` are the weights that the training starts from; None when it is resumed.
    """
    fewest, most = math.floor(plan.steps_per_epoch), math.ceil(plan.steps_per_epoch)
    steps = counted(most, "step") if fewest == most else f"{fewest:,} or {counted(most, 'step')}"
    network = config.model.name + (" on PyTorch" if config.engine == "torch" else "")
    log.info("%s, %s per epoch -> %s", network, steps, run)
    if weights is not None and weights.file is not None:
        log.info("%s%s", SOURCE_LINE, weights.source)
        for line in licence_lines(weights.licence):
            log.info("%s", line)
        expected = [list(weights.mean), list(weights.std)]
        if [list(values) for values in config.data.normalization] != expected:
            log.info("data.mean and data.std differ from those that the weights were trained with")
    if config.data.sizes:
        first = {config.training_side(epoch): epoch for epoch in reversed(range(config.epochs))}
        begins = sorted((epoch + 1, side) for side, epoch in first.items())
        sides = ", ".join(f"{side} from epoch {epoch} on" for epoch, side in begins)
        log.info("side of the training images in pixels: %s", sides)
    if plan.is_reduced:
        log.info("a batch has %s: there are no more", counted(plan.batch_size, "image"))
    mixing = [f"loss.{name}" for name in ("mixup", "cutmix") if getattr(config.loss, name)]
    if mixing and plan.devices > 1:
        _log_wrapped(MIXED_APART % (" and ".join(mixing), plan.devices))
    if config.schedule.warmup_epochs > config.epochs:
        log.info("schedule.warmup_epochs exceeds epochs: the rate never reaches optimizer.lr")


def log_phase(phase: Phase) -> None:
    """Log which layers learn from now on."""
    log.info("from epoch %d on, %s", phase.first + 1, LEARNING[phase.trainable])


def log_epoch(row: EpochRow, epochs: int, header: bool) -> None:
    """Log the scores of an epoch as lines of a table; ``header`` asks for its heading above."""
    if header:
        log.info("%s", EPOCH_HEADER)
    for line in epoch_lines(row, epochs):
        log.info("%s", line)


def log_collapse(history: Sequence[EpochRow], epochs: int, val: Samples) -> None:
    """If the network has just begun to predict one class alone, log this and what may cause it.

    Nothing is logged where the validation images of a task are all of one class.
    """
    if not _has_one_class(val) and just_collapsed(history, epochs, _fewest_images(val)):
        problem, advice = COLLAPSED
        log.info(problem, history[-1]["epoch"])
        log.info("%s", advice)


def _fewest_images(val: Samples) -> int:
    """The number of validation images of the task with the fewest."""
    return min(len(val.of_task(head)) for head in range(len(val.tasks)))


def _has_one_class(val: Samples) -> bool:
    """Whether the validation images of a task are all of one class."""
    heads = range(len(val.tasks))
    return any(np.count_nonzero((val.marks_of(head) == YES).any(axis=0)) == 1 for head in heads)


def log_test(epoch: float, scores: Mapping[str, float]) -> None:
    """Log the scores of the best epoch's weights on the test split."""
    log.info(
        "test split, weights of epoch %d: accuracy %.4f, mAP %.4f",
        epoch,
        scores["accuracy"],
        scores["map"],
    )


def log_end(config: Config, history: Sequence[EpochRow], run: RunFolder, val: Samples) -> None:
    """Log why the run has ended, its best epoch, and the file with the best weights.

    Also whether these give all validation images ``val`` one class though they have several.
    """
    if stopped_early(config, history):
        log.info("stopped early: %s has not improved", score_name(config.monitor))
    best = choose_best(history, config.monitor)
    score = score_name(reported_score(config.monitor))
    log.info(
        "finished: %s epoch %d, validation %s %.4f; %s",
        "last" if config.monitor == LAST else "best",
        best.row["epoch"],
        score,
        best.score,
        best_file(run, best.kind),
    )
    has_collapsed = best.row.get(f"{best.kind}_{PREDICTED_CLASSES}") == 1
    # A few images often get the same class by chance.
    if has_collapsed and _fewest_images(val) >= FEW_IMAGES and not _has_one_class(val):
        log.info("%s", USELESS)


def divergence_hint(config: Config) -> str:
    """What to change when the loss is not finite."""
    choices = [f"a smaller optimizer.lr than {config.optimizer.lr:g}"]
    if config.precision == "float16":
        choices.append("precision=float32")
    return f"Try {', '.join(choices)}, or schedule.warmup_epochs=1"


def resume_command(run: RunFolder, contexts: Sequence[Any], processes: int = 1) -> str:
    """The command that resumes a run on the same devices, by as many processes.

    ``contexts`` are the devices of this process. Of processes that torchrun or SLURM has started,
    none knows how: those of other machines and their GPUs are chosen there.
    """
    command = f"fashionai train --run {shlex.quote(str(run))} --resume"
    if processes == 1:
        return command + device_options(contexts)
    gpus = os.environ.get(GPUS_OF_PROCESSES)
    if gpus:
        return f"{command} --gpus {gpus}"
    return f"the command that started all {processes} processes, with --resume"


def device_options(contexts: Sequence[Any]) -> str:
    """The options that choose these devices again; none for the CPU of a machine without GPUs."""
    gpus = [str(each.device_id) for each in contexts if each.device_type == "gpu"]
    if gpus:
        return f" --gpus {','.join(gpus)}"
    return " --device cpu" if compute_capabilities() else ""
