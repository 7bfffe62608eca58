"""The sections of the configuration: every key with its default and its range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Optional, Union

from pydantic import Field, field_validator, model_validator

from fashionai.config.augmentations import Augmentation, Mirror, RandomCrop
from fashionai.config.section import Section
from fashionai.errors import shown, shown_value
from fashionai.files.default_folders import PREPARED_FOLDER
from fashionai.normalization import (
    IMAGENET_CROP_FRACTION,
    IMAGENET_MEAN,
    IMAGENET_STD,
    LARGEST_SIDE,
    SMALLEST_SIDE,
)

# Words that YAML 1.1 read as true and false, and YAML 1.2 reads as text.
SWITCHES = tuple(
    form for word in ("yes", "no", "on", "off") for form in (word, word.title(), word.upper())
)
# The weight of a class in the loss is computed in float32.
SMALLEST_WEIGHT, LARGEST_WEIGHT = 1e-30, 1e30
# How weights of classes are computed from their numbers of samples.
CLASS_WEIGHTS = ("none", "balanced", "effective")

# A share of the epochs, and the side in pixels from then on.
SizeFrom = Annotated[list[float], Field(min_length=2, max_length=2)]
_PerChannel = Annotated[list[float], Field(min_length=3, max_length=3)]


def short_side(crop: int, crop_fraction: float) -> int:
    """The short side in pixels of which a crop is this share, at most the largest valid one."""
    return min(round(crop / crop_fraction), LARGEST_SIDE)


class DataConfig(Section):
    """Where the prepared images are and how they become arrays."""

    folder: str = Field(str(PREPARED_FOLDER), description="Folder that `prepare` wrote.")
    folds_file: Optional[str] = Field(
        None, description="`folds.csv` of a cross-validation; `cross-validate` sets it."
    )
    fold: Optional[int] = Field(
        None,
        ge=1,
        description="Fold to validate on instead of the prepared validation split.",
    )
    resize_short: Optional[int] = Field(
        None,
        ge=SMALLEST_SIDE,
        le=LARGEST_SIDE,
        description="Short side of the resized image in pixels. `null` resolves to `crop` divided "
        "by the share of the short side that the pretrained weights are evaluated on, without "
        "them by 0.875.",
    )
    crop: int = Field(
        224,
        ge=SMALLEST_SIDE,
        le=LARGEST_SIDE,
        description="Side of the crop that the network sees, in pixels; at most `resize_short`.",
    )
    sizes: list[SizeFrom] = Field(
        [],
        description="Sides of the training images, each with the share of the epochs "
        "from which it applies: `[[0, 128], [0.6, 224]]`. Validation sees `crop`; `resize_short` "
        "changes in proportion. An empty list is `crop` throughout.",
    )
    augment: list[Augmentation] = Field(
        [RandomCrop(), Mirror()],
        description="Steps of the augmentation, listed below; a bare name is a step with its "
        "default strength.",
    )
    mean: Optional[_PerChannel] = Field(
        None,
        description="Mean of the RGB channels of pixels scaled to 0..1. `null` resolves to that "
        "of the pretrained weights, without them to ImageNet's.",
    )
    std: Optional[_PerChannel] = Field(
        None, description="Standard deviation of the RGB channels, as `mean`; positive."
    )
    maybe: Literal["ignore", "soft"] = Field(
        "ignore",
        description="Classes marked `m` (maybe): `ignore` gives them no share of the target, "
        "`soft` gives them `maybe_share`.",
    )
    maybe_share: float = Field(
        0.2, gt=0, lt=1, description="Share of the target split among classes marked `m`."
    )
    soft_targets: Optional[str] = Field(
        None,
        description="Prediction file of the training images, of an ensemble or out of fold, whose "
        "probabilities are mixed with the targets (distillation, arXiv:1503.02531).",
    )
    soft_share: float = Field(
        0.5, gt=0, le=1, description="Share of the target that `soft_targets` have."
    )
    soft_temperature: float = Field(
        1.0,
        gt=0,
        le=100,
        description="Above 1 the probabilities of `soft_targets` become more even: "
        "p^(1/temperature), divided by their sum.",
    )
    sampler: Literal["shuffle", "balanced"] = Field(
        "shuffle",
        description="`shuffle` shows every sample once per epoch, `balanced` every class equally "
        "often.",
    )
    last_batch: Literal["rollover", "discard"] = Field(
        "rollover",
        description="Samples that do not fill the last batch of an epoch: `rollover` puts them "
        "first in the next epoch, `discard` leaves them out. All batches have one size.",
    )
    feature_views: int = Field(
        4,
        ge=1,
        le=1000,
        description="With `trainable: head`: number of augmented views computed per image, shown "
        "in turn.",
    )
    workers: Optional[int] = Field(
        None, ge=1, le=256, description="Decoding threads; `null` resolves to one per core."
    )

    @field_validator("augment", mode="before")
    @classmethod
    def _name_alone(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return [{"name": step} if isinstance(step, str) else step for step in value]

    @field_validator("sizes")
    @classmethod
    def _sizes_in_order(cls, value: list[list[float]]) -> list[list[float]]:
        shares = [share for share, _ in value]
        if value and (shares[0] != 0 or shares != sorted(set(shares)) or shares[-1] >= 1):
            raise ValueError(f"expected shares that rise from 0 and are below 1, found {shares}")
        for _, side in value:
            if side % 1 or not SMALLEST_SIDE <= side <= LARGEST_SIDE:
                expected = f"whole numbers from {SMALLEST_SIDE} to {LARGEST_SIDE}"
                raise ValueError(f"expected sides that are {expected}, found {side:g}")
        return [[share, int(side)] for share, side in value]

    @property
    def normalization(self) -> tuple[Sequence[float], Sequence[float]]:
        """Mean and standard deviation of the input; those of ImageNet replace null."""
        return self.mean or IMAGENET_MEAN, self.std or IMAGENET_STD

    @property
    def short_side(self) -> int:
        """Short side of the resized image in pixels; that of ImageNet's networks replaces null."""
        return self.resize_short or short_side(self.crop, IMAGENET_CROP_FRACTION)

    @property
    def crop_fraction(self) -> float:
        """The share of the resized short side that the crop has."""
        return self.crop / self.short_side

    @model_validator(mode="after")
    def _crop_fits(self) -> DataConfig:
        if self.resize_short is not None and self.crop > self.resize_short:
            raise ValueError(f"crop {self.crop} is larger than resize_short {self.resize_short}")
        if self.std is not None and min(self.std) <= 0:
            raise ValueError(f"std {self.std} has a channel that is not positive")
        if (self.folds_file is None) != (self.fold is None):
            given, other = "fold", "folds_file"
            if self.fold is None:
                given, other = other, given
            raise ValueError(f"{given} is given without {other}. Give both or neither")
        return self


