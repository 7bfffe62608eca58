"""Durations on the command line, such as 10m."""

from __future__ import annotations

import re
from typing import Any, Optional

import click

SECONDS = {"s": 1, "m": 60, "h": 3600}


class Duration(click.ParamType):
    """A time such as 90s, 10m or 1.5h, as seconds."""

    name = "time"

    def convert(
        self, value: Any, param: Optional[click.Parameter], ctx: Optional[click.Context]
    ) -> float:
        """Return the number of seconds."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", str(value))
        if found is None or not float(found[1]):
            self.fail(f"found '{value}', expected a time such as 90s, 10m or 1.5h", param, ctx)
        return float(found[1]) * SECONDS[found[2]]
