"""The search space of a configuration where the user gives none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from fashionai.config import Config
from fashionai.models.catalogue import find_network, relative_cost
from fashionai.models.networks.registry import WITH_DROP_PATH
from fashionai.tuning.spaces.files import choices_of
from fashionai.tuning.spaces.space import CROP, Choices, Numbers, Parameter, Space, with_values

# Rates are searched up to so many times, and down to this part of, the user's.
FACTOR = 10
# Where the user's weight decay is 0.
WEIGHT_DECAYS = (1e-6, 1e-3)
MOST_MIXUP, MOST_SMOOTHING, MOST_DROP_PATH, LEAST_LAYER_DECAY = 0.4, 0.2, 0.3, 0.6
# Transformers, and networks that are trained like them, learn better with rates per layer.
WITH_LAYER_DECAY = ("vit", "deit3", "convnext")
# Networks beside the user's.
MOST_OTHERS = 3
POLICIES: dict[str, dict[str, Any]] = {
    "trivial_augment": {"name": "trivial_augment"},
    "rand_augment-5": {"name": "rand_augment", "magnitude": 5.0},
    "rand_augment-10": {"name": "rand_augment", "magnitude": 10.0},
}
# The side of crops changes by multiples of this many pixels; for networks of small images by 4.
CROP_STEP, SMALL_CROP_STEP, SMALL_SIDE = 32, 4, 64
LEAST_CROP, MOST_CROP = 0.7, 1.4


def default_space(config: Config, networks: Sequence[str], most_cost: float) -> Space:
    """The parameters that usually matter for a network of this family.

    ``networks`` may replace the configuration's, the best first. Each network at the crop of the
    configuration, and each crop with its network, costs at most ``most_cost`` times as much per
    image; a trial with both may cost the product. Where the output layer alone learns, on features
    that are computed once, what changes the features is not searched.
    """
    names = [config.model.name, *_within(config, networks, most_cost)]
    of_network = _of_network(config, names, most_cost)
    return Space([*_of_optimizer(config), *_of_loss(config), *of_network])


def _learns_output_alone(config: Config) -> bool:
    return config.trainable == "head"


def _of_optimizer(config: Config) -> Iterator[Parameter]:
    optimizer = config.optimizer
    yield Parameter("optimizer.lr", _around(optimizer.lr))
    decays = Numbers(*WEIGHT_DECAYS, log=True)
    if optimizer.weight_decay:
        decays = _around(optimizer.weight_decay)
    yield Parameter("optimizer.weight_decay", decays)
    names = dict.fromkeys((config.schedule.name, "cosine", "one_cycle"))
    yield Parameter("schedule.name", choices_of([*names]))


def _of_loss(config: Config) -> Iterator[Parameter]:
    smoothing = config.loss.label_smoothing
    yield Parameter("loss.label_smoothing", Numbers(0.0, max(MOST_SMOOTHING, smoothing)))
    if not _learns_output_alone(config):
        yield Parameter("loss.mixup", Numbers(0.0, max(MOST_MIXUP, config.loss.mixup)))
        yield Parameter("data.augment", _augmentations(config))


def _of_network(config: Config, networks: Sequence[str], most_cost: float) -> Iterator[Parameter]:
    if len(networks) > 1:
        yield Parameter("model.name", choices_of([*networks]))
    crops = _crops(config, most_cost)
    if crops.low < crops.high:
        yield Parameter(CROP, crops)
    if _learns_output_alone(config):
        return
    dropping = [name for name in networks if name in WITH_DROP_PATH]
    decaying = [name for name in networks if name.startswith(WITH_LAYER_DECAY)]
    most = max(MOST_DROP_PATH, config.model.drop_path)
    for key, numbers, names in (
        ("model.drop_path", Numbers(0.0, most), dropping),
        ("optimizer.layer_decay", Numbers(LEAST_LAYER_DECAY, 1.0), decaying),
    ):
        if names:
            yield Parameter(key, numbers, {"model.name": names} if len(networks) > 1 else {})


def _around(value: float) -> Numbers:
    return Numbers(float(f"{value / FACTOR:.3g}"), float(f"{value * FACTOR:.3g}"), log=True)


def _augmentations(config: Config) -> Choices:
    """The configuration's list, and the list with each other policy in place of its own one."""
    configured = config.model_dump()["data"]["augment"]
    plain = [step for step in configured if step["name"] not in (*_policy_names(), "aug_mix")]
    lists = {name: [*plain, policy] for name, policy in POLICIES.items()}
    others = {
        name: steps
        for name, steps in lists.items()
        if with_values(config, {"data.augment": steps}) != config
    }
    return Choices({"configured": configured, **others})


def _policy_names() -> set[str]:
    return {policy["name"] for policy in POLICIES.values()}


def _within(config: Config, networks: Sequence[str], most_cost: float) -> list[str]:
    """The first ones of other networks that cost no more than the bound."""
    own, crop = config.model.name, config.data.crop
    limit = most_cost * relative_cost(own, crop)
    others = [name for name in networks if name != own and relative_cost(name, crop) <= limit]
    if config.model.drop_path:  # which trials with these networks keep
        others = [name for name in others if name in WITH_DROP_PATH]
    return others[:MOST_OTHERS]


def _crops(config: Config, most_cost: float) -> Numbers:
    """The sides of crops around the configuration's, in pixels."""
    crop = config.data.crop
    step = SMALL_CROP_STEP if find_network(config.model.name).pixels <= SMALL_SIDE else CROP_STEP
    down = math.floor((1 - LEAST_CROP) * crop / step)
    up = math.floor((min(MOST_CROP, math.sqrt(most_cost)) - 1) * crop / step)
    if config.data.sizes:
        down = up = 0
    return Numbers(crop - down * step, crop + up * step, step=step, whole=True)
