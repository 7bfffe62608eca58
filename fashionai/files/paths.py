"""Paths as callers give them."""

from __future__ import annotations

from pathlib import Path
from typing import Union

# Public functions take texts as well as paths.
PathLike = Union[str, Path]
