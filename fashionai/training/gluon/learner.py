"""A network that learns: its devices, its optimizer, one step, and the scores of a split."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np

from fashionai.config import Config
from fashionai.datasets.prepared.samples import Samples
from fashionai.metrics import overall_scores, task_scores
from fashionai.models.forward import to_device
from fashionai.models.freezing import STATISTICS, freeze, set_head_rate
from fashionai.models.zoo import build_network, load_parameters
from fashionai.pipeline.loader import MIXING_STREAM, STEP_STREAM, Batch
from fashionai.pipeline.mixing import draw_mixing
from fashionai.runtime import import_mxnet
from fashionai.tasks import columns_of
from fashionai.training.batch_plan import RowOrder
from fashionai.training.class_balance import class_weights
from fashionai.training.gluon.ema import WeightAverage, kept
from fashionai.training.gluon.inputs import Inputs, choose_inputs
from fashionai.training.gluon.loss_scale import LossScale
from fashionai.training.gluon.losses import CrossEntropy, count_correct, mix_targets, soft_targets
from fashionai.training.gluon.optimizers import make_optimizer, set_rates
from fashionai.training.schedules import momentum

mx = import_mxnet()


class StepResult(NamedTuple):
    """What a step leaves to be computed: losses and logits of each device, and their targets."""

    step: int
    losses: list[Any]
    logits: list[Any]
    targets: np.ndarray


class Learner:
    """The network of a configuration with everything that a step needs.

    Randomness is a function of (seed, epoch, row) or (seed, epoch, step). Raises
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
        """``pretrained`` is as for build_network: a resumed run has its weights elsewhere.

        ``inputs`` is called as choose_inputs is.
        """
        self.config, self.train = config, train
        self.columns = columns_of(train.tasks)
        self.order = RowOrder(config, train, len(contexts))

        mx.random.seed(config.seed)
        model = config.model
        self.network = build_network(
            model.name, self.columns[-1].stop, config.data.crop, pretrained, model.init_magnitude
        )
        freeze(self.network, config.trainable, config.data.crop)
        set_head_rate(self.network, config.optimizer.head_lr_factor)
        self.network.collect_params().reset_ctx(contexts)
        self.inputs = inputs(config, train, self.network, contexts, self.order.batch_size)
        self.forward = self.inputs.forward
        self.loss_scale = LossScale() if self.inputs.in_float16 else None
        self._class_weights = class_weights(config.loss.class_weights, train)
        self._loss = CrossEntropy(self.columns)
        self._loss.hybridize()
        self.optimizer = mx.gluon.Trainer(
            self.network.collect_params(),
            make_optimizer(config.optimizer, momentum(config, 0, self.order.steps_per_epoch)),
            kvstore="device",
            # With the update on each device its state can be read and saved.
            update_on_kvstore=False,
        )
        self.average = WeightAverage(self.network, config.ema) if config.ema else None

    def batches(self, epoch: int, skip: int = 0) -> Iterator[Batch]:
        """The training batches of an epoch, without the first ``skip``."""
        return self.inputs.training(self.order.draws(epoch), skip)

    def step(self, batch: Batch, epoch: int, step: int, lr: float, momentum: float) -> StepResult:
        """Forward, backward and update on all devices; what it returns is not yet computed.

        ``step`` counts from 0 in every epoch.
        """
        set_rates(self.optimizer.optimizer, lr, momentum)
        # Dropout draws from MXNet's own generator.
        state = np.random.SeedSequence((self.config.seed, epoch, step, STEP_STREAM))
        mx.random.seed(int(state.generate_state(1)[0] >> 1))
        rng = np.random.default_rng((self.config.seed, epoch, step, MIXING_STREAM))
        targets: list[np.ndarray] = []
        outputs, losses = [], []
        with mx.autograd.record():
            parts = np.array_split(self._targets(batch.rows), len(self.forward.contexts))
            for pixels, part in zip(self.forward.split(batch.images[:, 0]), parts):
                mixing = draw_mixing(self.config.loss, len(part), pixels.shape[1], rng)
                part = part if mixing is None else mix_targets(part, mixing)
                output = self.forward.logits(pixels, mixing)
                weighted = part if self._class_weights is None else part * self._class_weights
                losses.append(self._loss(output, to_device(weighted, pixels.context)))
                outputs.append(output)
                targets.append(part)
        updated = self._update(losses, len(batch.rows))
        if updated and self.average is not None:
            self.average.update(self.order.first_step(epoch) + step)
        return StepResult(step, losses, outputs, np.concatenate(targets))

    def _update(self, losses: list[Any], rows: int) -> bool:
        """Backward and update; False when gradients are not finite, and no update was made.

        Optimizers divide gradients by what update is given, before weight decay.
        """
        scale = self.loss_scale
        if scale is None:
            mx.autograd.backward(losses)
            self.optimizer.step(rows)
            return True
        divisor = rows * scale.value
        factors = [mx.nd.full(loss.shape, scale.value, loss.context) for loss in losses]
        mx.autograd.backward(losses, factors)
        self.optimizer.allreduce_grads()
        learnt = [p for p in self.network.collect_params().values() if p.grad_req != "null"]
        if not scale.accept([parameter.list_grad()[0] for parameter in learnt]):
            return False
        self.optimizer.update(divisor)
        return True

    def read(self, result: StepResult) -> tuple[float, int]:
        """The sum of a step's losses and its number of correct rows; waits for them."""
        # Zero is added so that a loss of nothing is not written as -0.
        loss = float(sum(part.asnumpy().astype(np.float64).sum() for part in result.losses) + 0.0)
        logits = np.concatenate([part.asnumpy() for part in result.logits])
        return loss, count_correct(logits, result.targets, self.columns)

    def scores(self, rows: Samples, check: Callable[[], None] = lambda: None) -> dict[str, float]:
        """Scores of the centre crops: the mean over tasks, and of each where there are several.

        ``answered_classes`` is how many classes any row gets, of the task with
        the fewest: one means that training has collapsed. ``check`` is called
        before every batch and may raise to end it.
        """
        batches = self.inputs.evaluation(rows, check)
        probabilities = self.forward.probabilities(batches, self.order.batch_size)
        answers = rows.by_task(probabilities)
        each = {
            task.short_name: task_scores(answers[head], rows.marks_of(head))
            for head, task in enumerate(rows.tasks)
        }
        scores = overall_scores(list(each.values()))
        scores["answered_classes"] = min(len(np.unique(a.argmax(axis=1))) for a in answers)
        if len(each) > 1:
            scores |= {f"{task}.{name}": s[name] for task, s in each.items() for name in s}
        return scores

    @contextlib.contextmanager
    def loaded(self, file: Path) -> Iterator[None]:
        """While in this context the network has the parameters of a file."""
        with kept(list(self.network.collect_params().values())):
            load_parameters(self.network, file, self.forward.contexts)
            yield

    def average_statistics(self) -> None:
        """Give all devices the mean of their batch normalisation statistics.

        What is validated is then what is saved, which is the mean.
        """
        for name, parameter in self.network.collect_params().items():
            if name.endswith(STATISTICS) and len(parameter.list_ctx()) > 1:
                # In float64, so that copies that are equal already stay as they are.
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
