"""The learner of MXNet: one process computes on all of its devices."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np

from fashionai.config import Config
from fashionai.datasets.prepared.samples import Samples
from fashionai.errors import ConfigError
from fashionai.files.formats.array_archives import ArrayArchive
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.description import INPUT
from fashionai.models.forward import BatchForward, Forward, to_device
from fashionai.models.freezing import STATISTICS, freeze, set_layer_rates
from fashionai.models.mixed_precision import mixed_precision
from fashionai.models.zoo import build_network, load_parameters
from fashionai.pipeline.loader import Batch
from fashionai.runtime import peak_memory_gigabytes
from fashionai.training.batches.inputs import Inputs, PixelInputs, Sizes
from fashionai.training.batches.targets import count_correct
from fashionai.training.gluon.backbone import feature_inputs
from fashionai.training.gluon.ema import WeightAverage, restored_afterwards
from fashionai.training.gluon.gradients import all_finite, global_norm
from fashionai.training.gluon.losses import CrossEntropy
from fashionai.training.gluon.optimizers import make_optimizer, set_rates
from fashionai.training.gluon.state import restore_parameters, restore_state, state_arrays
from fashionai.training.learners.learner import Learner, StepResult
from fashionai.training.records.state_arrays import (
    AVERAGE,
    LOSS_SCALE,
    known_averages,
    names_of_others,
    read_averages,
    restore_scale,
)
from fashionai.training.steps.loss_scale import LossScale
from fashionai.training.steps.schedules import momentum

mx = import_mxnet()


class GluonLearner(Learner):
    """A Gluon network with its optimizer on one or more MXNet contexts.

    Raises ConfigError, WeightsError or TrainingError for what cannot be trained.
    """

    framework = "MXNet"
    framework_errors = (mx.base.MXNetError,)

    def __init__(
        self,
        config: Config,
        train: Samples,
        contexts: Sequence[Any],
        pretrained: Optional[Path] = None,
        *,
        pixels_only: bool = False,
    ) -> None:
        """Build the network on the devices.

        ``pretrained`` is a .params file for build_network; None for random weights, and for
        a run that is resumed, whose weights are in its state. With ``pixels_only`` no features
        are kept, even if only the output layer is trained.
        """
        super().__init__(config, train, contexts)
        with self.clear_errors():
            self._build(config, pretrained, pixels_only)

    def _build(self, config: Config, pretrained: Optional[Path], pixels_only: bool) -> None:
        """Put network, inputs and optimizer on the devices."""
        self.network = initial_network(config, self.columns[-1].stop, self.contexts, pretrained)
        if config.accumulate > 1:
            for parameter in self._learning():
                parameter.grad_req = "add"
        self.loss_scale: Optional[LossScale] = None
        self.inputs, self.forward = self._open_inputs(pixels_only)
        self._loss = CrossEntropy(self.columns, config.loss.focal_gamma)
        self._loss.hybridize()
        self.optimizer = mx.gluon.Trainer(
            self.network.collect_params(),
            make_optimizer(config.optimizer, momentum(config, 0, self.batch_plan.steps_per_epoch)),
            kvstore="device",
            # With the update on each device its state can be read and saved.
            update_on_kvstore=False,
        )
        self.average = WeightAverage(self.network, config.ema) if config.ema else None
        self.has_average = self.average is not None

    def _open_inputs(self, pixels_only: bool) -> tuple[Inputs, BatchForward]:
        """Features if only the output layer is trained and its input is constant, else pixels."""
        config, sizes, reason = self.config, Sizes(self.batch_size, self.pass_size), ""
        if config.trainable == "head" and not pixels_only:
            found = feature_inputs(config, self.train, self.network, self.contexts, sizes)
            if not isinstance(found, str):
                inputs, output = found
                return inputs, BatchForward(output, self.contexts, self.columns)
            reason = found
        network = self.network
        if config.precision == "float16":
            self.loss_scale = LossScale()
            network = mixed_precision(network)
        forward = Forward(network, *config.data.normalization, self.contexts, self.columns)
        return PixelInputs(config, self.train, sizes, reason), forward

    def step(self, batch: Batch, epoch: int, step: int, lr: float, momentum: float) -> StepResult:
        """One step; see the class Learner."""
        set_rates(self.optimizer.optimizer, lr, momentum)
        mx.random.seed(self.step_seed(epoch, step))
        losses: list[Any] = []
        logits, targets = [], []
        self._begin_gradients()
        for parts in self.passes(batch, epoch, step):
            before = len(losses)
            with mx.autograd.record():
                for part, context in zip(parts, self.contexts):
                    output = self.forward.logits(to_device(part.inputs, context), part.mixing)
                    losses.append(self._loss(output, to_device(part.weighted, context)))
                    logits.append(output)
                    targets.append(part.targets)
            self._backward(losses[before:])
        updated = self._update(len(batch.rows))
        if updated and self.average is not None:
            self.average.update(self.batch_plan.first_step(epoch) + step)

        def read() -> tuple[float, int]:
            # Adding 0.0 turns a loss of -0.0 into 0.0.
            loss = float(sum(part.asnumpy().astype(np.float64).sum() for part in losses) + 0.0)
            values = np.concatenate([part.asnumpy() for part in logits])
            return loss, count_correct(values, np.concatenate(targets), self.columns)

        return StepResult(step, len(batch.rows), read)

    def _begin_gradients(self) -> None:
        """Set gradients to zero that several backward passes add to."""
        if self.config.accumulate > 1:
            for parameter in self._learning():
                parameter.zero_grad()

    def _backward(self, losses: list[Any]) -> None:
        """The backward pass from the losses of all devices."""
        factors = None
        if self.loss_scale is not None:
            scale = self.loss_scale.value
            factors = [mx.nd.full(loss.shape, scale, loss.context) for loss in losses]
        mx.autograd.backward(losses, factors)

    def _update(self, batch_size: int) -> bool:
        """Update all parameters; False when that is skipped for infinite gradients.

        Optimizers divide gradients by the argument of update, before weight decay.
        """
        scale, divisor = self.loss_scale, float(batch_size)
        self.optimizer.allreduce_grads()
        if scale is not None:
            divisor *= scale.value
            if not scale.accept(all_finite(self._gradients())):
                return False
        clip = self.config.optimizer.clip_norm
        if clip is not None:
            divisor = max(divisor, global_norm(self._gradients()) / clip)
        self.optimizer.update(divisor)
        return True

    def _gradients(self) -> list[Any]:
        """The gradients on the first device, which are the sums over devices."""
        return [parameter.list_grad()[0] for parameter in self._learning()]

    def _learning(self) -> list[Any]:
        """The parameters that are trained."""
        parameters = self.network.collect_params().values()
        return [parameter for parameter in parameters if parameter.grad_req != "null"]

    def wait(self) -> None:
        """Wait for all devices."""
        mx.nd.waitall()

    def probabilities(self, batches: Iterable[np.ndarray]) -> np.ndarray:
        """Probabilities ``(N, C) float64``; see the class Learner."""
        return self.forward.probabilities(batches, self.pass_size)

    def average_statistics(self) -> None:
        """Set the running statistics to their mean over devices."""
        for name, parameter in self.network.collect_params().items():
            if name.endswith(STATISTICS) and len(parameter.list_ctx()) > 1:
                # In float64, so that the mean of equal copies has their bits.
                copies = [copy.asnumpy().astype(np.float64) for copy in parameter.list_data()]
                parameter.set_data(mx.nd.array(np.mean(copies, axis=0), dtype="float32"))

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """While in this context, the network has the averaged weights."""
        assert self.average is not None
        with self.average.applied():
            yield

    @contextlib.contextmanager
    def loaded(self, file: Path) -> Iterator[None]:
        """While in this context, the network has the parameters of a file."""
        with restored_afterwards(list(self.network.collect_params().values())):
            load_parameters(self.network, file, self.contexts)
            yield

    def parameters(self) -> dict[str, np.ndarray]:
        """The network's parameters under the names of parameter files."""
        parameters = self.network._collect_params_with_prefix()
        return {name: each.list_data()[0].asnumpy() for name, each in parameters.items()}

    def state(self) -> dict[str, np.ndarray]:
        """Everything that the next step depends on; see the class Learner."""
        arrays = state_arrays(self.network, self.optimizer)
        if self.average is not None:
            for name, values in self.average.arrays().items():
                arrays[AVERAGE + name] = values
        if self.loss_scale is not None:
            arrays[LOSS_SCALE] = self.loss_scale.state()
        return arrays

    def restore(self, archive: ArrayArchive, steps: int) -> set[str]:
        """Restore the result of state(); see the class Learner."""
        if self.average is not None:
            current = self.average.arrays()
            self.average.restore(read_averages(archive, current))
        updates = steps - restore_scale(self.loss_scale, archive)
        read = restore_state(self.network, self.optimizer, archive, updates)
        return read | names_of_others(archive)

    def take_over(self, archive: ArrayArchive) -> None:
        """Take parameters and averages over; see the class Learner."""
        restore_parameters(self.network, self.optimizer, archive)
        if self.average is not None:
            parameters = self.parameters()
            current = {name: parameters[name] for name in self.average.arrays()}
            self.average.restore(known_averages(archive, current))

    def memory_gigabytes(self) -> float:
        """The largest memory in use among the GPUs, or this process's peak on the CPU."""
        if self.contexts[0].device_type == "gpu":
            memory = [mx.context.gpu_memory_info(each.device_id) for each in self.contexts]
            return max(total - free for free, total in memory) / 1e9
        return peak_memory_gigabytes()


