"""The one training loop: epochs of steps, validation, checkpoints.

Everything random is a function of (seed, epoch, row) or (seed, epoch, step), so
that a run that was stopped anywhere and resumed ends with the same bits.
"""

from __future__ import annotations

import fcntl
import logging
import math
import shlex
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Optional, TextIO

import numpy as np

from fashionai.config import Config, save_config
from fashionai.datasets.folders import MANIFEST, read_split
from fashionai.errors import FashionAIError, RunError, RunStoppedError, TrainingError
from fashionai.files import atomic_path, content_hash, write_json
from fashionai.metrics import task_scores
from fashionai.models.forward import Forward
from fashionai.models.zoo import build_network, first_line
from fashionai.pipeline.augment import EvaluationTransform, TrainingTransform
from fashionai.pipeline.loader import SHUFFLE_STREAM, STEP_STREAM, Batch, Loader
from fashionai.runs import RunFolder
from fashionai.runtime import import_mxnet
from fashionai.tasks import find_task, task_to_json
from fashionai.training import estimate
from fashionai.training.checkpoint import Progress, load_state, save_state, set_update_count
from fashionai.training.clock import EpochClock
from fashionai.training.history import (
    EPOCH_HEADER,
    SCORE_NAMES,
    best_row,
    epoch_line,
    write_history,
)
from fashionai.training.interrupt import StopRequest
from fashionai.training.schedules import learning_rate

mx = import_mxnet()
log = logging.getLogger(__name__)

# Results of a step are read this many steps later, so that devices never wait for Python.
READ_BEHIND = 2
# Batch normalisation of a single image has no variance to divide by.
SMALLEST_BATCH = 2
# A crash in a long epoch loses no more than this.
SECONDS_BETWEEN_SAVES = 600.0


class StepResult(NamedTuple):
    """A step's sums that are still being computed: (loss, correct) of each device."""

    step: int
    rows: int
    sums: list[Any]


