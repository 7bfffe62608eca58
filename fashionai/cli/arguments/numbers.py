"""Numbers on the command line."""

from __future__ import annotations

import math
from typing import Any, Optional

import click


class NumberRange(click.FloatRange):
    """A number in a range. Click's own range lets NaN through, which is in no range."""

    def convert(
        self, value: Any, param: Optional[click.Parameter], ctx: Optional[click.Context]
    ) -> float:
        """Parse the value of the option."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"found '{value}', expected a number", param, ctx)
        return number


def parse_numbers(text: str) -> list[float]:
    """The numbers in a text such as ``0.6,0.4``; ValueError for anything else.

    Python also reads ``0_6`` and the digits of other scripts, which nobody means here.
    """
    if "_" in text or not text.isascii():
        raise ValueError("expected digits from 0 to 9")
    return [float(part) for part in text.split(",")]
