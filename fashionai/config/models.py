"""The configuration of a run, whose sections are in fashionai.config.sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Optional, Union, cast

from pydantic import Field, ValidationInfo, field_validator

from fashionai.config.phases import Phase, check_epochs, check_trainable, phases_of
from fashionai.config.schedules import Schedule, StepSchedule
from fashionai.config.section import Section
from fashionai.config.sections import (
    DataConfig,
    EarlyStoppingConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    short_side,
)
from fashionai.errors import nearest, shown, shown_value
from fashionai.families import ALL, full_names, short_name
from fashionai.metrics import SCORE_NAMES

# The value of ``monitor`` that keeps the last epoch, whatever it scores.
LAST = "last"


class Config(Section):
    """Everything that decides what a run computes."""

    task: Union[str, list[str]] = Field(
        description="Name of a prepared task, or a list of them: one network with a head for "
        "each. `all` stands for the eight FashionAI attributes."
    )
    model: ModelConfig = ModelConfig()
    trainable: Union[str, dict[str, Union[int, float]]] = Field(
        "all",
        description="Layers that learn: `all`; `head`, the output layer only, on features that "
        "are computed once; `last-stage`, the output layer and the layers of the last resolution; "
        "or epochs of each in this order, for instance `{head: 2, all: 18}`, or shares of the "
        "epochs: `{head: 0.1, all: 0.9}`.",
    )
    data: DataConfig = DataConfig()
    epochs: int = Field(
        40, ge=1, le=1_000_000, validate_default=True, description="Number of epochs."
    )
    batch_size: int = Field(64, ge=1, le=1_000_000, description="Images per batch and device.")
    accumulate: int = Field(
        1,
        ge=1,
        le=1_000_000,
        description="Number of batches whose gradients are added before each update. Without batch "
        "normalisation this equals one larger batch, in less memory. A step is an update.",
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of everything random.")
    engine: Literal["auto", "gluon", "torch"] = Field(
        "auto",
        description="Framework that trains: `gluon` is MXNet, `torch` is PyTorch. `auto` is "
        "MXNet, except where PyTorch alone can use the GPUs or compute these settings, or is known "
        "to be faster; a run that is resumed keeps its own.",
    )
    precision: Literal["float32", "tf32", "bfloat16", "float16"] = Field(
        "float32",
        description="`tf32` (engine torch): TensorFloat-32, on GPUs. `bfloat16` (engine torch) "
        "and `float16` (on GPUs, with dynamic loss scaling): mixed precision. Parameters, batch "
        "normalisation and loss stay float32, as do the saved weights, kept features and an output "
        "layer that learns from them.",
    )
    sync_batch_norm: bool = Field(
        False,
        description="With several processes (engine torch): batch normalisation uses the mean and "
        "variance of the whole batch instead of each process's share. Slower.",
    )
    compile: bool = Field(
        False,
        description="With engine torch: compile the training step with torch.compile, which "
        "takes a minute or two; where that fails, a line says so and it is not compiled.",
    )
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: Schedule = StepSchedule()
    loss: LossConfig = LossConfig()
    ema: Optional[float] = Field(
        None,
        gt=0,
        lt=1,
        description="Decay of the averaged weights, for instance 0.999; `null` turns them off.",
    )
    early_stopping: EarlyStoppingConfig = EarlyStoppingConfig()
    monitor: str = Field(
        "map",
        description="Validation score that chooses the best epoch: `map`, `accuracy`, "
        "`balanced_accuracy`, `basic_precision`, `mrr`, `roc_auc` or `log_loss`. With several "
        "tasks also that of one task, for instance `skirt.map`. `last` keeps the last epoch, "
        "with `ema` its averaged weights, whatever they score: few validation images choose an "
        "epoch by chance.",
    )
    evaluate_test: Literal["never", "end", "every-epoch"] = Field(
        "never",
        description="When the test split is scored. Nothing is chosen by these scores.",
    )
    log: list[Literal["tensorboard", "mlflow"]] = Field(
        [],
        description="Programs that also get the curves, the configuration, a preview of the "
        "training images and the confusion matrix: `tensorboard`, `mlflow`. May differ when a run "
        "is resumed.",
    )

    @property
    def task_names(self) -> list[str]:
        """Full names of the tasks to learn, in the order of their heads."""
        return full_names(_listed(self.task))

    @property
    def run_name(self) -> str:
        """The default name of the run's folder."""
        if self.task == ALL:
            return ALL
        return "-".join(short_name(name) for name in self.task_names)

    @property
    def phases(self) -> list[Phase]:
        """The phases of the training, one unless ``trainable`` has several."""
        return phases_of(self.trainable, self.epochs)

    def phase_of(self, epoch: int) -> Phase:
        """The phase that an epoch, from 0, belongs to; the last one for later epochs."""
        begun = [phase for phase in self.phases if phase.first <= epoch]
        return begun[-1]

    def in_phase(self, phase: Phase) -> Config:
        """A copy in which the layers of one phase learn, with no more views than its epochs."""
        views = min(self.data.feature_views, phase.epochs)
        return self.changed({"trainable": phase.trainable, "data.feature_views": views})

    def with_input(
        self,
        mean: Optional[Sequence[float]],
        std: Optional[Sequence[float]],
        resize_short: Optional[int],
    ) -> Config:
        """A copy in which these values replace those of the input that are null."""
        data = self.data
        return self.changed(
            {
                "data.mean": data.mean or (mean and list(mean)),
                "data.std": data.std or (std and list(std)),
                "data.resize_short": data.resize_short or resize_short,
            }
        )

    def training_side(self, epoch: int) -> int:
        """The side in pixels of the training images of an epoch, from 0."""
        sizes = self.data.sizes or [[0, self.data.crop]]
        return int([side for share, side in sizes if round(share * self.epochs) <= epoch][-1])

    def for_training(self, epoch: int) -> Config:
        """A copy whose crop is the side of the training images of an epoch, from 0."""
        return self.with_crop(self.training_side(epoch)) if self.data.sizes else self

    def with_crop(self, crop: int) -> Config:
        """A copy for crops of another side in pixels; resize_short changes in proportion."""
        resized = short_side(crop, self.data.crop_fraction)
        return self.changed({"data.crop": crop, "data.resize_short": resized})

    def with_input_of(self, begun: Config) -> Config:
        """A copy in which the input of ``begun`` replaces what is null."""
        data = begun.data
        same_crop = self.data.crop == data.crop
        return self.with_input(data.mean, data.std, data.resize_short if same_crop else None)

    def with_engine_of(self, begun: Config) -> Config:
        """A copy in which the engine of ``begun`` replaces ``auto``, with how it is compiled."""
        if self.engine != "auto":
            return self
        return self.changed({"engine": begun.engine, "compile": begun.compile})

    def changed(self, values: Mapping[str, Any]) -> Config:
        """A validated copy with the values of some dotted keys replaced.

        A section is replaced as a whole by a mapping of its keys.
        """
        tree = self.model_dump()
        for key, value in values.items():
            *sections, leaf = key.split(".")
            node = tree
            for section in sections:
                node = node[section]
            node[leaf] = value
        return Config.model_validate(tree)

    @field_validator("task", mode="wrap")
    @classmethod
    def _names(cls, value: Any, _: Any) -> Union[str, list[str]]:
        names = _listed(value)
        if not names or not all(isinstance(name, str) and name for name in names):
            found = shown_value(value)
            raise ValueError(f"expected the name of a task or a list of them, found {found}")
        return cast(Union[str, list[str]], value)

    @field_validator("trainable", mode="wrap")
    @classmethod
    def _known_layers(cls, value: Any, _: Any) -> Union[str, dict[str, Union[int, float]]]:
        return check_trainable(value)

    @field_validator("epochs")
    @classmethod
    def _of_all_phases(cls, value: int, info: ValidationInfo) -> int:
        if "trainable" in info.data:  # else it is invalid, which is reported
            check_epochs(info.data["trainable"], value)
        return value

    @field_validator("monitor")
    @classmethod
    def _computed(cls, value: str, info: ValidationInfo) -> str:
        if "task" in info.data:  # else the task is invalid, which is reported
            choices = monitor_names(info.data["task"])
            if value not in choices:
                raise ValueError(f"found '{shown(value)}'. {nearest(value, choices)}")
        stopping = info.data.get("early_stopping")
        if value == LAST and stopping is not None and stopping.patience is not None:
            raise ValueError(
                "last keeps the last epoch, but early_stopping.patience needs a score that "
                "improves. Give a score, or early_stopping.patience: null"
            )
        return value


def _listed(task: Union[str, list[str]]) -> list[str]:
    return task if isinstance(task, list) else [task]


def monitor_names(task: Union[str, list[str]]) -> list[str]:
    """What can choose an epoch: its scores over all tasks, of each of several tasks, and LAST."""
    names = full_names(_listed(task))
    each = [f"{short_name(name)}.{score}" for name in names for score in SCORE_NAMES]
    return [*SCORE_NAMES, *(each if len(names) > 1 else []), LAST]


def reported_score(monitor: str) -> str:
    """The score by which a run is described: the monitored one, or ``map`` with LAST."""
    return "map" if monitor == LAST else monitor
