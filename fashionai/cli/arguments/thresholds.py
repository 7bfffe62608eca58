"""The option --threshold of commands that score runs."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Optional, TypeVar, Union

import click

from fashionai.cli.arguments.numbers import NumberRange

Command = TypeVar("Command", bound=Callable[..., Any])

AUTO_THRESHOLD = "auto"


class Threshold(click.ParamType):
    """A number from 0 to 1, or auto."""

    name = "number or auto"

    def convert(
        self, value: Any, param: Optional[click.Parameter], ctx: Optional[click.Context]
    ) -> Union[float, str]:
        """Parse the value of the option."""
        if isinstance(value, str) and value.lower() == AUTO_THRESHOLD:
            return AUTO_THRESHOLD
        with contextlib.suppress(ValueError):
            if 0 <= float(value) <= 1:
                return float(value)
        return self.fail(f"found '{value}', expected a number from 0 to 1, or auto", param, ctx)


class Probability(NumberRange):
    """A number from 0 to 1; the error for auto says which command finds it."""

    def __init__(self) -> None:
        super().__init__(0, 1)

    def convert(
        self, value: Any, param: Optional[click.Parameter], ctx: Optional[click.Context]
    ) -> float:
        """Parse the value of the option."""
        if isinstance(value, str) and value.lower() == AUTO_THRESHOLD:
            found = f"found '{value}', expected a number from 0 to 1"
            self.fail(f"{found}: fashionai evaluate --threshold auto finds it", param, ctx)
        return super().convert(value, param, ctx)


def threshold_option(auto: str) -> Callable[[Command], Command]:
    """The option; ``auto`` is the sentence of its help that says what auto stands for."""
    return click.option(
        "--threshold",
        type=Threshold(),
        metavar="P|auto",
        help="With two classes or a held-out background: the probability, from 0 to 1, that "
        f"decides the predicted label. {auto}",
    )
