"""Every key of the configuration with its default and its range."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Optional, Union, cast

from pydantic import Field, ValidationInfo, field_validator, model_validator

from fashionai.config.augmentations import Augmentation, Mirror, RandomCrop
from fashionai.config.schedules import Schedule, StepSchedule
from fashionai.config.section import Section
from fashionai.default_folders import PREPARED_FOLDER
from fashionai.errors import nearest
from fashionai.families import ALL, full_names, short_name
from fashionai.metrics import SCORE_NAMES
from fashionai.normalization import IMAGENET_MEAN, IMAGENET_STD

Channels = Annotated[list[float], Field(min_length=3, max_length=3)]


class DataConfig(Section):
    """Where the prepared images are and how they become arrays.

    ``resize_short`` and ``crop`` are pixels; ``mean`` and ``std`` are per RGB
    channel of pixels scaled to 0..1 (null: those of the pretrained weights,
    without them ImageNet's); ``workers`` counts decoding threads (null:
    one a core). ``maybe`` says what classes marked m are: nothing (ignore), or
    ``maybe_share`` of the target between them (soft). ``folds_file`` and
    ``fold`` replace the prepared validation split by a fold. The ``sampler``
    takes every row once an epoch (shuffle), or every class as often (balanced).
    Rows that do not fill the ``last_batch`` of an epoch come first in the next
    (rollover) or are left out (discard), so that all batches have one size.
    An output layer that learns alone (trainable: head) sees ``feature_views``
    augmented views of every image in turn.
    """

    folder: str = str(PREPARED_FOLDER)
    folds_file: Optional[str] = None
    fold: Optional[int] = Field(None, ge=1)
    resize_short: int = Field(256, ge=8, le=4096)
    crop: int = Field(224, ge=8, le=4096)
    augment: list[Augmentation] = [RandomCrop(), Mirror()]
    mean: Optional[Channels] = None
    std: Optional[Channels] = None
    maybe: Literal["ignore", "soft"] = "ignore"
    maybe_share: float = Field(0.2, gt=0, lt=1)
    sampler: Literal["shuffle", "balanced"] = "shuffle"
    last_batch: Literal["rollover", "discard"] = "rollover"
    feature_views: int = Field(4, ge=1, le=1000)
    workers: Optional[int] = Field(None, ge=1, le=256)

    @property
    def normalization(self) -> tuple[Sequence[float], Sequence[float]]:
        """Mean and standard deviation, ImageNet's where they are open."""
        return self.mean or IMAGENET_MEAN, self.std or IMAGENET_STD

    @model_validator(mode="after")
    def _crop_fits(self) -> DataConfig:
        if self.crop > self.resize_short:
            raise ValueError(f"crop {self.crop} is larger than resize_short {self.resize_short}")
        if self.std is not None and min(self.std) <= 0:
            raise ValueError(f"std {self.std} has a channel that is not positive")
        if (self.folds_file is None) != (self.fold is None):
            alone = "fold" if self.folds_file is None else "folds_file"
            raise ValueError(f"{alone} is given alone, and folds_file and fold go together")
        return self


class ModelConfig(Section):
    """The network: a name of the Gluon or GluonCV zoo, and where its weights come from.

    ``pretrained`` is true (published ImageNet weights), false (random
    initialisation) or the path of a .params file; ``init_magnitude`` is that of
    the Xavier initialisation of layers without such weights.
    """

    name: str = "resnet50_v2"
    pretrained: Union[bool, str] = True
    init_magnitude: float = Field(3.0, gt=0)

    @field_validator("pretrained", mode="wrap")
    @classmethod
    def _switch_or_path(cls, value: Any, _: Any) -> Union[bool, str]:
        if not isinstance(value, (bool, str)):
            raise ValueError(f"expected true, false or the path of a .params file, found {value!r}")
        return value


