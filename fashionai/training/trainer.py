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
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, Optional, TextIO

from fashionai.config import Config, save_config
from fashionai.datasets.prepared.samples import Samples, data_hash, read_samples
from fashionai.errors import FashionAIError, RunError, RunStoppedError, TrainingError
from fashionai.files import atomic_path, write_json
from fashionai.models.mixed_precision import check_precision
from fashionai.models.parameter_files import save_arrays
from fashionai.models.zoo import first_line
from fashionai.runs import Run, RunFolder
from fashionai.runtime import import_mxnet
from fashionai.tasks import tasks_to_json
from fashionai.training import estimate
from fashionai.training.checkpoint import Progress, load_state, save_state
from fashionai.training.clock import EpochClock
from fashionai.training.gluon.learner import Learner, StepResult
from fashionai.training.history import (
    COLLAPSED,
    EPOCH_HEADER,
    Row,
    best_file,
    choose_best,
    epoch_lines,
    find_best,
    is_over,
    just_collapsed,
    score_name,
    stopped_early,
    write_history,
)
from fashionai.training.interrupt import Stopped, StopRequest
from fashionai.training.schedules import learning_rate, momentum
from fashionai.weights.pretrained import starting_weights

mx = import_mxnet()
log = logging.getLogger(__name__)
# Its lines and those of what it calls here are a run's log.
run_log = logging.getLogger("fashionai.training")

# Results of a step are read this many steps later, so that devices never wait for Python.
READ_BEHIND = 2
# A crash in a long epoch loses no more than this.
SECONDS_BETWEEN_SAVES = 600.0


