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
