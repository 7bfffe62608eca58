"""Prints the table of results, all in a folder: usage: table.py FOLDER."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from harness import MARKDOWN_HEADER

ORDER = (
    *("train_loop", "train_tutorial", "train_torchvision", "loader", "ten_crop", "ten_crop_int8"),
    *("accuracy_int8", "forward_onnx", "export_onnx", "head_epoch", "memory", "prepare"),
)


def table(folder: Path) -> str:
    """The rows of all results that are there, in the order of the scripts, below what measured."""
    files = [folder / f"{name}.json" for name in ORDER]
    results = [json.loads(file.read_text()) for file in files if file.is_file()]
    machines = dict.fromkeys(
        "{processor}, {cores} cores, {memory_gb} GB".format(**result["machine"])
        for result in results
    )
    dates = sorted({result["date"] for result in results})
    lines = [*machines, ", ".join(dates), "", MARKDOWN_HEADER]
    lines += [row["row"] for result in results for row in result["rows"]]
    if any(result["quick"] for result in results):
        lines.insert(0, "--quick: these figures mean nothing")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(Path(sys.argv[1])))
