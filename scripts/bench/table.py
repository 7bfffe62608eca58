"""Prints all results of a folder as Markdown: usage: table.py FOLDER."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import HEADER, markdown_header, markdown_row

ORDER = (
    *("train_loop", "train_tutorial", "train_torchvision", "loader", "ten_crop", "ten_crop_int8"),
    *("accuracy_int8", "forward_onnx", "export_onnx", "head_epoch", "memory", "prepare"),
    *("peak", "growth"),
)


def main(folder: Path) -> None:
    """Print them."""
    files = [folder / f"{name}.json" for name in ORDER]
    print(results_text([json.loads(file.read_text()) for file in files if file.is_file()]))


def results_text(results: Sequence[dict[str, Any]]) -> str:
    """Where and when, then one table of all comparisons, then the tables that stand alone."""
    entries = [entry for result in results for entry in result["rows"]]
    machines = dict.fromkeys(
        "{processor}, {cores} cores, {memory_gb} GB, {system}".format(**result["machine"])
        for result in results
    )
    measured = dict.fromkeys("{date}, revision {revision}".format(**result) for result in results)
    lines = [*machines, *measured, ""]
    if any(result["quick"] for result in results):
        lines.insert(0, "--quick: these figures mean nothing")
    lines += [markdown_header(HEADER), *(entry["row"] for entry in entries if "row" in entry)]
    return "\n".join([*lines, *(table_text(entry) for entry in entries if "title" in entry)])


def table_text(table: dict[str, Any]) -> str:
    """A table with its title."""
    rows = [markdown_row(row) for row in table["rows"]]
    return "\n".join(["", table["title"], "", markdown_header(table["header"]), *rows])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
