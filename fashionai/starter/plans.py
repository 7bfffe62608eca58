"""Plans: network, recipe, crop and epochs for a task, a machine and the time that there is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Optional

from fashionai.config import Config
from fashionai.config.sections import OptimizerConfig
from fashionai.errors import ConfigError
from fashionai.models.catalogue import Network, find_network, relative_cost
from fashionai.starter.recipes import FEW_IMAGES, SCRATCH, Recipe, pretrained_recipes
from fashionai.starter.survey import Survey
from fashionai.starter.wishes import Wishes
from fashionai.training.speed.estimate import Speed, training_seconds
from fashionai.weights.availability import Obtainable

# The largest short sides, in pixels, for the small network and for a crop below ImageNet's.
SMALL_SIDE, MEDIUM_SIDE = 64, 160
SMALL_NETWORK = "small_cnn"
# The multiply-accumulates per image of the networks that are recommended: without a GPU, for few or
# medium images; and else. Of few images, the output layer of EfficientNet-Lite0 learns more than
# that of MobileNetV2 (docs/studies.md); of larger networks this is not known.
FEWER_OPERATIONS, MOST_OPERATIONS = 0.5e9, 6e9
# Smaller crops that are tried where time is short, in pixels.
SMALLER_CROPS = (160, 128)
# A network may be so many times as fast as its cost suggests, compared with another.
OPTIMISM = 2
# The memory that a batch may take.
MEMORY_GIGABYTES = 6
# The batch size is halved until an epoch has this many steps, but not below the smallest batch.
SMALLEST_BATCH, STEPS_PER_EPOCH = 8, 16
# Of networks: the megabytes that training takes per image, measured on the CPU, and the side in
# pixels of the square images of that measurement. Others are taken to need the most of them.
MEMORY = {
    SMALL_NETWORK: (5.2, 64),
    "resnet18_v2": (26.0, 224),
    "resnet50_v2": (86.0, 224),
}

# The speed of a network on this machine, see fashionai.starter.timing.
Measure = Callable[[str, int], Speed]


class Machine(NamedTuple):
    """What there is to train with: a GPU or none, and networks whose weights can be had."""

    on_gpu: bool
    obtainable: Obtainable


class Plan(NamedTuple):
    """The choices of a configuration, with the reason for each.

    ``accumulate`` is the number of batches per update. ``seconds`` is the estimated time where one
    was asked for, else None.
    """

    network: str
    network_reason: str
    recipe: Recipe
    crop: int
    crop_reason: str
    batch_size: int
    epochs: int
    accumulate: int
    seconds: Optional[float] = None

    @property
    def memory(self) -> float:
        """The megabytes that a batch takes per image, features nearly none."""
        return _memory(self.network, self.recipe, self.crop)

    @property
    def largest_batch(self) -> int:
        """The largest batch size that the recipe allows: its own is that of an update."""
        return max(1, self.recipe.largest_batch // self.accumulate)

    @property
    def lr(self) -> float:
        """The learning rate for the images per update."""
        recipe = self.recipe
        if recipe.lr is None:
            return OptimizerConfig().lr
        return recipe.lr * self.batch_size * self.accumulate / recipe.largest_batch


def recommend(survey: Survey, machine: Machine, wishes: Wishes) -> Plan:
    """The plan for a task where no time was given."""
    network, reason, recipe = _choose_network(survey, machine, wishes)
    return _plan(survey, network, reason, recipe, *_crops(survey, network, wishes)[0], wishes)


def fit_time(
    survey: Survey,
    machine: Machine,
    wishes: Wishes,
    seconds: float,
    measure: Measure,
    resolve: Callable[[Plan], Config],
) -> Plan:
    """The best plan that takes at most ``seconds``, by the estimate; else the fastest one.

    ``resolve`` returns the configuration of a plan, with the overrides of ``wishes``.
    """
    speeds = _Speeds(measure)
    first = resolve(recommend(survey, machine, wishes))
    speeds.measured(first.model.name, first.data.crop)
    plans = []
    for plan in _alternatives(survey, machine, wishes):
        config = resolve(plan)
        name, crop = config.model.name, config.data.crop
        fewest = wishes.epochs or min(plan.recipe.fewest, config.epochs)
        best = _shortened(plan, config, speeds.highest(name, crop), survey, seconds, fewest)
        if _seconds_of(best) > seconds and name not in speeds:
            continue  # To measure a network that is far too slow takes long.
        timed = _shortened(plan, config, speeds.measured(name, crop), survey, seconds, fewest)
        if _seconds_of(timed) <= seconds:
            return timed
        plans.append(timed)
    return min(plans, key=_seconds_of)


class _Speeds:
    """The measured speeds of networks, and the highest that others can be expected to have."""

    def __init__(self, measure: Measure) -> None:
        self._measure = measure
        self._known: dict[str, tuple[Speed, int]] = {}

    def __contains__(self, network: str) -> bool:
        return network in self._known

    def measured(self, network: str, crop: int) -> Speed:
        """The speed of a network, measured for the first crop that is asked for."""
        if network not in self._known:
            self._known[network] = self._measure(network, crop), crop
        speed, known_crop = self._known[network]
        return speed.at_crop(crop / known_crop)

    def highest(self, network: str, crop: int) -> Speed:
        """The speed of a measured network; else what its cost makes of the first one's."""
        if network in self._known:
            return self.measured(network, crop)
        name, (speed, known_crop) = next(iter(self._known.items()))
        ratio = relative_cost(network, crop) / relative_cost(name, known_crop) / OPTIMISM
        return Speed(speed.step * ratio, speed.forward * ratio)


