"""The training loop: epochs of steps, validation, checkpoints.

All randomness is a function of (seed, epoch, sample) or (seed, epoch, step). A run that was
stopped at any moment and resumed therefore ends with the same bits as one that was not.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Optional

from fashionai.config import Config, save_config
from fashionai.datasets.prepared.samples import Samples, data_hash, read_samples
from fashionai.errors import DivergedError, RunStoppedError, TrainingError
from fashionai.files import write_json
from fashionai.files.abandoned import remove_temporary_files
from fashionai.files.atomic import NO_ROOM
from fashionai.runs import Run, RunFolder, beginning, locked_run
from fashionai.runs.recorded_weights import BEGINNING
from fashionai.tasks import tasks_to_json
from fashionai.training.batches.distillation import read_teacher
from fashionai.training.interrupt import Stopped, StopRequest
from fashionai.training.learners.engine_choice import check_engine
from fashionai.training.learners.opening import Opener, open_learner, what_must_be_same
from fashionai.training.learners.phases import PhaseLearners
from fashionai.training.records import messages
from fashionai.training.records.checkpoint import (
    Progress,
    check_resumes,
    load_state,
    read_batch_size,
    read_epoch,
    save_state,
)
from fashionai.training.records.history import (
    EpochRow,
    announce_weights,
    best_file,
    choose_best,
    find_best,
    is_finished,
    scores_in_row,
    write_history,
)
from fashionai.training.records.observers import HistoryObserver, open_observers
from fashionai.training.records.run_log import run_log
from fashionai.training.speed.clock import EpochClock
from fashionai.training.speed.estimate import log_estimate
from fashionai.training.steps.results import StepResults
from fashionai.training.steps.schedules import learning_rate, momentum

log = logging.getLogger(__name__)

# The state is also saved within an epoch after this time: a crash loses no more work.
SECONDS_BETWEEN_SAVES = 600.0


class Trainer:
    """Trains one run: its samples, the learner and the progress.

    The constructor reads the samples and builds the network, before any file of a run is
    written.

    Args:
        config: Configuration of the run.
        contexts: Devices, as ``fashionai.contexts`` gives them.
        resume_from: The run that fit will resume. One with a saved state does not need its
            pretrained weights.
        opener: Opens the learner, as open_learner does.
        observers: Follow the history, beside those of the configuration's ``log``.

    Raises:
        DataError: Prepared folders that cannot be used.
        InstallationError: A log whose package is not installed.
        ConfigError: Settings that this network or these devices cannot compute, or that differ
            between the processes of a training.
        WeightsError: Pretrained weights that are missing or do not fit.
        TrainingError: Fewer training images than devices.
        RunError: The run to resume was begun with another configuration.

    Example:
        >>> trainer = fashionai.Trainer(fashionai.load_config("skirt"), fashionai.contexts())
        >>> metrics = trainer.fit(fashionai.create_run("runs/skirt"))
    """

    run: RunFolder

    def __init__(
        self,
        config: Config,
        contexts: list[Any],
        resume_from: Optional[Run] = None,
        *,
        opener: Opener = open_learner,
        observers: Sequence[HistoryObserver] = (),
    ) -> None:
        """Read the samples and build the learner; see the class."""
        self._observers = open_observers(config, observers)
        check_engine(config, contexts)
        if resume_from is not None and resume_from.folder.has_begun:
            resume_from.check_same_config(config)
            config = config.with_input_of(resume_from.config)
        state = None if resume_from is None else resume_from.folder.states_file
        resuming = state is not None and state.is_file()
        self._resumed = resume_from
        train = read_samples(config, "train", pseudo=True)
        # Once for the learners of all phases.
        self.train_samples = train._replace(teacher=read_teacher(config.data, train))
        self.val_samples = read_samples(config, "val")
        wants_test = config.evaluate_test != "never"
        self.test_samples = read_samples(config, "test") if wants_test else None
        place = contexts, resuming, None if state is None else read_batch_size(state)
        self._phases = PhaseLearners(opener, config, self.train_samples, *place)
        self.learner, self.config = self._phases.learner, self._phases.config
        key = {**self.learner.resume_key(), "data": data_hash(config)}
        if self.learner.writes and not resuming:
            key.update(self._phases.beginning())
        self.progress = Progress(resume_key=key)
        self.clock = EpochClock(self._log_estimate, shows=self.learner.writes)
        self._header_logged = False
        self._has_state = False
        # Before a run that is to be overwritten is removed.
        with self.learner.clear_errors():
            self.learner.check_same(what_must_be_same(self.config, self.progress.resume_key))

    def fit(self, run: RunFolder) -> Mapping[str, Any]:
        """Train the remaining epochs into a run folder.

        Holds the run's lock. Nothing is written before everything has been checked: a training
        that is refused leaves all files of the run as they were. After that, all files are
        written after every epoch. If the folder holds a saved state, the training resumes
        from it.

        Args:
            run: Folder of the run.

        Returns:
            The content of metrics.json.

        Raises:
            TrainingError: The disk is full, or the framework fails.
            DivergedError: The loss is not finite.
            EndOfRun: An observer ends the run; its files are those of the last epoch.
            RunStoppedError: The user stops the training; the state is saved.
            RunError: The saved state is damaged or belongs to another configuration, the run
                has begun and is not to be resumed, another one is, or another process trains it.
        """
        self.run = run
        if not self.learner.writes:
            with StopRequest() as stop, self._clear_errors():
                self._load_state()
                self._train(stop)
            return {}
        with locked_run(run), StopRequest() as stop:
            self._load_state()
            with self._observers.told_of_errors():
                with self._clear_errors():
                    self._write_beginning()
                with run_log(run), self._clear_errors():
                    self._train(stop)
                    self._observers.finish(self.learner.contexts)
        return Run(run).metrics

    @contextlib.contextmanager
    def _clear_errors(self) -> Iterator[None]:
        """Turn errors of disk and framework into a TrainingError that says what to do."""
        try:
            yield
        except OSError as error:
            remedy = "Free disk space, then" if error.errno in NO_ROOM else "Mend this, then"
            raise TrainingError(
                f"{error.filename or self.run}: {error.strerror or error}",
                f"{remedy}: {self._resume_command()}",
            ) from None
        except self.learner.framework_errors as error:  # of the learner of the phase
            raise self.learner.failure(error) from error

    def _train(self, stop: StopRequest) -> None:
        messages.log_data(self.config, self.train_samples, self.val_samples)
        plan = self.learner.batch_plan
        messages.log_settings(self.config, self.run, plan, self._phases.weights)
        if self._has_state:
            log.info("resuming in epoch %d, step %d", self.progress.epoch + 1, self.progress.step)
        self._train_epochs(stop)
        self.learner.leave()
        messages.log_end(self.config, self.progress.history, self.run, self.val_samples)

    def _train_epochs(self, stop: StopRequest) -> None:
        """Train the remaining epochs, or until the user stops the training."""
        try:
            self._begin_phase(stop)
            while not is_finished(self.config, self.progress.history):
                if self._enter_phase(self.progress.epoch):
                    # From the state that the end of the phase before has saved.
                    self._restore(self._saved_state() or b"")
                    self._begin_phase(stop)
                self._train_epoch(stop)
                self._finish_epoch(self._validate(stop), stop)
        except Stopped:
            self._stop()

    def _load_state(self) -> None:
        """Load the saved state of a run that is resumed, if there is one; nothing is written."""
        if self.learner.writes:
            check_resumes(self.run, self._resumed)
        content = self._saved_state()
        if content is not None:
            self._enter_phase(read_epoch(content))
            self._restore(content)
            self._has_state = True

    def _saved_state(self) -> Optional[bytes]:
        """The content of the file of states that the first process has; None without one."""
        file = self.run.states_file
        content = file.read_bytes() if self.learner.writes and file.is_file() else None
        return self.learner.content_of_first(content)

    def _enter_phase(self, epoch: int) -> bool:
        """Open the learner of an epoch's phase; returns False if it is open already."""
        if not self._phases.enter(epoch):
            return False
        self.learner = self._phases.learner
        self.clock = EpochClock(self._log_estimate, shows=self.learner.writes)
        gc.collect()  # Gluon's blocks refer to each other: this frees those of the phase before.
        return True

    def _restore(self, content: bytes) -> None:
        """Restore the content of the file of states into the learner of its phase."""
        place = self.run.states_file, self.learner, self.progress.resume_key
        self.progress = load_state(*place, content, self._phases.phase.first)

    def _write_beginning(self) -> None:
        """Write what the run is, and the files that follow from the state that was loaded.

        A kill may have left temporary files, and files that are older than the state. The
        configuration is last: a folder without it has not begun.
        """
        run, progress = self.run, self.progress
        remove_temporary_files(run.path)
        with beginning(run.path):
            # A server that does not answer leaves a folder that has not begun.
            self._observers.begin(run, self.config)
            write_json(run.classes_file, tasks_to_json(self.val_samples.tasks))
            save_config(self.config, run.config_file)
        if progress.history:
            # Within an epoch the weights are no longer those of the last finished one.
            self._write_results(last_parameters=progress.step == 0)

    def _begin_phase(self, stop: StopRequest) -> None:
        """Prepare the inputs of a phase; the time counts for the current epoch."""
        if len(self.config.phases) > 1:
            messages.log_phase(self._phases.phase)
        start = time.perf_counter()
        self.learner.inputs.prepare(stop.check)
        self.progress.seconds += time.perf_counter() - start

    def _train_epoch(self, stop: StopRequest) -> None:
        """Train the steps of the current epoch that are not done yet."""
        progress, learner = self.progress, self.learner
        steps = learner.batch_plan.steps(progress.epoch)
        results = StepResults(progress, self.config, steps)
        saved = time.monotonic()
        name = f"epoch {progress.epoch + 1}/{self.config.epochs}"
        self.clock.start(name, steps, progress.step)
        for step, batch in enumerate(learner.batches(progress.epoch, progress.step), progress.step):
            result = learner.step(batch, progress.epoch, step, *self._rates(step))
            results.add(result)
            self.clock.tick(result.images)
            if learner.stops(stop.requested):
                break
            if learner.saves(time.monotonic() - saved > SECONDS_BETWEEN_SAVES):
                results.read_all()
                save_state(self.run.states_file, learner, progress)
                saved = time.monotonic()
        results.read_all()
        progress.seconds += self.clock.stop()
        if learner.stops(stop.requested):
            raise Stopped

    def _rates(self, step: int) -> tuple[float, float]:
        """Learning rate and momentum of a step of the current epoch."""
        plan = self.learner.batch_plan
        position = plan.first_step(self.progress.epoch) + step, plan.steps_per_epoch
        return learning_rate(self.config, *position), momentum(self.config, *position)

    def _validate(self, stop: StopRequest) -> EpochRow:
        """Score the validation samples; returns the epoch's row of the history."""
        progress, plan = self.progress, self.learner.batch_plan
        scores = self._scores(stop.check)
        if not math.isfinite(scores["val_log_loss"]):
            raise DivergedError(
                f"the validation loss is {scores['val_log_loss']} after epoch {progress.epoch + 1}",
                messages.divergence_hint(self.config),
            )
        return {
            "epoch": progress.epoch + 1,
            "learning_rate": self._rates(plan.steps(progress.epoch) - 1)[0],
            "train_loss": progress.loss_sum / progress.seen,
            "train_accuracy": progress.correct / progress.seen,
            **scores,
            "images_per_second": progress.seen / max(progress.seconds, 1e-9),
            "seconds": progress.seconds,
        }

    def _scores(self, check: Callable[[], None]) -> dict[str, float]:
        """The scores of an epoch, named as in its row; ``check`` may raise to stop."""
        learner = self.learner
        learner.average_statistics()
        scores = scores_in_row("val", learner.scores(self.val_samples, check))
        if self.test_samples is not None and self.config.evaluate_test == "every-epoch":
            scores |= scores_in_row("test", learner.scores(self.test_samples, check))
        if learner.has_average:
            with learner.averaged():
                scores |= scores_in_row("ema", learner.scores(self.val_samples, check))
        return scores

    def _finish_epoch(self, row: EpochRow, stop: StopRequest) -> None:
        """Log the epoch and save: the best weights first, then the state that refers to them."""
        progress = self.progress
        messages.log_epoch(row, self.config.epochs, header=not self._header_logged)
        self._header_logged = True
        progress.history.append(row)
        self._save_if_best(row)
        messages.log_collapse(progress.history, self.config.epochs, self.val_samples)
        if self.test_samples is not None and is_finished(self.config, progress.history):
            self._evaluate_test(self.test_samples, stop)
        progress.begin_epoch(progress.epoch + 1)
        save_state(self.run.states_file, self.learner, progress)
        self._write_results()

    def _save_if_best(self, row: EpochRow) -> None:
        """Save the plain and the averaged weights if this epoch is the best of their kind."""
        learner, history, monitor = self.learner, self.progress.history, self.config.monitor
        if find_best(history, monitor).row is row:
            self._save_best(self.run.best_parameters)
        if learner.has_average and find_best(history, monitor, "ema").row is row:
            with learner.averaged():
                self._save_best(self.run.best_averaged_parameters)

    def _save_best(self, file: Path) -> None:
        """Save the network's weights as a file of best weights, whose hash is recorded first."""
        self.learner.save_parameters(
            file, lambda written: announce_weights(self.run, file.name, written)
        )

    def _evaluate_test(self, samples: Samples, stop: StopRequest) -> None:
        """Score the test split with the best weights; nothing is selected by these scores."""
        best = choose_best(self.progress.history, self.config.monitor)
        try:
            with self.learner.loaded(best_file(self.run, best.kind)):
                self.progress.test = self.learner.scores(samples, stop.check)
        except Stopped:
            self.progress.history.pop()  # resuming validates the last epoch again
            raise
        messages.log_test(best.row["epoch"], self.progress.test)

    def _write_results(self, last_parameters: bool = True) -> None:
        """Write the files that follow from the state: last.params, history.csv, metrics.json."""
        if not self.learner.writes:
            return
        progress, key = self.progress, self.progress.resume_key
        if last_parameters:
            self.learner.save_parameters(self.run.last_parameters)
        write_history(
            self.run,
            self.config,
            self.val_samples.tasks,
            progress.history,
            key["data"],
            progress.test,
            beginning={name: key[name] for name in BEGINNING if name in key},
        )
        self._observers.observe(progress.history)

    def _stop(self) -> NoReturn:
        """Save the state within an epoch and raise RunStoppedError."""
        save_state(self.run.states_file, self.learner, self.progress)
        self.learner.leave()
        raise RunStoppedError(
            f"stopped in epoch {self.progress.epoch + 1} after step {self.progress.step}, "
            "the state is saved",
            f"Resume with: {self._resume_command()}",
        )

    def _resume_command(self) -> str:
        return messages.resume_command(self.run, self.learner.contexts, self.learner.share.count)

    def _log_estimate(self, seconds_per_image: float) -> None:
        images = len(self.train_samples.paths), len(self.val_samples.paths)
        # Those of this phase alone: other layers take another time.
        epochs = range(self.progress.epoch, self._phases.phase.end)
        log_estimate(self.learner, seconds_per_image, *images, epochs)
