"""Prints the results in a folder as Markdown: usage: table.py FOLDER."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Optional

from harness import MARKDOWN_HEADER

ROWS = (
    *("train_loop", "train_tutorial", "train_torchvision", "loader", "ten_crop", "ten_crop_int8"),
    *("accuracy_int8", "forward_onnx", "export_onnx", "head_epoch", "memory", "prepare"),
)


def results_table(folder: Path) -> str:
    """The rows of all results that are there, in the order of ROWS, below what measured them."""
    results = [result for name in ROWS if (result := read(folder, name)) is not None]
    rows = [row for result in results for row in result["rows"]]
    machines = dict.fromkeys(
        "{processor}, {cores} cores, {memory_gb} GB".format(**result["machine"])
        for result in results
    )
    dates = sorted({result["date"] for result in results})
    lines = [*machines, ", ".join(dates), *versions(rows), "", MARKDOWN_HEADER]
    if any(result["quick"] for result in results):
        lines.insert(0, "--quick: these figures mean nothing")
    return "\n".join(lines + [row["row"] for row in rows])


def versions(rows: list[dict[str, Any]]) -> list[str]:
    """A line for each side with the packages of all its rows."""
    lines = []
    for at, name in enumerate(("theirs", "ours")):
        found: dict[str, dict[str, None]] = {}
        for row in rows:
            for package, number in (row["sides"][at]["versions"] if "sides" in row else {}).items():
                found.setdefault(package, {})[number] = None
        lines.append(f"{name}: " + ", ".join(f"{p} {' and '.join(n)}" for p, n in found.items()))
    return lines


def growth_tables(growth: dict[str, Any]) -> str:
    """The tables of growth.py."""
    lines = []
    for table in growth["rows"]:
        lines += ["", table["title"], "", f"| {' | '.join(table['header'])} |"]
        lines.append("|" + " --- |" * len(table["header"]))
        lines += [f"| {' | '.join(row)} |" for row in table["rows"]]
    return "\n".join(lines)


def peak_lines(peak: dict[str, Any]) -> str:
    """What peak.py measured."""
    return "\n".join(
        f"{row['library']}, {row['threads']} threads: {row['gflops']:.0f} GFLOP/s"
        for row in peak["rows"]
    )


def read(folder: Path, name: str) -> Optional[dict[str, Any]]:
    """A script's result, if it is there."""
    file = folder / f"{name}.json"
    return json.loads(file.read_text()) if file.is_file() else None


def main() -> None:
    """Print all that is there."""
    folder = Path(sys.argv[1])
    print(results_table(folder))
    for name, show in (("peak", peak_lines), ("growth", growth_tables)):
        result = read(folder, name)
        if result is not None:
            print("", show(result), sep="\n")


if __name__ == "__main__":
    main()
