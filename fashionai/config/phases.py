"""The phases of a training, in which different layers learn: the values of ``trainable``."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from typing import Any, NamedTuple, Union

from fashionai.errors import nearest, shown, shown_value

# From the fewest layers that learn to all of them.
TRAINABLE = ("head", "last-stage", "all")
# Names of the layers that learn; or of several: the epochs of each, or its share of the epochs.
Trainable = Union[str, Mapping[str, Union[int, float]]]
# Shares that people round may differ by so much from 1 together.
ROUNDING = 0.011


class Phase(NamedTuple):
    """Consecutive epochs in which the same layers learn; ``first``, from 0, is the first one."""

    trainable: str
    first: int
    epochs: int

    @property
    def end(self) -> int:
        """The epoch after its last one."""
        return self.first + self.epochs


def phases_of(trainable: Trainable, epochs: int) -> list[Phase]:
    """The phases of a training of so many epochs, in their order.

    A phase whose share is less than half an epoch is left out.
    """
    if isinstance(trainable, str):
        return [Phase(trainable, 0, epochs)]
    ends = list(accumulate(trainable.values()))
    if not _are_counts(trainable):
        ends = [round(end / ends[-1] * epochs) for end in ends]
    begins = [0, *ends[:-1]]
    phases = zip(trainable, map(int, begins), map(int, ends))
    return [Phase(name, begin, end - begin) for name, begin, end in phases if end > begin]


def _are_counts(trainable: Mapping[str, Union[int, float]]) -> bool:
    return all(isinstance(value, int) for value in trainable.values())


def check_trainable(value: Any) -> Union[str, dict[str, Union[int, float]]]:
    """A value of ``trainable`` as the models hold it; ValueError for one that is wrong."""
    if isinstance(value, str) and value in TRAINABLE:
        return value
    if not isinstance(value, Mapping) or not value:
        raise ValueError(
            "expected all, last-stage, head, or epochs of them such as {head: 2, all: 18}, "
            f"found {shown_value(value)}"
        )
    for name, epochs in value.items():
        if name not in TRAINABLE:
            raise ValueError(f"found '{shown(str(name))}'. {nearest(str(name), TRAINABLE)}")
        if type(epochs) not in (int, float) or not epochs > 0:
            found = shown_value(epochs)
            raise ValueError(f"the epochs of {name} are {found}, expected a number > 0")
    if not _are_counts(value) and abs(sum(value.values()) - 1) > ROUNDING:
        found = shown_value(list(value.values()))
        raise ValueError(f"expected whole numbers, or shares that add up to 1, found {found}")
    ranks = [TRAINABLE.index(name) for name in value]
    if ranks != sorted(ranks):
        raise ValueError(f"expected the order {', '.join(TRAINABLE)}, found {', '.join(value)}")
    return dict(value)


def check_epochs(trainable: Trainable, epochs: int) -> None:
    """Raise ValueError unless the phases have so many epochs together."""
    total = phases_of(trainable, epochs)[-1].end
    if total != epochs:
        raise ValueError(f"found {epochs}, but the phases of trainable have {total} together")