class OptimizerConfig(Section):
    """The optimizer. ``momentum`` is Adam's and AdamW's first beta.

    The output layer learns at ``lr * head_lr_factor``, all others at ``lr``.
    """

    name: Literal["sgd", "nag", "adam", "adamw"] = "sgd"
    lr: float = Field(0.001, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(1e-4, ge=0)
    head_lr_factor: float = Field(1.0, gt=0)


class LossConfig(Section):
    """What the targets of the cross-entropy are mixed with.

    ``label_smoothing`` is the share that all classes divide (arXiv:1512.00567);
    ``mixup`` (arXiv:1710.09412) and ``cutmix`` (arXiv:1905.04899) are the alpha
    of their beta distributions, 0 for without; with both, each batch takes one.
    ``class_weights`` multiply the loss: none, balanced (inversely to the number
    of rows) or a mapping of classes to weights.
    """

    label_smoothing: float = Field(0.0, ge=0, lt=1)
    mixup: float = Field(0.0, ge=0, le=100)
    cutmix: float = Field(0.0, ge=0, le=100)
    class_weights: Union[str, dict[str, float]] = "none"

    @field_validator("class_weights", mode="wrap")
    @classmethod
    def _named_or_positive(cls, value: Any, _: Any) -> Union[str, dict[str, float]]:
        if isinstance(value, dict):
            for name, weight in value.items():
                number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
                if not number or not 0 < weight < math.inf:
                    raise ValueError(f"the weight of {name} is {weight!r}, expected a number > 0")
            return {str(name): float(weight) for name, weight in value.items()}
        if value not in ("none", "balanced"):
            raise ValueError(f"expected none, balanced or weights by class, found {value!r}")
        return str(value)


class EarlyStoppingConfig(Section):
    """End after ``patience`` epochs without a gain of more than ``min_delta`` in the monitor."""

    patience: Optional[int] = Field(None, ge=1)
    min_delta: float = Field(0.0, ge=0)


class Config(Section):
    """Everything that decides what a run computes.

    ``precision`` is what a GPU trains and validates in: float16 is mixed precision
    (parameters, batch normalisation and loss stay float32) with dynamic loss
    scaling, not yet run on a GPU. Weights that it leaves predict in float32.
    """

    task: Union[str, list[str]]
    model: ModelConfig = ModelConfig()
    trainable: Literal["all", "last-stage", "head"] = "all"
    data: DataConfig = DataConfig()
    epochs: int = Field(40, ge=1)
    batch_size: int = Field(64, ge=1, description="images per device")
    seed: int = Field(0, ge=0, lt=2**31)
    precision: Literal["float32", "float16"] = "float32"
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: Schedule = StepSchedule()
    loss: LossConfig = LossConfig()
    ema: Optional[float] = Field(None, gt=0, lt=1, description="decay of the averaged weights")
    early_stopping: EarlyStoppingConfig = EarlyStoppingConfig()
    monitor: str = "map"
    evaluate_test: Literal["never", "end", "every-epoch"] = "never"

    @property
    def task_names(self) -> list[str]:
        """Full names of the tasks to learn, in the order of their heads."""
        return full_names(_listed(self.task))

    @property
    def run_name(self) -> str:
        """What the run's folder is called unless somebody says otherwise."""
        if self.task == ALL:
            return ALL
        return "-".join(short_name(name) for name in self.task_names)

    def with_input(self, mean: Optional[Sequence[float]], std: Optional[Sequence[float]]) -> Config:
        """The same with this mean and standard deviation of the input where it leaves them open."""
        found = {"data.mean": self.data.mean or mean, "data.std": self.data.std or std}
        return self.changed({key: value and list(value) for key, value in found.items()})

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
            raise ValueError(f"expected the name of a task or a list of them, found {value!r}")
        return cast(Union[str, list[str]], value)

    @field_validator("monitor")
    @classmethod
    def _computed(cls, value: str, info: ValidationInfo) -> str:
        if "task" in info.data:  # else there is something to mend first
            choices = monitor_names(info.data["task"])
            if value not in choices:
                raise ValueError(f"found '{value}'. {nearest(value, choices)}")
        return value


def _listed(task: Union[str, list[str]]) -> list[str]:
    return task if isinstance(task, list) else [task]


def monitor_names(task: Union[str, list[str]]) -> list[str]:
    """Validation scores of an epoch: over all tasks, and of each where there are several."""
    names = full_names(_listed(task))
    each = [f"{short_name(name)}.{score}" for name in names for score in SCORE_NAMES]
    return [*SCORE_NAMES, *(each if len(names) > 1 else [])]
