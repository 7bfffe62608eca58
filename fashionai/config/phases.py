"""The phases of a training, in which different layers learn: the values of ``trainable``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Union

from fashionai.errors import nearest, shown, shown_value

# From the fewest layers that learn to all of them.
TRAINABLE = ("head", "last-stage", "all")


class Phase(NamedTuple):
    """Consecutive epochs in which the same layers learn; ``first``, from 0, is the first one."""

    trainable: str
    first: int
    epochs: int

    @property
    def end(self) -> int:
        """The epoch after its last one."""
        return self.first + self.epochs


def phases_of(trainable: Union[str, Mapping[str, int]], epochs: int) -> list[Phase]:
    """The phases of a training of so many epochs, in their order."""
    if isinstance(trainable, str):
        return [Phase(trainable, 0, epochs)]
    phases: list[Phase] = []
    for name, count in trainable.items():
        phases.append(Phase(name, phases[-1].end if phases else 0, count))
    return phases


def check_trainable(value: Any) -> Union[str, dict[str, int]]:
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
        if type(epochs) is not int or epochs < 1:
            found = shown_value(epochs)
            raise ValueError(f"the epochs of {name} are {found}, expected a whole number > 0")
    ranks = [TRAINABLE.index(name) for name in value]
    if ranks != sorted(ranks):
        raise ValueError(f"expected the order {', '.join(TRAINABLE)}, found {', '.join(value)}")
    return dict(value)


def check_epochs(trainable: Union[str, Mapping[str, int]], epochs: int) -> None:
    """Raise ValueError unless the phases have so many epochs together."""
    if isinstance(trainable, Mapping) and sum(trainable.values()) != epochs:
        raise ValueError(
            f"found {epochs}, but the phases of trainable have {sum(trainable.values())} together"
        )