class Trainer:
    """One training: its data, learner and progress.

    Making it reads the data and builds the network, and so refuses what cannot
    be trained before there is a run: DataError, ConfigError, WeightsError or
    TrainingError.
    """

    run: RunFolder

    def __init__(
        self, config: Config, contexts: list[Any], resume_from: Optional[Run] = None
    ) -> None:
        """``resume_from`` is the run that fit will go on with: it needs no pretrained weights."""
        check_precision(config.precision, contexts)
        if resume_from is not None and resume_from.folder.has_begun:
            begun = resume_from.config.data
            config = config.with_input(begun.mean, begun.std)
        resuming = resume_from is not None and resume_from.folder.states_file.is_file()
        weights = None if resuming else starting_weights(config)
        if weights is not None:
            config = config.with_input(weights.mean, weights.std)
        self.config, self._weights = config, weights
        train, self.val_rows = read_samples(config, "train"), read_samples(config, "val")
        wants_test = config.evaluate_test != "never"
        self.test_rows = read_samples(config, "test") if wants_test else None
        self.learner = Learner(config, train, contexts, weights.file if weights else None)
        self.progress = Progress(
            basis={
                "devices": f"{len(contexts)} {contexts[0].device_type}",
                "data": data_hash(config),
            }
        )
        self.clock = EpochClock(self._log_estimate)
        self._log_header = True

    def fit(self, run: RunFolder) -> Mapping[str, Any]:
        """Train all epochs that are left and return the run's metrics (see metrics.json).

        Writes everything that a run holds, after every epoch, and goes on from
        the run's state where there is one. Raises TrainingError when the loss is
        not finite and RunStoppedError, with the state saved, when the user stops it.
        """
        self.run = run
        save_config(self.config, run.config_file)
        write_json(run.classes_file, tasks_to_json(self.val_rows.tasks))
        file_log = logging.FileHandler(run.log_file, encoding="utf-8")
        file_log.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        run_log.setLevel(logging.INFO)
        run_log.addHandler(file_log)
        try:
            assert file_log.stream is not None
            lock(file_log.stream, run)
            self._train()
        except FashionAIError as error:
            # For the file alone: whoever called tells the person.
            file_log.handle(log.makeRecord(log.name, logging.ERROR, "", 0, str(error), (), None))
            raise
        finally:
            run_log.removeHandler(file_log)
            file_log.close()
        return Run(run).metrics

    def _train(self) -> None:
        try:
            self._restore()
            self._log_beginning()
            self._train_epochs()
        except OSError as error:
            raise TrainingError(
                f"{self.run}: cannot be written: {error.strerror}",
                f"Make room, then: {self._resume_command()}",
            ) from None
        except mx.base.MXNetError as error:
            raise TrainingError(
                f"MXNet stopped: {first_line(error)}", "A smaller batch_size needs less memory"
            ) from error
        self._log_end()

    def _train_epochs(self) -> None:
        """All epochs that are left, or those until the user stops it."""
        try:
            with StopRequest() as stop:
                self._prepare(stop)
                while not is_over(self.config, self.progress.history):
                    self._train_epoch(stop)
                    self._finish_epoch(self._validate(stop))
        except Stopped:
            self._stop()

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
        self.progress = load_state(self.run.states_file, self.learner, self.progress.basis)
        if self.progress.history:
            self._write_results()
        log.info("resuming in epoch %d, step %d", self.progress.epoch + 1, self.progress.step)

    def _prepare(self, stop: StopRequest) -> None:
        """What is done once before the first step counts as time of its epoch."""
        begun = time.perf_counter()
        self.learner.inputs.prepare(stop.check)
        self.progress.seconds += time.perf_counter() - begun

    def _train_epoch(self, stop: StopRequest) -> None:
        """One pass over the training images, from where the progress stands."""
        progress, learner = self.progress, self.learner
        waiting: deque[StepResult] = deque()
        saved = time.monotonic()
        name = f"epoch {progress.epoch + 1}/{self.config.epochs}"
        self.clock.start(name, learner.order.steps(progress.epoch), progress.step)
        for step, batch in enumerate(learner.batches(progress.epoch, progress.step), progress.step):
            waiting.append(learner.step(batch, progress.epoch, step, *self._rates(step)))
            if len(waiting) > READ_BEHIND:
                self._read(waiting.popleft())
            self.clock.tick(len(batch.rows))
            if stop.requested:
                break
            if time.monotonic() - saved > SECONDS_BETWEEN_SAVES:
                self._read_all(waiting)
                save_state(self.run.states_file, learner, progress)
                saved = time.monotonic()
        self._read_all(waiting)
        progress.seconds += self.clock.stop()
        stop.check()

    def _rates(self, step: int) -> tuple[float, float]:
        """Learning rate and momentum of a step of this epoch."""
        order = self.learner.order
        place = order.first_step(self.progress.epoch) + step, order.steps_per_epoch
        return learning_rate(self.config, *place), momentum(self.config, *place)

    def _read(self, result: StepResult) -> None:
        """Add a step's results to the epoch's sums; a loss that is not finite ends the run."""
        loss_sum, correct = self.learner.read(result)
        if not math.isfinite(loss_sum):
            raise TrainingError(
                f"the loss is {loss_sum} at epoch {self.progress.epoch + 1}, "
                f"step {result.step + 1} of {self.learner.order.steps(self.progress.epoch)}",
                self._calmer(),
            )
        self.progress.step = result.step + 1
        self.progress.loss_sum += loss_sum
        self.progress.correct += correct
        self.progress.seen += len(result.targets)

    def _calmer(self) -> str:
        """What to do against a training that diverges."""
        rate = self.config.optimizer.lr
        others = ["precision=float32"] if self.config.precision == "float16" else []
        choices = [f"a smaller optimizer.lr than {rate:g}", *others, "schedule.warmup_epochs=1"]
        return f"Try {', '.join(choices[:-1])}, or {choices[-1]}"

    def _read_all(self, waiting: deque[StepResult]) -> None:
        while waiting:
            self._read(waiting.popleft())

    def _validate(self, stop: StopRequest) -> Row:
        """Score the validation rows and make the epoch's row of the history."""
        learner, progress = self.learner, self.progress
        learner.average_statistics()
        rows_of = {"val": self.val_rows}
        if self.test_rows is not None and self.config.evaluate_test == "every-epoch":
            rows_of["test"] = self.test_rows
        scores = {
            f"{kind}_{name}": score
            for kind, rows in rows_of.items()
            for name, score in learner.scores(rows, stop.check).items()
        }
        if learner.average is not None:
            with learner.average.applied():
                averaged = learner.scores(self.val_rows, stop.check)
            scores |= {f"ema_{name}": score for name, score in averaged.items()}
        if not math.isfinite(scores["val_log_loss"]):
            raise TrainingError(
                f"the validation loss is {scores['val_log_loss']} after epoch {progress.epoch + 1}",
                self._calmer(),
            )
        return {
            "epoch": progress.epoch + 1,
            "learning_rate": self._rates(learner.order.steps(progress.epoch) - 1)[0],
            "train_loss": progress.loss_sum / progress.seen,
            "train_accuracy": progress.correct / progress.seen,
            **scores,
            "images_per_second": progress.seen / max(progress.seconds, 1e-9),
            "seconds": progress.seconds,
        }

    def _finish_epoch(self, row: Row) -> None:
        """Log the row and save: the best weights first, then the state that knows of them."""
        if self._log_header:
            log.info("%s", EPOCH_HEADER)
            self._log_header = False
        for line in epoch_lines(row, self.config.epochs):
            log.info("%s", line)
        progress, average = self.progress, self.learner.average
        progress.history.append(row)
        if find_best(progress.history, self.config.monitor).row is row:
            self._save_parameters(self.run.best_parameters)
        if average and find_best(progress.history, self.config.monitor, "ema").row is row:
            with average.applied():
                self._save_parameters(self.run.best_averaged_parameters)
        if just_collapsed(progress.history, self.config.epochs):
            log.info("%s", COLLAPSED)
        if self.test_rows is not None and is_over(self.config, progress.history):
            self._evaluate_test(self.test_rows)
        progress.begin_epoch(progress.epoch + 1)
        save_state(self.run.states_file, self.learner, progress)
        self._write_results()

    def _evaluate_test(self, rows: Samples) -> None:
        """Score the test split with the best weights: told, and nothing chosen by it."""
        best = choose_best(self.progress.history, self.config.monitor)
        with self.learner.loaded(best_file(self.run, best.kind)):
            self.progress.test = self.learner.scores(rows)
        log.info(
            "test, best epoch %d: accuracy %.4f, mAP %.4f",
            *(best.row["epoch"], self.progress.test["accuracy"], self.progress.test["map"]),
        )

    def _write_results(self) -> None:
        """Write the files that follow from the state."""
        self._save_parameters(self.run.last_parameters)
        write_history(
            self.run, self.config, self.val_rows.tasks, self.progress.history, self.progress.test
        )

    def _save_parameters(self, path: Path) -> None:
        parameters = self.learner.network._collect_params_with_prefix()
        # A file remembers the device of its arrays, which whoever reads it may not have.
        arrays = {name: p.list_data()[0].as_in_context(mx.cpu()) for name, p in parameters.items()}
        with atomic_path(path) as temporary:
            save_arrays(temporary, arrays)

    def _stop(self) -> NoReturn:
        """Save the state in the middle of an epoch and end."""
        save_state(self.run.states_file, self.learner, self.progress)
        raise RunStoppedError(
            f"stopped in epoch {self.progress.epoch + 1} after step {self.progress.step}, "
            "the state is saved",
            f"Resume with: {self._resume_command()}",
        )

    def _resume_command(self) -> str:
        gpus = [str(c.device_id) for c in self.learner.forward.contexts if c.device_type == "gpu"]
        chosen = f" --gpus {','.join(gpus)}" if gpus else ""
        return f"fashionai train --run {shlex.quote(str(self.run))} --resume{chosen}"

    def _log_estimate(self, seconds_per_image: float) -> None:
        images = len(self.learner.train.paths), len(self.val_rows.paths)
        for line in estimate.describe(
            self.config,
            seconds_per_image,
            *images,
            self.progress.epoch,
            self.learner.forward.contexts,
        ):
            log.info("%s", line)

    def _log_beginning(self) -> None:
        for head, task in enumerate(self.val_rows.tasks):
            counts = (len(rows.of_task(head)) for rows in (self.learner.train, self.val_rows))
            log.info(
                "%s: %d classes, %s training and %s validation images",
                *(task.name, len(task.classes)),
                *(f"{count:,}" for count in counts),
            )
        steps = f"{float(self.learner.order.steps_per_epoch):.1f}".removesuffix(".0")
        log.info("%s, %s steps an epoch -> %s", self.config.model.name, steps, self.run)
        if self._weights is not None and self._weights.file is not None:
            log.info("begins with the weights of %s", self._weights.source)
            trained_on = self._weights.mean, self._weights.std
            own = self.config.data.normalization
            if [*map(list, own)] != [*map(list, trained_on)]:
                log.info("data.mean and data.std are not those that its weights were trained with")
        if self.config.schedule.warmup_epochs > self.config.epochs:
            log.info("schedule.warmup_epochs is longer than the run: optimizer.lr is not reached")

    def _log_end(self) -> None:
        monitor, history = self.config.monitor, self.progress.history
        if stopped_early(self.config, history):
            log.info("stopped early: %s has not improved", score_name(monitor))
        best = choose_best(history, monitor)
        log.info(
            "finished: best epoch %d, validation %s %.4f; %s",
            *(best.row["epoch"], score_name(monitor), best.score, best_file(self.run, best.kind)),
        )


def lock(stream: TextIO, run: RunFolder) -> None:
    """Hold the run's log until it is closed; RunError when another process does."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RunError(f"{run}: is being trained by another process") from None