class ModelConfig(Section):
    """The network, and where its first weights come from."""

    name: str = Field("resnet50_v2", description="Network, one that `fashionai models` lists.")
    pretrained: Union[bool, str] = Field(
        True,
        description="`true`: published ImageNet weights; `false`: random initialisation; or the "
        "path of a `.params` file.",
    )
    init_magnitude: float = Field(
        3.0,
        gt=0,
        le=1000,
        description="Magnitude of the Xavier initialisation of layers without pretrained weights. "
        "With `trainable: head` the output layer starts at zero instead.",
    )
    drop_path: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Stochastic depth: probability with which the last residual block leaves its "
        "branch out for an image in training; it rises linearly from 0 for the first block. Only "
        "for EfficientNets, ConvNeXts and vision transformers.",
    )

    @field_validator("pretrained", mode="wrap")
    @classmethod
    def _switch_or_path(cls, value: Any, _: Any) -> Union[bool, str]:
        if not isinstance(value, (bool, str)):
            found = shown_value(value)
            raise ValueError(f"expected true, false or the path of a .params file, found {found}")
        if isinstance(value, str) and value in SWITCHES:
            raise ValueError(f"found '{value}', which is text. Write true or false")
        return value


class OptimizerConfig(Section):
    """The optimizer and its rates."""

    name: Literal["sgd", "nag", "adam", "adamw"] = Field(
        "sgd", description="Optimizer; `nag` is SGD with Nesterov momentum."
    )
    lr: float = Field(0.001, gt=0, description="Learning rate that the schedule multiplies.")
    momentum: float = Field(
        0.9, ge=0, lt=1, description="Momentum; the first beta of `adam` and `adamw`."
    )
    weight_decay: float = Field(1e-4, ge=0, description="Weight decay.")
    head_lr_factor: float = Field(
        1.0, gt=0, description="The output layer learns at `lr` times this factor."
    )
    layer_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Each stage of the network (layers of one resolution; of a vision transformer "
        "each block) learns at this factor times the rate of the one after it, the last stage at "
        "this factor times `lr`.",
    )
    clip_norm: Optional[float] = Field(
        None,
        gt=0,
        description="Largest norm of the gradient of all parameters together; a longer one is "
        "scaled down to it (arXiv:1211.5063). `null` turns it off.",
    )


