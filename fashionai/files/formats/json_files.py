"""JSON that other programs, or people, may have changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def parse_json(text: str) -> Any:
    """The value of a JSON text; ValueError for any other text, also if it is nested too deep."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None


def read_json(path: Path) -> Any:
    """The value in a JSON file in UTF-8; ValueError for any other content, and OSError."""
    return parse_json(path.read_text(encoding="utf-8"))