def initial_network(
    config: Config, classes: int, contexts: list[Any], pretrained: Optional[Path]
) -> Any:
    """The network with its initial weights on the devices, frozen as the configuration says.

    A new output layer that learns alone starts at zero. There are more features than images of a
    small task: random weights of directions that no image has would stay in it. Frozen layers
    leave no residual branch out, so that their features can be kept.
    """
    mx.random.seed(config.seed)
    model, crop, trainable = config.model, config.data.crop, config.phases[0].trainable
    network = build_network(
        model.name,
        classes,
        crop,
        pretrained,
        init_magnitude=model.init_magnitude,
        drop_path=0.0 if trainable == "head" else model.drop_path,
        zero_output=trainable == "head",
    )
    _check_sides(network, config)
    freeze(network, trainable, crop)
    optimizer = config.optimizer
    set_layer_rates(network, optimizer.head_lr_factor, optimizer.layer_decay, crop)
    network.collect_params().reset_ctx(contexts)
    return network


def _check_sides(network: Any, config: Config) -> None:
    """Raise ConfigError unless the network takes images of all sizes of the training."""
    shapes = {each.name: each.shape for each in network.collect_params().values()}
    for _, side in config.data.sizes:
        try:
            with contextlib.redirect_stdout(None):  # MXNet prints the arguments that it refuses
                network(mx.sym.var(INPUT)).infer_shape(**{INPUT: (1, 3, side, side)}, **shapes)
        except mx.base.MXNetError:
            raise ConfigError(
                f"data.sizes: {config.model.name} for images of {config.data.crop} pixels does not "
                f"take images of {side}",
                "Choose another model.name, or data.sizes=[]",
            ) from None