class LossConfig(Section):
    """What changes the cross-entropy and its targets."""

    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the target spread over all classes (arXiv:1512.00567).",
    )
    mixup: float = Field(
        0.0,
        ge=0,
        le=100,
        description="Alpha of mixup's beta distribution (arXiv:1710.09412); 0 turns it off.",
    )
    cutmix: float = Field(
        0.0,
        ge=0,
        le=100,
        description="Alpha of CutMix's beta distribution (arXiv:1905.04899); 0 turns it off. With "
        "`mixup` too, each batch of a device uses one of them.",
    )
    focal_gamma: float = Field(
        0.0,
        ge=0,
        le=100,
        description="Gamma of the focal loss (arXiv:1708.02002), in which samples that are "
        "classified well count less, for instance 2; 0 is cross-entropy.",
    )
    class_weights: Union[str, dict[str, float]] = Field(
        "none",
        description="Weights of the classes in the loss: `none`, `balanced` (inversely "
        "proportional to the number of samples), `effective` (to the effective number of samples, "
        "arXiv:1901.05555), or a mapping such as `{no-logo: 0.2}`.",
    )
    effective_beta: float = Field(
        0.999,
        ge=0,
        lt=1,
        description="Beta of `class_weights: effective`: 0 weights all classes equally, towards 1 "
        "the weights approach those of `balanced`.",
    )

    @field_validator("class_weights", mode="wrap")
    @classmethod
    def _named_or_positive(cls, value: Any, _: Any) -> Union[str, dict[str, float]]:
        if isinstance(value, dict):
            for name, weight in value.items():
                _check_weight(str(name), weight)
            return {str(name): float(weight) for name, weight in value.items()}
        if value not in CLASS_WEIGHTS:
            found, names = shown_value(value), ", ".join(CLASS_WEIGHTS)
            raise ValueError(f"expected {names} or weights by class, found {found}")
        return str(value)


def _check_weight(name: str, weight: Any) -> None:
    """ValueError unless the weight of a class is a positive number, and one in float32 too."""
    number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
    if not number or not weight > 0:
        expected = "a number > 0"
    elif not SMALLEST_WEIGHT <= weight <= LARGEST_WEIGHT:
        expected = f"a number from {SMALLEST_WEIGHT} to {LARGEST_WEIGHT}"
    else:
        return
    found = shown_value(weight)
    raise ValueError(f"the weight of {shown(name)} is {found}, expected {expected}")


class EarlyStoppingConfig(Section):
    """When training ends before its last epoch."""

    patience: Optional[int] = Field(
        None,
        ge=1,
        description="Stop after this many epochs without improvement of `monitor`; `null` turns "
        "it off.",
    )
    min_delta: float = Field(
        0.0, ge=0, description="A score has improved when it is better by more than this."
    )
