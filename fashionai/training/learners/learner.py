"""What a training needs of a framework, and the part of it that is the same for all of them.

A framework implements :class:`Learner`. The training loop, its files and its scores know this
class alone.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Optional

import numpy as np

from fashionai.config import Config
from fashionai.datasets.prepared.samples import Samples
from fashionai.errors import FrameworkError, TrainingError, first_line
from fashionai.files import atomic_path, content_hash
from fashionai.files.formats.array_archives import ArrayArchive
from fashionai.files.formats.array_lists import write_array_list
from fashionai.metrics import overall_scores, task_scores
from fashionai.pipeline.augmentation.mixing import Mixing, draw_mixing
from fashionai.pipeline.loader import MIXING_STREAM, STEP_STREAM, Batch
from fashionai.runtime import compute_threads
from fashionai.tasks import columns_of
from fashionai.training.batches.class_balance import class_weights
from fashionai.training.batches.distillation import read_teacher
from fashionai.training.batches.inputs import Inputs
from fashionai.training.batches.plan import BatchPlan
from fashionai.training.batches.shares import WHOLE, Share
from fashionai.training.batches.targets import mix_targets, soft_targets

# The key of the batch size of all processes in Progress.resume_key; PyTorch's runs have it.
BATCH_SIZE = "batch"
# The key of the number of threads that compute on the CPU.
THREADS = "threads"
# The key of the hash of the soft targets, of runs that have some.
SOFT_TARGETS = "soft targets"


class DevicePart(NamedTuple):
    """The part of a batch that one device computes.

    ``inputs`` are ``(B, ...)``, pixels or features, not mixed yet. ``targets`` are
    ``(B, C) float32``, mixed already; ``weighted`` are the targets with the weights of their
    classes, whose cross-entropy is the loss.
    """

    inputs: np.ndarray
    targets: np.ndarray
    weighted: np.ndarray
    mixing: Optional[Mixing]


class StepResult(NamedTuple):
    """The results of a step, which a device may still be computing.

    ``images`` is the number of images of the step, of all processes. ``read`` waits for the
    results and returns the sum of the losses and the number of correct predictions.
    """

    step: int
    images: int
    read: Callable[[], tuple[float, int]]


class Learner(abc.ABC):
    """A network with its optimizer on its devices: steps, scores, and its state as arrays.

    All randomness is a function of (seed, epoch, sample) or (seed, epoch, step).

    ``inputs`` yields the batches, ``contexts`` are the devices of this process, ``share`` is
    its share of every batch, and ``has_average`` tells whether there are averaged weights.
    ``batch_size`` is the number of samples of this process in a step, ``pass_size`` in one
    forward pass.
    ``framework_errors`` are the exceptions with which the framework refuses to compute, for
    instance when the memory of a GPU is used up.
    """

    framework: ClassVar[str]
    framework_errors: ClassVar[tuple[type[Exception], ...]]
    inputs: Inputs
    has_average: bool

    def __init__(
        self,
        config: Config,
        train: Samples,
        contexts: Sequence[Any],
        share: Share = WHOLE,
        batch_size: Optional[int] = None,
    ) -> None:
        """Raises ConfigError for weights of unknown classes, TrainingError as BatchPlan does.

        Raises DataError for soft targets as read_teacher does.
        """
        self.config, self.train, self.contexts = config, train, list(contexts)
        self.share = share
        self.columns = columns_of(train.tasks)
        self.batch_plan = BatchPlan(config, train, len(self.contexts) * share.count, batch_size)
        self.batch_size = self.batch_plan.batch_size // share.count
        self.pass_size = self._rows_per_pass(self.batch_size)
        self._teacher = read_teacher(config.data, train) if train.teacher is None else train.teacher
        self._class_weights = class_weights(
            config.loss.class_weights, train, config.loss.effective_beta
        )

    @abc.abstractmethod
    def step(self, batch: Batch, epoch: int, step: int, lr: float, momentum: float) -> StepResult:
        """Start a forward pass, a backward pass and an update on all devices.

        ``step`` counts from 0 in every epoch.
        """

    @abc.abstractmethod
    def wait(self) -> None:
        """Wait until the devices have computed everything that was started."""

    @abc.abstractmethod
    def probabilities(self, batches: Iterable[np.ndarray]) -> np.ndarray:
        """Probabilities ``(N, C) float64`` of batches ``(B, 1, ...)`` of ``inputs.evaluation``.

        They are those of all processes, whose batches follow each other in the order of their
        shares. The columns of each task sum to 1. If the batches of one process raise Stopped, all
        processes do.
        """

    @abc.abstractmethod
    def average_statistics(self) -> None:
        """Set the running statistics of batch normalisation to their mean over devices.

        Validation then uses the same statistics as the files of parameters.
        """

    @abc.abstractmethod
    def averaged(self) -> AbstractContextManager[None]:
        """While in this context, the network has the averaged weights; needs ``has_average``."""

    @abc.abstractmethod
    def loaded(self, file: Path) -> AbstractContextManager[None]:
        """While in this context, the network has the parameters of a file."""

    @abc.abstractmethod
    def parameters(self) -> dict[str, np.ndarray]:
        """The network's parameters under the names of parameter files."""

    @abc.abstractmethod
    def state(self) -> dict[str, np.ndarray]:
        """Everything that the next step depends on.

        The names are ``parameters/NAME/DEVICE``, ``optimizer/INDEX/POSITION``,
        ``average/NAME`` and ``loss_scale``. INDEX counts the network's parameters in the order
        of Gluon's collect_params. Only running statistics differ between devices; other
        parameters have device 0 alone.
        """

    @abc.abstractmethod
    def restore(self, archive: ArrayArchive, steps: int) -> set[str]:
        """Restore the result of state() after ``steps`` steps; no step must have been made yet.

        Steps count from the one that the optimizer began with.

        Returns the names of the arrays that belong to this training. Raises ValueError or one of
        framework_errors for the state of another network.
        """

    @abc.abstractmethod
    def take_over(self, archive: ArrayArchive) -> None:
        """Go on from the result of state() of a learner of which fewer layers were trained.

        Takes the parameters and their averages; the averages of layers that were frozen begin
        with their weights. The optimizer and the scale of float16 begin anew. Errors as for
        restore.
        """

    @abc.abstractmethod
    def memory_gigabytes(self) -> float:
        """Memory in GB: the largest use among the GPUs, or this process's peak on the CPU."""

    @contextmanager
    def clear_errors(self) -> Iterator[None]:
        """Turn framework_errors into a TrainingError that says what to do."""
        try:
            yield
        except self.framework_errors as error:
            raise self.failure(error) from error

    def failure(self, error: Exception) -> TrainingError:
        """What to tell about one of framework_errors."""
        return framework_failure(self.framework, self.config, error)

    def resume_key(self) -> dict[str, str]:
        """The devices that a training can be resumed on, and its threads, see Progress."""
        count, device = len(self.contexts) * self.share.count, self.contexts[0].device_type
        on_cpu = device == "cpu" and self.share.count == 1
        threads = {THREADS: str(compute_threads())} if on_cpu else {}
        key = {"devices": f"{count} {device}", **threads}
        if self._teacher is not None:
            key[SOFT_TARGETS] = content_hash(self._teacher.tobytes())
        return key

    @property
    def writes(self) -> bool:
        """Whether this process writes the run's files: the first one does."""
        return self.share.index == 0

    def stops(self, requested: bool) -> bool:
        """Whether all stop after this step; ``requested`` tells whether this process was asked to.

        Several processes agree in the sums of their steps, which are read a few steps later.
        """
        return requested

    def saves(self, due: bool) -> bool:
        """Whether all processes save their state now; ``due`` tells whether this one wants to.

        Several processes agree as they do on a stop: each gives its part of the state.
        """
        return due

    def content_of_first(self, content: Optional[bytes]) -> Optional[bytes]:
        """The content of a file that the first process has read, for every process."""
        return content

    def check_same(self, values: Mapping[str, str]) -> None:  # noqa: B027 - one has no others
        """Raise ConfigError unless all processes have these values, named by what they are."""

    def leave(self) -> None:  # noqa: B027 - one has no others
        """Wait until all processes have called this, and disconnect: they share no more work."""

    def batches(self, epoch: int, skip: int = 0) -> Iterator[Batch]:
        """Yield this process's share of an epoch's batches, without the first ``skip`` ones."""
        draws = self.share.of_draws(self.batch_plan.draws(epoch), self.batch_plan.batch_size)
        return self.inputs.training(draws, epoch, skip)

    def passes(self, batch: Batch, epoch: int, step: int) -> list[Iterator[DevicePart]]:
        """The parts of a training batch that are computed one after the other, by device.

        All have equally many samples but for the last one, which may have fewer.
        """
        size = self._rows_per_pass(len(batch.rows))
        starts = range(0, len(batch.rows), size)
        parts = [Batch(*(each[start : start + size] for each in batch)) for start in starts]
        first = step * self.config.accumulate
        return [self._device_parts(part, epoch, first + at) for at, part in enumerate(parts)]

    def _rows_per_pass(self, rows: int) -> int:
        """The number of samples in one forward pass of a batch of so many, on all devices."""
        devices = len(self.contexts)
        return math.ceil(rows / (self.config.accumulate * devices)) * devices

    def _device_parts(self, batch: Batch, epoch: int, number: int) -> Iterator[DevicePart]:
        """Yield each device's part of a batch; every part is mixed on its own.

        ``number`` counts the forward passes of an epoch.
        """
        rng = np.random.default_rng((self.config.seed, epoch, number, MIXING_STREAM))
        count = len(self.contexts)
        rows = len(batch.rows) // count

        def draw() -> Optional[Mixing]:
            return draw_mixing(self.config.loss, rows, batch.images.shape[2], rng)

        # The devices of earlier processes draw first.
        for _ in range(self.share.index * count):
            draw()
        all_targets = np.array_split(self._targets(batch.rows), count)
        for inputs, targets in zip(np.array_split(batch.images[:, 0], count), all_targets):
            mixing = draw()
            targets = targets if mixing is None else mix_targets(targets, mixing)
            weights = self._class_weights
            weighted = targets if weights is None else targets * weights
            yield DevicePart(inputs, targets, weighted, mixing)

    def step_seed(self, epoch: int, step: int) -> int:
        """The seed of the framework's own random numbers in a step, which drop units out."""
        state = np.random.SeedSequence((self.config.seed, epoch, step, STEP_STREAM))
        return int(state.generate_state(1)[0] >> 1)

    def scores(
        self, samples: Samples, check: Callable[[], None] = lambda: None
    ) -> dict[str, float]:
        """Scores of the centre crops: the mean over tasks, and ``TASK.SCORE`` of several tasks.

        ``predicted_classes`` is the number of different classes that are predicted, of the
        task with the fewest: 1 means that training has collapsed. ``check`` is called
        before each batch and may raise Stopped, in any process.
        """
        own = samples.part(self.share.of_rows(len(samples.paths)))
        probabilities = samples.by_task(self.probabilities(self.inputs.evaluation(own, check)))
        by_task = {
            task.short_name: task_scores(probabilities[head], samples.marks_of(head))
            for head, task in enumerate(samples.tasks)
        }
        scores = overall_scores(list(by_task.values()))
        predicted = [rows.argmax(axis=1) for rows in probabilities]
        scores["predicted_classes"] = min(len(np.unique(classes)) for classes in predicted)
        if len(by_task) > 1:
            for task, task_values in by_task.items():
                scores |= {f"{task}.{name}": score for name, score in task_values.items()}
        return scores

    def save_parameters(
        self, file: Path, before_replacing: Callable[[Path], None] = lambda written: None
    ) -> None:
        """Write the network's parameters, which the stock network can load, atomically.

        The first process writes. ``before_replacing`` gets the complete temporary file, before
        it replaces ``file``.
        """
        if not self.writes:
            return
        with atomic_path(file) as temporary:
            write_array_list(temporary, self.parameters())
            before_replacing(temporary)

    def _targets(self, rows: np.ndarray) -> np.ndarray:
        data = self.config.data
        targets = soft_targets(
            self.train.marks[rows],
            self.train.heads[rows],
            self.columns,
            maybe_share=data.maybe_share if data.maybe == "soft" else 0.0,
            smoothing=self.config.loss.label_smoothing,
        )
        if self._teacher is None:
            return targets
        mixed = (1 - data.soft_share) * targets + data.soft_share * self._teacher[rows]
        return mixed.astype(np.float32)


def framework_failure(framework: str, config: Config, error: Exception) -> FrameworkError:
    """What to tell about an error of a framework in a training; most are of memory."""
    return FrameworkError(f"{framework} stopped: {first_line(error)}", _memory_hint(config))


def _memory_hint(config: Config) -> str:
    """Settings that need less memory for the same updates, as far as batches can be smaller."""
    size, count = config.batch_size, config.accumulate
    if size == 1:
        return "A smaller data.crop needs less memory"
    smaller = f"batch_size={math.ceil(size / 2)} accumulate={2 * count}"
    return f"Smaller batches need less memory: {smaller}"
