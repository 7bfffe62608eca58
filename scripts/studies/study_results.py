"""The results of a study so far, in results.json of its folder: none is computed twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fashionai.files import write_json

FILE = "results.json"


def read_results(out: Path) -> dict[str, dict[str, Any]]:
    """The results of the study in this folder by name; none before the first is written."""
    file = out / FILE
    if not file.is_file():
        return {}
    results: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return results


def write_results(out: Path, results: dict[str, dict[str, Any]]) -> None:
    """Write all results of the study in this folder."""
    write_json(out / FILE, results)