class Trainer:
    """One training: its data, network, optimizer and progress.

    Making it reads the data and builds the network, and so refuses what cannot
    be trained before there is a run: DataError, ConfigError, WeightsError or
    TrainingError.
    """

    run: RunFolder

    def __init__(
        self, config: Config, contexts: list[Any], resume_from: Optional[RunFolder] = None
    ) -> None:
        """``resume_from`` is the run that fit will go on with: it needs no pretrained weights."""
        self.config = config
        folder = Path(config.data.folder) / find_task(config.task).name
        self.train_split, self.val_split = read_split(folder, "train"), read_split(folder, "val")
        self.task = self.train_split.task
        self._labels = self.train_split.class_indices.astype(np.float32)
        self.batch_size = config.batch_size * len(contexts)
        self._smallest_batch = max(SMALLEST_BATCH, len(contexts))
        if len(self.train_split.paths) < self._smallest_batch:
            raise TrainingError(
                f"{len(self.train_split.paths)} training images are too few, "
                f"expected at least {self._smallest_batch}"
            )

        mx.random.seed(config.seed)
        resuming = resume_from is not None and resume_from.states_file.is_file()
        self.network = build_network(
            config.model.name,
            len(self.task.classes),
            config.data.crop,
            False if resuming else config.model.pretrained,
        )
        self.network.collect_params().reset_ctx(contexts)
        self.forward = Forward(self.network, config.data.mean, config.data.std, contexts)
        self.loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()
        self.optimizer = mx.gluon.Trainer(
            self.network.collect_params(),
            config.optimizer.name,
            optimizer_arguments(config),
            kvstore="device",
            # With the update on each device its state can be read and saved.
            update_on_kvstore=False,
        )
        self.progress = Progress(basis=self._basis(folder))
        self.clock = EpochClock(self._log_estimate)
        self._log_header = True

    def _basis(self, folder: Path) -> dict[str, str]:
        """What a step means: a resumed run has to stand on the same data and devices."""
        contexts = self.forward.contexts
        return {
            "devices": f"{len(contexts)} {contexts[0].device_type}",
            "data": content_hash((folder / MANIFEST).read_bytes()),
        }

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of an epoch; a last batch too small to normalise is left out."""
        full, rest = divmod(len(self.train_split.paths), self.batch_size)
        return full + (rest >= self._smallest_batch)

    def fit(self, run: RunFolder) -> dict[str, Any]:
        """Train all epochs that are left and return the run's metrics (see metrics.json).

        Writes everything that a run holds, after every epoch, and goes on from
        the run's state where there is one. Raises TrainingError when the loss is
        not finite and RunStoppedError, with the state saved, when the user stops it.
        """
        self.run = run
        save_config(self.config, run.config_file)
        write_json(run.classes_file, task_to_json(self.task))
        file_log = logging.FileHandler(run.log_file, encoding="utf-8")
        file_log.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        log.setLevel(logging.INFO)
        log.addHandler(file_log)
        try:
            assert file_log.stream is not None
            lock(file_log.stream, run)
            self._train()
        except FashionAIError as error:
            # For the file alone: whoever called tells the person.
            file_log.handle(log.makeRecord(log.name, logging.ERROR, "", 0, str(error), (), None))
            raise
        finally:
            log.removeHandler(file_log)
            file_log.close()
        return run.read_metrics()

    def _train(self) -> None:
        self._restore()
        self._log_beginning()
        try:
            with StopRequest() as stop:
                while self.progress.epoch < self.config.epochs:
                    self._train_epoch(stop)
                    row = self._validate(stop)
                    self._finish_epoch(row)
        except mx.base.MXNetError as error:
            raise TrainingError(
                f"MXNet stopped: {first_line(error)}", "A smaller batch_size needs less memory"
            ) from error
        best = best_row(self.progress.history, self.config.monitor)
        assert best is not None
        log.info(
            "finished: best epoch %d, validation %s %.4f; %s",
            *(best["epoch"], SCORE_NAMES[self.config.monitor], best[f"val_{self.config.monitor}"]),
            self.run.best_parameters,
        )

    def _restore(self) -> None:
        """Go on from the saved state, and mend files that a kill left behind it."""
        for abandoned in self.run.path.glob(".*.tmp"):
            abandoned.unlink()
        if not self.run.states_file.is_file():
            if self.run.history_file.is_file():
                raise RunError(
                    f"{self.run}: {self.run.states_file.name} is missing, it cannot go on",
                    "Start anew with --overwrite or another --run",
                )
            return
        basis = self.progress.basis
        self.progress = load_state(self.run.states_file, self.network, self.optimizer, basis)
        steps = self.progress.epoch * self.steps_per_epoch + self.progress.step
        set_update_count(self.optimizer, steps)
        if self.progress.history:
            self._write_results()
        log.info("resuming in epoch %d, step %d", self.progress.epoch + 1, self.progress.step)

    def _train_epoch(self, stop: StopRequest) -> None:
        """One pass over the training images, from where the progress stands."""
        progress = self.progress
        waiting: deque[StepResult] = deque()
        saved = time.monotonic()
        self.clock.start(
            f"epoch {progress.epoch + 1}/{self.config.epochs}", self.steps_per_epoch, progress.step
        )
        for step, batch in enumerate(self._training_batches(), start=progress.step):
            waiting.append(self._step(step, batch))
            if len(waiting) > READ_BEHIND:
                self._read(waiting.popleft())
            self.clock.tick(len(batch.rows))
            if stop.requested:
                break
            if time.monotonic() - saved > SECONDS_BETWEEN_SAVES:
                self._read_all(waiting)
                save_state(self.run.states_file, self.network, self.optimizer, progress)
                saved = time.monotonic()
        self._read_all(waiting)
        progress.seconds += self.clock.stop()
        if stop.requested:
            self._stop()

    def _training_batches(self) -> Iterator[Batch]:
        """The epoch's batches in its own order, without those already seen."""
        progress, config = self.progress, self.config
        loader = Loader(
            self.train_split.paths,
            TrainingTransform(config.data),
            self.batch_size,
            workers=config.data.workers,
            seed=config.seed,
        )
        rng = np.random.default_rng((config.seed, progress.epoch, 0, SHUFFLE_STREAM))
        order = rng.permutation(len(self.train_split.paths))
        order = order[: self.steps_per_epoch * self.batch_size]
        return loader.batches(order, progress.epoch, skip=progress.step)

    def _step(self, step: int, batch: Batch) -> StepResult:
        """Forward, backward and update on all devices; what it returns is not yet computed."""
        config, epoch = self.config, self.progress.epoch
        self.optimizer.set_learning_rate(
            learning_rate(config, epoch * self.steps_per_epoch + step, self.steps_per_epoch)
        )
        # Dropout draws from MXNet's own generator.
        state = np.random.SeedSequence((config.seed, epoch, step, STEP_STREAM)).generate_state(1)
        mx.random.seed(int(state[0] >> 1))
        pixels = self.forward.split(batch.images[:, 0])
        labels = self.forward.split(self._labels[batch.rows])
        with mx.autograd.record():
            outputs = [self.forward.logits(part) for part in pixels]
            losses = [self.loss(output, label) for output, label in zip(outputs, labels)]
        mx.autograd.backward(losses)
        self.optimizer.step(len(batch.rows))
        sums = [
            mx.nd.stack(loss.sum(), (output.argmax(axis=1) == label).sum())
            for loss, output, label in zip(losses, outputs, labels)
        ]
        return StepResult(step, len(batch.rows), sums)

    def _read(self, result: StepResult) -> None:
        """Add a step's results to the epoch's sums; a loss that is not finite ends the run."""
        parts = [device.asnumpy().astype(np.float64).ravel() for device in result.sums]
        loss_sum, correct = np.sum(parts, axis=0).tolist()
        if not math.isfinite(loss_sum):
            raise TrainingError(
                f"the loss is {loss_sum} at epoch {self.progress.epoch + 1}, "
                f"step {result.step + 1} of {self.steps_per_epoch}",
                f"Try a smaller optimizer.lr than {self.config.optimizer.lr:g}, "
                "or schedule.warmup_epochs=1",
            )
        self.progress.step = result.step + 1
        self.progress.loss_sum += loss_sum
        self.progress.correct += int(correct)
        self.progress.seen += result.rows

    def _read_all(self, waiting: deque[StepResult]) -> None:
        while waiting:
            self._read(waiting.popleft())

    def _validate(self, stop: StopRequest) -> dict[str, float]:
        """Score the validation split and make the epoch's row of the history."""
        average_statistics(self.network)
        data, progress = self.config.data, self.progress
        loader = Loader(
            self.val_split.paths, EvaluationTransform(data), self.batch_size, workers=data.workers
        )

        def batches() -> Iterator[np.ndarray]:
            for batch in loader.batches(np.arange(len(self.val_split.paths))):
                if stop.requested:
                    self._stop()
                yield batch.images

        probabilities = self.forward.probabilities(batches(), self.batch_size)
        scores = task_scores(probabilities, self.val_split.marks)
        last_step = (progress.epoch + 1) * self.steps_per_epoch - 1
        return {
            "epoch": progress.epoch + 1,
            "learning_rate": learning_rate(self.config, last_step, self.steps_per_epoch),
            "train_loss": progress.loss_sum / progress.seen,
            "train_accuracy": progress.correct / progress.seen,
            "val_loss": scores["log_loss"],
            **{f"val_{name}": score for name, score in scores.items() if name != "log_loss"},
            "images_per_second": progress.seen / max(progress.seconds, 1e-9),
            "seconds": progress.seconds,
        }

    def _finish_epoch(self, row: dict[str, float]) -> None:
        """Log the row and save: the best weights first, then the state that knows of them."""
        if self._log_header:
            log.info("%s", EPOCH_HEADER)
            self._log_header = False
        log.info("%s", epoch_line(row, self.config.epochs))
        progress = self.progress
        progress.history.append(row)
        if best_row(progress.history, self.config.monitor) is row:
            self._save_parameters(self.run.best_parameters)
        progress.begin_epoch(progress.epoch + 1)
        save_state(self.run.states_file, self.network, self.optimizer, progress)
        self._write_results()

    def _write_results(self) -> None:
        """Write the files that follow from the state."""
        self._save_parameters(self.run.last_parameters)
        write_history(self.run, self.config, self.task, self.progress.history)

    def _save_parameters(self, path: Path) -> None:
        with atomic_path(path) as temporary:
            self.network.save_parameters(str(temporary))

    def _stop(self) -> None:
        """Save the state in the middle of an epoch and end."""
        save_state(self.run.states_file, self.network, self.optimizer, self.progress)
        raise RunStoppedError(
            f"stopped in epoch {self.progress.epoch + 1} after step {self.progress.step}, "
            "the state is saved",
            f"Resume with: fashionai train --run {shlex.quote(str(self.run))} --resume"
            + self._gpu_option(),
        )

    def _gpu_option(self) -> str:
        gpus = [str(c.device_id) for c in self.forward.contexts if c.device_type == "gpu"]
        return f" --gpus {','.join(gpus)}" if gpus else ""

    def _log_estimate(self, seconds_per_image: float) -> None:
        images = len(self.train_split.paths), len(self.val_split.paths)
        for line in estimate.describe(
            self.config, seconds_per_image, *images, self.progress.epoch, self.forward.contexts
        ):
            log.info("%s", line)

    def _log_beginning(self) -> None:
        log.info(
            "%s: %d classes, %s training and %s validation images",
            *(self.task.name, len(self.task.classes)),
            *(f"{len(split.paths):,}" for split in (self.train_split, self.val_split)),
        )
        log.info(
            "%s, %d steps an epoch -> %s", self.config.model.name, self.steps_per_epoch, self.run
        )


def lock(stream: TextIO, run: RunFolder) -> None:
    """Hold the run's log until it is closed; RunError when another process does."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RunError(f"{run}: is being trained by another process") from None


def optimizer_arguments(config: Config) -> dict[str, float]:
    """What MXNet's optimizer of that name takes."""
    optimizer = config.optimizer
    momentum = "beta1" if optimizer.name == "adam" else "momentum"
    return {
        "learning_rate": optimizer.lr,
        "wd": optimizer.weight_decay,
        momentum: optimizer.momentum,
    }


def average_statistics(network: Any) -> None:
    """Give all devices the mean of their batch normalisation statistics.

    What is validated is then what is saved, which is the mean.
    """
    for parameter in network.collect_params().values():
        if parameter.grad_req == "null" and len(parameter.list_ctx()) > 1:
            parameter.set_data(parameter._reduce())
