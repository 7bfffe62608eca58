"""The learner of PyTorch: one process computes on one device, alone or with others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor, nn

from fashionai.config import Config
from fashionai.datasets.prepared.samples import Samples
from fashionai.errors import TrainingError
from fashionai.files.formats.array_archives import ArrayArchive
from fashionai.frameworks.devices import Device
from fashionai.models.description import NetworkDescription
from fashionai.models.parameter_files import check_fit, read_parameters
from fashionai.models.torch.forward import (
    Normalize,
    TorchForward,
    Uploads,
    download,
    set_precision,
    torch_device,
)
from fashionai.pipeline.loader import Batch
from fashionai.runtime import peak_memory_gigabytes
from fashionai.training.batches.features import FeatureStore
from fashionai.training.batches.inputs import FeatureInputs, Inputs, PixelInputs, Sizes
from fashionai.training.learners.learner import BATCH_SIZE, DevicePart, Learner, StepResult
from fashionai.training.records.state_arrays import (
    AVERAGE,
    LOSS_SCALE,
    OPTIMIZER,
    PARAMETERS,
    known_averages,
    names_of_others,
    read_averages,
    restore_scale,
)
from fashionai.training.steps.loss_scale import LossScale
from fashionai.training.steps.schedules import momentum
from fashionai.training.torch.average import WeightAverage, restored_afterwards
from fashionai.training.torch.backbone import TorchBackbone, why_not_constant
from fashionai.training.torch.gradients import GradientSums, all_finite
from fashionai.training.torch.networks import TrainedNetwork
from fashionai.training.torch.optimizers import Optimizer
from fashionai.training.torch.processes import Processes, is_of_connection, lost_process_error
from fashionai.training.torch.steps import CompiledSteps, StepComputation

# The positions of what several processes agree on.
STOP, SAVE = 0, 1


class TorchLearner(Learner):
    """A described network with its optimizer on one device.

    Raises ConfigError or TrainingError for what cannot be trained.
    """

    framework = "PyTorch"
    framework_errors = (RuntimeError,)

    def __init__(
        self,
        config: Config,
        train: Samples,
        contexts: Sequence[Device],
        description: NetworkDescription,
        *,
        pixels_only: bool = False,
        processes: Optional[Processes] = None,
        batch_size: Optional[int] = None,
    ) -> None:
        """Build the network on the device.

        ``description`` has the initial weights, frozen as the configuration says. With
        ``pixels_only`` no features are kept. ``processes`` train together. ``batch_size`` is
        that of all processes, if it does not follow from the configuration.
        """
        self._processes = processes or Processes()
        super().__init__(config, train, contexts, self._processes.share, batch_size)
        with self.clear_errors():
            self._build(config, description, pixels_only)

    def _build(self, config: Config, description: NetworkDescription, pixels_only: bool) -> None:
        """Put network, inputs and optimizer on the device."""
        self._device = torch_device(self.contexts[0])
        self._uploads = Uploads(self._device)
        # All batches of a training have one shape, so that cuDNN's choice by measurement pays off.
        torch.backends.cudnn.benchmark = True
        wants_features = config.trainable == "head" and not pixels_only
        reason = why_not_constant(config, description) if wants_features else ""
        shared = self._processes.shared_sums() if config.sync_batch_norm else None
        keeps = wants_features and not reason
        # Other trainings, of any precision, read the features that this one keeps.
        precision = "float32" if keeps else config.precision
        set_precision(precision)
        self.network = TrainedNetwork(description, self._device, keeps, shared)
        self._processes.copy_first(self.network.tensors.values())
        pixels = Normalize(*config.data.normalization).to(self._device)
        self.inputs = self._open_inputs(pixels, reason)
        self._build_steps(nn.Identity() if keeps else pixels, precision)
        first = momentum(config, 0, self.batch_plan.steps_per_epoch)
        factors = description.rates, description.decays
        self.optimizer = Optimizer(config.optimizer, self.network.learning, *factors, first)
        self._gradients = GradientSums(self._processes, self.network.learning.values())
        self.average = WeightAverage(self.network.moving, config.ema) if config.ema else None
        self.has_average = self.average is not None
        # What this process wants, and what all of them have agreed on: STOP and SAVE.
        self._wishes = torch.zeros(2, dtype=torch.float64, device=self._device)
        self._agreed = [False, False]
        # The shapes of the batches for which steps were compiled.
        self._compiled_shapes: set[tuple[int, ...]] = set()
        # Whether nothing but a step has been done since the last step.
        self._follows_step = False

    @property
    def _on_features(self) -> bool:
        return self.network.backbone is not None

    def _open_inputs(self, normalize: nn.Module, reason: str) -> Inputs:
        config, sizes = self.config, Sizes(self.batch_size, self.pass_size)
        if not self._on_features:
            return PixelInputs(config, self.train, sizes, reason)
        backbone = TorchBackbone(self.network, normalize, self.contexts[0])
        store, in_turn = FeatureStore(config, backbone), self._processes.in_turn
        return FeatureInputs(config, self.train, sizes, store, in_turn)

    def _build_steps(self, normalize: nn.Module, precision: str) -> None:
        """The computations of training and of evaluation, and the scale of float16."""
        config, network = self.config, self.network.trained
        gamma = config.loss.focal_gamma
        steps = StepComputation(network, normalize, self.columns, precision, gamma)
        self._steps: Any = CompiledSteps(steps) if config.compile else steps
        self.forward = TorchForward(network, normalize, self.contexts[0], self.columns, precision)
        self.loss_scale = LossScale() if precision == "float16" else None

    def step(self, batch: Batch, epoch: int, step: int, lr: float, momentum: float) -> StepResult:
        """One step; see the class Learner."""
        passes = self.passes(batch, epoch, step)
        torch.manual_seed(self.step_seed(epoch, step) + self.share.index)
        self.network.trained.train()
        self._gradients.begin(len(passes))
        with self._patient(batch):
            first, *others = [self._pass(part) for (part,) in passes]
            updated = self._update(lr, momentum)
            sums = torch.cat([sum(others, first), self._wishes])
            self._processes.sum(sums)
        if updated and self.average is not None:
            self.average.update(self.batch_plan.first_step(epoch) + step)
        pending = download(sums)

        def read() -> tuple[float, int]:
            loss_sum, correct, *wishes = pending().tolist()
            self._agreed = [agreed or wish > 0 for agreed, wish in zip(self._agreed, wishes)]
            return loss_sum + 0.0, int(correct)  # a loss of -0.0 becomes 0.0

        return StepResult(step, self.batch_plan.batch_size, read)

    @contextlib.contextmanager
    def _patient(self, batch: Batch) -> Iterator[None]:
        """Wait longer for other processes in a step that others may reach or finish late.

        That is the first one after other work, and one that compiles: the first one of a size.
        """
        compiles = self.config.compile and batch.images.shape not in self._compiled_shapes
        self._compiled_shapes.add(batch.images.shape)
        follows_step, self._follows_step = self._follows_step, True
        if follows_step and not compiles:
            yield
            return
        with self._processes.compiling() if compiles else self._processes.first_step():
            yield
            # The next step's sums, which are less patient, queue behind these ones on the device.
            self.wait()

    def _pass(self, part: DevicePart) -> Tensor:
        """Forward and backward pass of a part; the second result of StepComputation.forward."""
        inputs, targets = self._uploads.copy(part.inputs), self._uploads.copy(part.targets)
        same = part.weighted is part.targets
        weighted = targets if same else self._uploads.copy(part.weighted)
        loss, sums = self._steps(inputs, targets, weighted, self._uploads.mixing(part.mixing))
        self.network.trained.update_statistics(self._input_shape(inputs))
        scale = self.loss_scale
        torch.autograd.backward(loss if scale is None else loss * scale.value)
        return sums

    def _input_shape(self, inputs: Tensor) -> tuple[int, ...]:
        if self._on_features:
            return tuple(inputs.shape)
        rows, height, width, channels = inputs.shape
        return rows, channels, height, width

    def _update(self, lr: float, momentum: float) -> bool:
        """Update all parameters; False when that is skipped for infinite gradients."""
        scale, divisor = self.loss_scale, float(self.batch_plan.batch_size)
        self._gradients.wait()
        if scale is not None:
            divisor *= scale.value
            if not scale.accept(all_finite(self.network.learning.values())):
                return False
        self.optimizer.step(lr, momentum, divisor)
        return True

    def failure(self, error: Exception) -> TrainingError:
        """What to tell about an error of PyTorch, which may be that another process is gone."""
        if self._processes.is_alone or not is_of_connection(error):
            return super().failure(error)
        return lost_process_error(error)

    def resume_key(self) -> dict[str, str]:
        """The devices, and the batch that another number of processes can divide."""
        return {**super().resume_key(), BATCH_SIZE: str(self.batch_plan.batch_size)}

    def stops(self, requested: bool) -> bool:
        """Whether all processes stop now; see the class Learner."""
        return self._agree(STOP, requested)

    def saves(self, due: bool) -> bool:
        """Whether all processes save their state now; see the class Learner."""
        return self._agree(SAVE, due)

    def _agree(self, question: int, wanted: bool) -> bool:
        """Whether some process wanted it in a step whose results have been read.

        All processes read the results of the same steps at the same step.
        """
        if self._processes.is_alone:
            return wanted
        if wanted:
            self._wishes[question] = 1
        return self._agreed[question]

    def leave(self) -> None:
        """Wait for the other processes, and disconnect; see the class Learner."""
        self._processes.leave()

    def content_of_first(self, content: Optional[bytes]) -> Optional[bytes]:
        """The content of a file that the first process has read."""
        return self._processes.content_of_first(content)

    def check_same(self, values: Mapping[str, str]) -> None:
        """Raise ConfigError unless all processes have these values."""
        self._processes.check_same(values)

    def wait(self) -> None:
        """Wait for the device."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def probabilities(self, batches: Iterable[np.ndarray]) -> np.ndarray:
        """Probabilities of the rows of all processes; see the class Learner."""
        compute, size = self.forward.probabilities, self.pass_size
        return self._processes.rows_unless_stopped(lambda: compute(batches, size))

    def average_statistics(self) -> None:
        """Set the running statistics to their mean over processes."""
        self._follows_step = False
        if self._processes.is_alone:
            return
        with self._processes.between_steps():
            for tensor in self.network.statistics.values():
                mean = tensor.double()
                self._processes.sum(mean)
                tensor.copy_(mean / self.share.count)

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """While in this context, the network has the averaged weights."""
        assert self.average is not None
        with self.average.applied():
            # Those of the first process are in the files. Running statistics differ until they
            # are averaged, and their moving averages follow them.
            self._processes.copy_first(self.network.statistics.values())
            yield

    @contextlib.contextmanager
    def loaded(self, file: Path) -> Iterator[None]:
        """While in this context, the network has the parameters of a file."""
        with restored_afterwards(self.network.tensors):
            if self.writes:
                values = read_parameters(file)
                shapes = {n: each.shape for n, each in self.network.description.parameters.items()}
                check_fit(file, values, shapes)
                self.network.set_arrays(values)
            self._processes.copy_first(self.network.tensors.values())
            yield

    def parameters(self) -> dict[str, np.ndarray]:
        """The network's parameters under the names of parameter files."""
        return self.network.arrays()

    def state(self) -> dict[str, np.ndarray]:
        """Everything that the next step depends on; see the class Learner."""
        self._wishes[SAVE], self._agreed[SAVE], self._follows_step = 0, False, False
        arrays = {f"{PARAMETERS}{name}/0": each for name, each in self.network.arrays().items()}
        arrays |= self._statistics_of_all()
        for name, tensors in self.optimizer.state().items():
            for position, tensor in enumerate(tensors):
                arrays[f"{OPTIMIZER}{self._index(name)}/{position}"] = _array(tensor)
        if self.average is not None:
            for name, tensor in self.average.averages.items():
                arrays[AVERAGE + name] = _array(tensor)
        if self.loss_scale is not None:
            arrays[LOSS_SCALE] = self.loss_scale.state()
        return arrays

    def restore(self, archive: ArrayArchive, steps: int) -> set[str]:
        """Restore the result of state(); see the class Learner."""
        read = self._restore_parameters(archive)
        for name, tensors in self.optimizer.state().items():
            for position, tensor in enumerate(tensors):
                key = f"{OPTIMIZER}{self._index(name)}/{position}"
                read.add(key)
                _set(tensor, archive.read(key, tuple(tensor.shape), np.float32))
        if self.average is not None:
            averages = self.average.averages
            expected = {name: _array(tensor) for name, tensor in averages.items()}
            for name, values in read_averages(archive, expected).items():
                _set(averages[name], values)
        self.optimizer.updates = steps - restore_scale(self.loss_scale, archive)
        return read | names_of_others(archive)

    def _restore_parameters(self, archive: ArrayArchive) -> set[str]:
        """Restore the parameters of the result of state(); returns the names."""
        arrays, read, found = {}, set(), archive.names()
        for name, current in self.network.arrays().items():
            keys = _saved_copies(name, found)
            copies = [archive.read(key, current.shape, current.dtype) for key in keys]
            arrays[name] = self._own_copy(copies)
            read |= set(keys)
        self.network.set_arrays(arrays)
        return read

    def take_over(self, archive: ArrayArchive) -> None:
        """Take parameters and averages over; see the class Learner."""
        self._restore_parameters(archive)
        if self.average is not None:
            current = {name: _array(tensor) for name, tensor in self.network.moving.items()}
            for name, values in known_averages(archive, current).items():
                _set(self.average.averages[name], values)

    def _own_copy(self, copies: list[np.ndarray]) -> np.ndarray:
        """This process's copy; the mean if the number of processes has changed."""
        if len(copies) == 1:
            return copies[0]
        if len(copies) == self.share.count:
            return copies[self.share.index]
        return np.mean(copies, axis=0, dtype=np.float64).astype(np.float32)

    def _statistics_of_all(self) -> dict[str, np.ndarray]:
        """The running statistics of each process, as in Learner.state."""
        tensors = self.network.statistics
        if self._processes.is_alone or not tensors:
            return {}
        flat = np.concatenate([_array(each).ravel() for each in tensors.values()])
        arrays = {}
        for rank, values in enumerate(self._processes.rows_of_all(flat[None])):
            ends = np.cumsum([each.numel() for each in tensors.values()])
            for (name, tensor), part in zip(tensors.items(), np.split(values, ends[:-1])):
                arrays[f"{PARAMETERS}{name}/{rank}"] = part.reshape(tensor.shape)
        return arrays

    def _index(self, name: str) -> int:
        return self.network.description.order.index(name)

    def memory_gigabytes(self) -> float:
        """The memory in use on the GPU, or this process's peak on the CPU."""
        if self._device.type == "cuda":
            free, total = torch.cuda.mem_get_info(self._device)
            return (total - free) / 1e9
        return peak_memory_gigabytes()


def _saved_copies(name: str, found: Set[str]) -> list[str]:
    """The names of a parameter's copies: one for each process that saved the state, or one."""
    keys = [f"{PARAMETERS}{name}/0"]
    while (key := f"{PARAMETERS}{name}/{len(keys)}") in found:
        keys.append(key)
    return keys


def _array(tensor: Tensor) -> np.ndarray:
    return np.array(tensor.detach().cpu().numpy(), order="C")


@torch.no_grad()
def _set(tensor: Tensor, values: np.ndarray) -> None:
    tensor.copy_(torch.from_numpy(np.array(values)))
