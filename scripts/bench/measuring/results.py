"""The results of a benchmark script: Markdown tables and the JSON file."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from measuring.options import Options
from measuring.paths import ROOT

HEADER = ("what", "peer", "peer's median", "ours", "ratio", "spread", "target", "met")


def result_row(cells: Sequence[str], **figures: Any) -> dict[str, Any]:
    """Print a row of the table; returns it with its figures, for write_results."""
    row = markdown_row(cells)
    print(row, flush=True)
    return {"row": row, **figures}


def write_results(rows: Sequence[dict[str, Any]], options: Options) -> None:
    """Write ``SCRIPT.json`` below ``options.out``, or nothing when that is None."""
    if options.out is None:
        return
    result = {
        "rows": rows,
        "machine": machine(),
        "date": date.today().isoformat(),
        "revision": revision(),
        "quick": options.quick,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=2, default=str)
    (options.out / f"{Path(sys.argv[0]).stem}.json").write_text(text + "\n")


def markdown_row(cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def markdown_header(names: Sequence[str]) -> str:
    """The first two lines of a Markdown table."""
    return markdown_row(names) + "\n" + markdown_row(["---"] * len(names))


def table_text(table: dict[str, Any]) -> str:
    """A table with its title, as Markdown."""
    rows = [markdown_row(row) for row in table["rows"]]
    return "\n".join(["", table["title"], "", markdown_header(table["header"]), *rows])


def machine() -> dict[str, Any]:
    """Processor, number of cores, memory in GB and operating system."""
    text = Path("/proc/cpuinfo").read_text()
    model = next((line for line in text.splitlines() if line.startswith("model name")), ":")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": model.split(":")[1].strip(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory / 2**30, 1),
        "system": platform.platform(),
    }


def revision() -> str:
    """The commit, with "-dirty" if files were changed since; empty without Git."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:
        return ""
