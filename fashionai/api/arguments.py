"""Arguments that the functions for scripts have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Union

from fashionai.errors import ConfigError, nearest, shown_value
from fashionai.files.frames import is_frame
from fashionai.files.paths import PathLike
from fashionai.runs import Run

RunLike = Union[PathLike, Run]


def check_roles(columns: Mapping[str, str], roles: Sequence[str]) -> None:
    """ConfigError for a role that a column cannot have."""
    for role in columns:
        if role not in roles:
            raise ConfigError(
                f"columns: unknown role {shown_value(role)}", nearest(str(role), roles)
            )


def listed(value: Any) -> list[Any]:
    """A list of one value or of several; empty for None."""
    if value is None:
        return []
    is_one = isinstance(value, (str, Path, Run)) or is_frame(value)
    return [value] if is_one else list(value)
