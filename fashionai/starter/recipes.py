"""Recipes: settings that belong together, such as layers that learn, learning rate and epochs.

A new recipe is one entry of FOR_FEW_IMAGES or FOR_MANY_IMAGES.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from fashionai.starter.survey import Survey

# With fewer training images the output layer learns first; deeper networks mainly memorize them.
FEW_IMAGES = 2_000


class Recipe(NamedTuple):
    """The settings that depend on where the weights come from and on what learns.

    ``lr`` is the learning rate for the batch size ``largest_batch``, None where it is not known;
    ``optimizer`` has the other keys of the optimizer. Training shows ``images_in_all`` images, in
    ``fewest`` to ``most`` epochs. ``reason`` follows ``trainable`` in a comment. ``keeps_features``
    tells that the network computes each image only once, so that an epoch costs nearly nothing.
    """

    pretrained: bool
    trainable: Any
    reason: str
    largest_batch: int
    lr: Optional[float]
    optimizer: Mapping[str, Any]
    schedule: Mapping[str, Any]
    images_in_all: int
    fewest: int
    most: int
    augment: tuple[Mapping[str, Any], ...] = (
        {"name": "random_crop"},
        {"name": "mirror", "p": 0.5},
    )
    keeps_features: bool = False

    def with_optimizer(self, name: Optional[str]) -> Recipe:
        """The recipe with an optimizer that was asked for, which may need another rate and decay.

        NAG takes those of SGD.
        """
        own = self.optimizer["name"]
        if name in (None, own) or {name, own} == {"sgd", "nag"}:
            return self
        return self._replace(optimizer={"name": name}, lr=None)


SCRATCH = Recipe(
    pretrained=False,
    trainable="all",
    reason="random weights: every layer has to learn",
    largest_batch=128,
    lr=0.1,
    optimizer={"name": "sgd", "momentum": 0.9, "weight_decay": 5e-4},
    schedule={"name": "cosine", "warmup_epochs": 1},
    images_in_all=1_000_000,
    fewest=15,
    most=60,
)
# The figures are those of docs/training.md, "Frozen layers".
HEAD = Recipe(
    pretrained=True,
    trainable="head",
    reason="the output layer, on features that are computed once",
    largest_batch=16,
    lr=0.002,
    optimizer={"name": "adamw", "weight_decay": 0.1},
    schedule={"name": "cosine"},
    images_in_all=100_000,
    fewest=20,
    most=40,
    augment=(),
    keeps_features=True,
)
# The figures are those of docs/studies.md, "Fine-tuning all layers".
HEAD_FIRST = Recipe(
    pretrained=True,
    trainable={"head": 0.3, "all": 0.7},
    reason="head alone takes a small part of the time",
    largest_batch=16,
    lr=0.001,
    optimizer={"name": "adamw", "weight_decay": 0.1},
    schedule={"name": "cosine", "warmup_epochs": 1},
    images_in_all=15_000,
    fewest=8,
    most=12,
)
WHOLE = Recipe(
    pretrained=True,
    trainable="all",
    reason="every layer; head alone takes a small part of the time",
    largest_batch=64,
    lr=0.01,
    optimizer={"name": "sgd", "momentum": 0.9, "weight_decay": 1e-4},
    schedule={"name": "one_cycle"},
    images_in_all=500_000,
    fewest=10,
    most=40,
)
FOR_FEW_IMAGES, FOR_MANY_IMAGES = (HEAD_FIRST, HEAD), (WHOLE, HEAD)


def pretrained_recipes(survey: Survey) -> tuple[Recipe, ...]:
    """The recipes that start from pretrained weights; where there is time, the first is best."""
    return FOR_FEW_IMAGES if survey.images < FEW_IMAGES else FOR_MANY_IMAGES
