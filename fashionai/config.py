"""The configuration of a training run: typed, complete, and all errors at once.

A configuration is a YAML file plus overrides ``dotted.key=value``. Every key,
its default and its range stand in the models below; nothing else reads YAML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, Union, get_args, get_type_hints

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from fashionai.errors import ConfigError, nearest
from fashionai.files import write_text
from fashionai.tasks import SHORT_NAMES, find_task
from fashionai.yaml_files import load_yaml, parse_scalar

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Channels = Annotated[list[float], Field(min_length=3, max_length=3)]
Probability = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of the configuration: unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class RandomCrop(Section):
    """Cut the crop at a random place instead of the centre."""

    name: Literal["random_crop"] = "random_crop"


class Mirror(Section):
    """Swap left and right with probability ``p``."""

    name: Literal["mirror"] = "mirror"
    p: Probability = 0.5


Augmentation = Annotated[Union[RandomCrop, Mirror], Field(discriminator="name")]


class DataConfig(Section):
    """Where the prepared images are and how they become arrays.

    ``resize_short`` and ``crop`` are pixels; ``mean`` and ``std`` are per RGB
    channel of pixels scaled to 0..1; ``workers`` counts decoding threads (null:
    one a core).
    """

    folder: str = "data/train_valid"
    resize_short: int = Field(256, ge=8, le=4096)
    crop: int = Field(224, ge=8, le=4096)
    augment: list[Augmentation] = [RandomCrop(), Mirror()]
    mean: Channels = list(IMAGENET_MEAN)
    std: Channels = list(IMAGENET_STD)
    workers: Optional[int] = Field(None, ge=1, le=256)

    @model_validator(mode="after")
    def _crop_fits(self) -> DataConfig:
        if self.crop > self.resize_short:
            raise ValueError(f"crop {self.crop} is larger than resize_short {self.resize_short}")
        if min(self.std) <= 0:
            raise ValueError(f"std {self.std} has a channel that is not positive")
        return self


class ModelConfig(Section):
    """The network: a name of the Gluon or GluonCV zoo, and where its weights come from.

    ``pretrained`` is true (ImageNet weights of the zoo), false (random
    initialisation) or the path of a .params file.
    """

    name: str = "resnet50_v2"
    pretrained: Union[bool, str] = True

    @field_validator("pretrained", mode="wrap")
    @classmethod
    def _switch_or_path(cls, value: Any, _: Any) -> Union[bool, str]:
        if not isinstance(value, (bool, str)):
            raise ValueError("expected true, false or the path of a .params file")
        return value


class OptimizerConfig(Section):
    """The optimizer. ``momentum`` is Adam's first beta when the optimizer is Adam."""

    name: Literal["sgd", "nag", "adam"] = "sgd"
    lr: float = Field(0.001, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(1e-4, ge=0)


class Schedule(Section):
    """The learning rate over the run, as a factor of ``optimizer.lr``.

    Every schedule may start with ``warmup_epochs`` of linear growth from zero.
    """

    warmup_epochs: float = Field(0.0, ge=0)


class ConstantSchedule(Schedule):
    """The same rate throughout."""

    name: Literal["constant"] = "constant"


class StepSchedule(Schedule):
    """Multiply the rate by ``factor`` after each number of finished epochs in ``epochs``."""

    name: Literal["step"] = "step"
    factor: float = Field(0.75, gt=0, le=1)
    epochs: list[int] = [10, 20, 30, 40]


class CosineSchedule(Schedule):
    """Half a cosine from the full rate to ``final_factor`` of it (arXiv:1608.03983)."""

    name: Literal["cosine"] = "cosine"
    final_factor: float = Field(0.0, ge=0, le=1)


SCHEDULES = ("constant", "step", "cosine")
AUGMENTATIONS = ("random_crop", "mirror")


class Config(Section):
    """Everything that decides what a run computes."""

    task: str
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    epochs: int = Field(40, ge=1)
    batch_size: int = Field(64, ge=1, description="images per device")
    seed: int = Field(0, ge=0, lt=2**31)
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: Annotated[
        Union[ConstantSchedule, StepSchedule, CosineSchedule], Field(discriminator="name")
    ] = StepSchedule()
    monitor: Literal["map", "accuracy", "basic_precision", "mrr"] = "map"


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """The configuration of a YAML file with ``key=value`` overrides applied.

    Raises ConfigError that lists every unknown key and wrong value together.
    """
    tree = load_yaml(path)
    # A section whose keys are all commented out is an empty section.
    tree = {key: {} if value is None and _is_section(key) else value for key, value in tree.items()}
    problems: list[str] = []
    # schedule.name first: it drops the keys of the file's schedule, not those of overrides.
    for override in sorted(overrides, key=lambda text: not text.startswith("schedule.name=")):
        problems += _apply_override(tree, override)
    config, found = _validate(tree)
    problems += found
    if config is None or problems:
        count = f"{len(problems)} errors" if len(problems) > 1 else "1 error"
        raise ConfigError("\n  ".join([f"{path}: {count} in the configuration", *problems]))
    return config


def save_config(config: Config, path: Path) -> None:
    """Write the fully resolved configuration as YAML."""
    write_text(path, dump_config(config))


def dump_config(config: Config) -> str:
    """The fully resolved configuration as YAML text, keys in the models' order."""
    return yaml.safe_dump(config.model_dump(), sort_keys=False, allow_unicode=True)


def differing_keys(one: Config, other: Config) -> list[str]:
    """Dotted keys whose values differ, each as ``key: a, not b``."""
    first, second = _flatten(one.model_dump()), _flatten(other.model_dump())
    return [
        f"{key}: {first.get(key)}, not {second.get(key)}"
        for key in {**first, **second}
        if first.get(key) != second.get(key)
    ]


def _apply_override(tree: dict[str, Any], override: str) -> list[str]:
    """Set one dotted key in the tree; a list with the problem when that cannot be done."""
    key, separator, text = override.partition("=")
    if not separator or not key:
        return [f"override '{override}': expected key=value, for instance optimizer.lr=0.01"]
    try:
        value = parse_scalar(text)
    except ValueError as error:
        return [f"override '{override}': the value is not valid YAML: {error}"]
    if key.startswith("data.augment."):
        return [f"{key}: give the whole list, for instance data.augment=[{{name: mirror, p: 0.5}}]"]
    *parents, leaf = key.split(".")
    node = tree
    for parent in parents:
        child = node.setdefault(parent, {})
        if not isinstance(child, dict):
            # What stands there is wrong by itself and is reported, unless it is a plain value.
            return [] if _is_section(parent) else [_unknown_key(key)]
        node = child
    # Another schedule has other keys: those of the former one go with it.
    if leaf == "name" and parents == ["schedule"] and node.get("name") != value:
        node.clear()
    node[leaf] = value
    return []


def _validate(tree: Mapping[str, Any]) -> tuple[Optional[Config], list[str]]:
    problems = []
    try:
        find_task(str(tree.get("task", "skirt")))
    except ConfigError as error:
        problems = [f"task: {error}"]
    try:
        return Config.model_validate(tree), problems
    except ValidationError as error:
        return None, problems + [_describe(details) for details in error.errors()]


def _describe(details: ErrorDetails) -> str:
    """One validation error as ``key: what was found and expected``."""
    # Pydantic puts the name of a union's member into the path: it is no key of the file.
    place = [str(part) for part in details["loc"]]
    at = 1 if place[0] == "schedule" else 3 if place[:2] == ["data", "augment"] else len(place)
    key = ".".join(place[:at] + place[at + 1 :])
    kind, found = details["type"], details["input"]
    if kind == "extra_forbidden":
        return _unknown_key(key)
    if kind == "missing":
        return f"{key}: missing. Choose from: {', '.join(SHORT_NAMES)}"  # only task has no default
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        choices = SCHEDULES if place[0] == "schedule" else AUGMENTATIONS
        name = details.get("ctx", {}).get("tag")
        if name is None:
            return f"{key}.name: missing. Choose from: {', '.join(choices)}"
        return f"{key}.name: found '{name}'. {nearest(name, choices)}"
    if kind in ("model_type", "model_attributes_type"):
        return f"{key}: expected keys with values, found {found!r}"
    message = details["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if isinstance(found, (dict, BaseModel)):
        return f"{key}: {message}" + ("" if kind == "value_error" else ", found keys with values")
    return f"{key}: {message}, found {found!r}"


def _unknown_key(key: str) -> str:
    """Says which key was meant: of that name in another section, or of close spelling."""
    known = known_keys()
    if re.sub(r"\.\d+", "", key) in known:
        return f"{key}: unknown key for what its name chooses"
    leaf = key.rpartition(".")[2]
    same_leaf = [choice for choice in known if choice.rpartition(".")[2] == leaf]
    if len(same_leaf) == 1:
        return f"{key}: unknown key. Did you mean '{same_leaf[0]}'?"
    sections = dict.fromkeys(choice.rpartition(".")[0] for choice in known if "." in choice)
    return f"{key}: unknown key. {nearest(key, known if '.' in key else [*sections, *known])}"


def _is_section(key: str) -> bool:
    """Whether a key of the top level holds keys itself."""
    return any(known.startswith(f"{key}.") for known in known_keys())


def known_keys() -> list[str]:
    """Every dotted key that a configuration may hold."""
    return _keys_of(Config)


def _keys_of(annotation: Any) -> list[str]:
    """Dotted keys below a type: those of a section, or of each section in a union."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        hints = get_type_hints(annotation)
        keys = []
        for name in annotation.model_fields:
            below = _keys_of(hints[name])
            keys += [f"{name}.{key}" for key in below] or [name]
        return keys
    return list(dict.fromkeys(key for member in get_args(annotation) for key in _keys_of(member)))


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
