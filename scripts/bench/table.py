"""Prints the results of the benchmarks as Markdown."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measuring.results import HEADER, markdown_header, table_text

# The benchmarks in the order of the table.
ORDER = (
    "train_loop",
    "train_tutorial",
    "train_torchvision",
    "train_mobilenet",
    "engines",
    "kept_memory",
    "loader",
    "ten_crop",
    "ten_crop_int8",
    "accuracy_int8",
    "transfer_int8",
    "families",
    "forward_onnx",
    "export_onnx",
    "head_epoch",
    "memory",
    "prepare",
    "peak",
    "growth",
)


def main() -> None:
    """Print the results that the folder holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder with a JSON file per benchmark")
    folder = parser.parse_args().folder
    files = [folder / f"{name}.json" for name in ORDER]
    print(results_text([json.loads(file.read_text()) for file in files if file.is_file()]))


def results_text(results: Sequence[dict[str, Any]]) -> str:
    """Machines and dates, then one table of all comparisons, then the tables with a title."""
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


if __name__ == "__main__":
    main()
