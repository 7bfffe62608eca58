"""The learner: a network with its optimizer on its devices, one step, and scores of a split."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np

from fashionai.config import Config
from fashionai.datasets.prepared.samples import Samples
from fashionai.files import atomic_path
from fashionai.files.array_lists import write_array_list
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.metrics import overall_scores, task_scores
from fashionai.models.forward import to_device
from fashionai.models.freezing import STATISTICS, freeze, set_head_rate
from fashionai.models.zoo import build_network, load_parameters
from fashionai.pipeline.loader import MIXING_STREAM, STEP_STREAM, Batch
from fashionai.pipeline.mixing import draw_mixing
from fashionai.tasks import columns_of
from fashionai.training.batch_plan import BatchPlan
from fashionai.training.class_balance import class_weights
from fashionai.training.gluon.ema import WeightAverage, restored_afterwards
from fashionai.training.gluon.inputs import Inputs, choose_inputs
from fashionai.training.gluon.loss_scale import LossScale
from fashionai.training.gluon.losses import CrossEntropy, count_correct, mix_targets, soft_targets
from fashionai.training.gluon.optimizers import make_optimizer, set_rates
from fashionai.training.schedules import momentum

mx = import_mxnet()


class StepResult(NamedTuple):
    """The results of a step, not yet computed: losses and logits per device, and the targets.

    ``losses`` are ``(B,)`` and ``logits`` ``(B, C)`` on each device, ``targets`` is
    ``(N, C) float32`` for all devices.
    """

    step: int
    losses: list[Any]
    logits: list[Any]
    targets: np.ndarray


class Learner:
    """The network of a configuration with everything that a step needs.

    All randomness is a function of (seed, epoch, sample) or (seed, epoch, step). Raises
    ConfigError, WeightsError or TrainingError for what cannot be trained.
    """

    def __init__(
        self,
        config: Config,
        train: Samples,
        contexts: list[Any],
        pretrained: Optional[Path] = None,
        *,
        inputs: Callable[..., Inputs] = choose_inputs,
    ) -> None:
        """Build the network on the devices.

        ``pretrained`` is a .params file for build_network; None for random weights, and for
        a run that is resumed, whose weights are in its state. ``inputs`` is called like
        choose_inputs.
        """
        self.config, self.train = config, train
        self.columns = columns_of(train.tasks)
        self.batch_plan = BatchPlan(config, train, len(contexts))
        self.network = _build_network(config, self.columns[-1].stop, contexts, pretrained)
        self.inputs = inputs(config, train, self.network, contexts, self.batch_plan.batch_size)
        self.forward = self.inputs.forward
        self.loss_scale = LossScale() if self.inputs.in_float16 else None
        self._class_weights = class_weights(config.loss.class_weights, train)
        self._loss = CrossEntropy(self.columns)
        self._loss.hybridize()
        self.optimizer = mx.gluon.Trainer(
            self.network.collect_params(),
            make_optimizer(config.optimizer, momentum(config, 0, self.batch_plan.steps_per_epoch)),
            kvstore="device",
            # With the update on each device its state can be read and saved.
            update_on_kvstore=False,
        )
        self.average = WeightAverage(self.network, config.ema) if config.ema else None

    def batches(self, epoch: int, skip: int = 0) -> Iterator[Batch]:
        """Yield the training batches of an epoch, without the first ``skip`` batches."""
        return self.inputs.training(self.batch_plan.draws(epoch), skip)

    def step(self, batch: Batch, epoch: int, step: int, lr: float, momentum: float) -> StepResult:
        """Start a forward pass, a backward pass and an update on all devices.

        ``step`` counts from 0 in every epoch. The result is not computed yet: see read.
        """
        set_rates(self.optimizer.optimizer, lr, momentum)
        # Dropout uses MXNet's own random generator.
        state = np.random.SeedSequence((self.config.seed, epoch, step, STEP_STREAM))
        mx.random.seed(int(state.generate_state(1)[0] >> 1))
        rng = np.random.default_rng((self.config.seed, epoch, step, MIXING_STREAM))
        result = self._forward(batch, step, rng)
        updated = self._update(result.losses, len(batch.rows))
        if updated and self.average is not None:
            self.average.update(self.batch_plan.first_step(epoch) + step)
        return result

    def _forward(self, batch: Batch, step: int, rng: np.random.Generator) -> StepResult:
        """Record the losses of a batch's parts, one part per device, each mixed on its own."""
        losses, logits, targets = [], [], []
        with mx.autograd.record():
            parts = np.array_split(self._targets(batch.rows), len(self.forward.contexts))
            for pixels, part in zip(self.forward.split(batch.images[:, 0]), parts):
                mixing = draw_mixing(self.config.loss, len(part), pixels.shape[1], rng)
                part = part if mixing is None else mix_targets(part, mixing)
                output = self.forward.logits(pixels, mixing)
                weighted = part if self._class_weights is None else part * self._class_weights
                losses.append(self._loss(output, to_device(weighted, pixels.context)))
                logits.append(output)
                targets.append(part)
        return StepResult(step, losses, logits, np.concatenate(targets))

    def _update(self, losses: list[Any], batch_size: int) -> bool:
        """Backward pass and update; False when the update is skipped for infinite gradients.

        Optimizers divide gradients by the argument of update, before weight decay.
        """
        scale = self.loss_scale
        if scale is None:
            mx.autograd.backward(losses)
            self.optimizer.step(batch_size)
            return True
        divisor = batch_size * scale.value
        factors = [mx.nd.full(loss.shape, scale.value, loss.context) for loss in losses]
        mx.autograd.backward(losses, factors)
        self.optimizer.allreduce_grads()
        trained = [p for p in self.network.collect_params().values() if p.grad_req != "null"]
        if not scale.accept([parameter.list_grad()[0] for parameter in trained]):
            return False
        self.optimizer.update(divisor)
        return True

    def read(self, result: StepResult) -> tuple[float, int]:
        """The sum of a step's losses and its number of correct predictions; waits for them."""
        # Adding 0.0 turns a loss of -0.0 into 0.0.
        loss = float(sum(part.asnumpy().astype(np.float64).sum() for part in result.losses) + 0.0)
        logits = np.concatenate([part.asnumpy() for part in result.logits])
        return loss, count_correct(logits, result.targets, self.columns)

    def scores(
        self, samples: Samples, check: Callable[[], None] = lambda: None
    ) -> dict[str, float]:
        """Scores of the centre crops: the mean over tasks, and ``TASK.SCORE`` of several tasks.

        ``predicted_classes`` is the number of different classes that are predicted, of the
        task with the fewest: 1 means that training has collapsed. ``check`` is called
        before each batch and may raise to stop.
        """
        batches = self.inputs.evaluation(samples, check)
        probabilities = samples.by_task(
            self.forward.probabilities(batches, self.batch_plan.batch_size)
        )
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

        ``before_replacing`` gets the complete temporary file, before it replaces ``file``.
        """
        parameters = self.network._collect_params_with_prefix()
        arrays = {name: p.list_data()[0].asnumpy() for name, p in parameters.items()}
        with atomic_path(file) as temporary:
            write_array_list(temporary, arrays)
            before_replacing(temporary)

    @contextlib.contextmanager
    def loaded(self, file: Path) -> Iterator[None]:
        """While in this context, the network has the parameters of a file."""
        with restored_afterwards(list(self.network.collect_params().values())):
            load_parameters(self.network, file, self.forward.contexts)
            yield

    def average_statistics(self) -> None:
        """Set the running statistics of batch normalisation to their mean over devices.

        Validation then uses the same statistics as the files of parameters.
        """
        for name, parameter in self.network.collect_params().items():
            if name.endswith(STATISTICS) and len(parameter.list_ctx()) > 1:
                # In float64, so that the mean of equal copies has their bits.
                copies = [copy.asnumpy().astype(np.float64) for copy in parameter.list_data()]
                parameter.set_data(mx.nd.array(np.mean(copies, axis=0), dtype="float32"))

    def _targets(self, rows: np.ndarray) -> np.ndarray:
        data = self.config.data
        return soft_targets(
            self.train.marks[rows],
            self.train.heads[rows],
            self.columns,
            maybe_share=data.maybe_share if data.maybe == "soft" else 0.0,
            smoothing=self.config.loss.label_smoothing,
        )


def _build_network(
    config: Config, classes: int, contexts: list[Any], pretrained: Optional[Path]
) -> Any:
    """The network with its initial weights on the devices, frozen as the configuration says."""
    mx.random.seed(config.seed)
    model, crop = config.model, config.data.crop
    network = build_network(model.name, classes, crop, pretrained, model.init_magnitude)
    freeze(network, config.trainable, crop)
    set_head_rate(network, config.optimizer.head_lr_factor)
    network.collect_params().reset_ctx(contexts)
    return network