def choose_crop(short_side: int, network: str) -> tuple[int, str]:
    """Return the side of the crop in pixels, and the reason."""
    if short_side > MEDIUM_SIDE:
        return 224, "The crop is ImageNet's; the cost of a larger one grows with its area."
    if find_network(network).pixels <= SMALL_SIDE:
        return max(short_side // 4 * 4, 8), "The crop is the largest multiple of 4 that fits."
    # Networks for larger images halve the sides five times.
    if short_side < 32:
        return 32, "The crop is the smallest one that this network takes."
    return short_side // 32 * 32, "The crop is the largest multiple of 32 that fits."


def _memory(network: str, recipe: Recipe, crop: int) -> float:
    """The megabytes that a batch takes per image."""
    if recipe.keeps_features:
        return 0.0
    megabytes, side = MEMORY.get(network, MEMORY["resnet50_v2"])
    return megabytes * (crop / side) ** 2


def _seconds_of(plan: Plan) -> float:
    return math.inf if plan.seconds is None else plan.seconds


def _shortened(
    plan: Plan, config: Config, speed: Speed, survey: Survey, seconds: float, fewest: int
) -> Plan:
    """The plan with as many epochs as fit the time, but not fewer than ``fewest``."""
    images, epochs = (survey.images, survey.val_images), config.epochs
    estimated = training_seconds(config, speed, *images, epochs)
    while epochs > fewest and estimated > seconds:
        epochs -= 1
        estimated = training_seconds(config, speed, *images, epochs)
    return plan._replace(epochs=epochs, seconds=estimated)


def _alternatives(survey: Survey, machine: Machine, wishes: Wishes) -> Iterator[Plan]:
    """Plans, the one that is expected to score best where time does not matter first."""
    network, reason, recipe = _choose_network(survey, machine, wishes)
    networks, recipes = [(network, reason)], [recipe]
    if recipe.pretrained:
        recipes = _pretrained_recipes(survey, wishes)
    # A file of weights is of one network.
    chooses = wishes.model is None and not isinstance(wishes.pretrained, str)
    if recipe.pretrained and chooses and machine.obtainable.networks:
        networks = [(each.name, machine.obtainable.how) for each in machine.obtainable.networks]
    for crop, why in _crops(survey, network, wishes):
        for recipe in recipes:
            for network, reason in networks:
                yield _plan(survey, network, reason, recipe, crop, why, wishes)


def _crops(survey: Survey, network: str, wishes: Wishes) -> list[tuple[int, str]]:
    """The sides of crops to choose from, with their reasons."""
    largest, reason = choose_crop(survey.short_side, network)
    if wishes.crop is not None:
        return [(wishes.crop, "")]
    smaller = [each for each in SMALLER_CROPS if each < largest]
    why = f"The crop fits the time; {largest} is better."
    return [(largest, reason), *((each, why) for each in smaller)]


def _plan(
    survey: Survey,
    network: str,
    reason: str,
    recipe: Recipe,
    crop: int,
    crop_reason: str,
    wishes: Wishes,
) -> Plan:
    epochs = min(max(round(recipe.images_in_all / survey.images), recipe.fewest), recipe.most)
    plan = Plan(
        network,
        reason,
        recipe.with_optimizer(wishes.optimizer),
        crop,
        crop_reason,
        wishes.batch_size or 1,
        wishes.epochs or epochs,
        wishes.accumulate,
    )
    if wishes.batch_size:
        return plan
    images = survey.images // plan.accumulate  # of each batch of an update
    return plan._replace(batch_size=_choose_batch(images, plan.largest_batch, plan.memory))


def _choose_network(survey: Survey, machine: Machine, wishes: Wishes) -> tuple[str, str, Recipe]:
    """Return the name of the network, the reason, and the recommended recipe.

    Raises ConfigError for a model that is unknown, and for a file of weights without a model.
    """
    networks = () if wishes.pretrained is False else machine.obtainable.networks
    how, (from_weights, *_) = machine.obtainable.how, _pretrained_recipes(survey, wishes)
    if wishes.model is not None:
        found = find_network(wishes.model) in networks
        recipe = from_weights if found or wishes.pretrained else SCRATCH
        return wishes.model, _reason_of_asked(found, how, wishes), recipe
    if isinstance(wishes.pretrained, str):
        raise ConfigError(
            f"model.pretrained: {wishes.pretrained} has the weights of one network",
            "Name it with --model",
        )
    if takes_small_network(survey, wishes):
        return SMALL_NETWORK, f"made for images of up to {SMALL_SIDE} pixels", SCRATCH
    if networks:
        chosen = _most_accurate(networks, _most_operations(survey, machine))
        return chosen.name, how, from_weights
    if wishes.pretrained is False:
        return "resnet18_v2", "it learns well from random weights", SCRATCH
    recipe = from_weights if wishes.pretrained else SCRATCH
    return "resnet18_v2", "there are no pretrained weights of any network here", recipe


def _reason_of_asked(found: bool, how: str, wishes: Wishes) -> str:
    """The reason for a network that was asked for; ``found`` tells that its weights can be had."""
    where = f"; {how}" if found and how else ""
    if not found and wishes.pretrained is None:
        where = "; no pretrained weights of it are at hand, so that it begins with random ones"
    return f"the network that was asked for{where}"


def takes_small_network(survey: Survey, wishes: Wishes) -> bool:
    """Whether small images get the network for them, of which there are no pretrained weights."""
    return survey.short_side <= SMALL_SIDE and not wishes.pretrained


def _pretrained_recipes(survey: Survey, wishes: Wishes) -> list[Recipe]:
    """The recipes for pretrained weights: the one of the layers that learn, if there is one."""
    recipes = [*pretrained_recipes(survey)]
    if wishes.trainable is None:
        return recipes
    return [each for each in recipes if each.trainable == wishes.trainable] or recipes[:1]


def _most_operations(survey: Survey, machine: Machine) -> float:
    """The multiply-accumulates per image that a network for this task should take at most."""
    few = survey.images < FEW_IMAGES or survey.short_side <= MEDIUM_SIDE
    return FEWER_OPERATIONS if few or not machine.on_gpu else MOST_OPERATIONS


def _most_accurate(networks: Sequence[Network], operations: float) -> Network:
    """The most accurate network within so many operations; the smallest where none is.

    ``networks`` are ordered by accuracy.
    """
    within = [network for network in networks if network.operations <= operations]
    return within[0] if within else min(networks, key=lambda network: network.operations)


def _choose_batch(images: int, largest: int, megabytes: float) -> int:
    """Return the largest batch size that fits the memory and leaves an epoch enough steps."""
    batch = largest
    while batch > SMALLEST_BATCH and (
        batch * megabytes > 1000 * MEMORY_GIGABYTES or images < batch * STEPS_PER_EPOCH
    ):
        batch //= 2
    return batch
