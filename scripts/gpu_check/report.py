"""The results as one JSON file and one table in Markdown."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from gpu_check.plan import PARTS
from gpu_check.progress import BEGUN

JSON_FILE, TABLE_FILE = "check_gpu.json", "check_gpu.md"
STATES = {True: "yes", False: "NO", None: ""}


def write_report(out: Path, rows: list[dict[str, Any]], device: str, plan: str) -> Path:
    """Write both files; returns the path of the table."""
    card = next((str(row["value"]) for row in rows if row["name"] == "card"), "unknown")
    rows = sorted(rows, key=lambda row: PARTS.index(row["part"]))
    named = [{**row, "card": card} for row in rows]
    report = {
        "date": time.strftime("%Y-%m-%d"),
        "card": card,
        "device": device,
        "size": plan,
        "seconds": round(time.monotonic() - BEGUN, 1),
        "passed": not any(row["passed"] is False for row in rows),
        "rows": named,
    }
    _replace(out / JSON_FILE, json.dumps(report, indent=1) + "\n")
    lines = [
        f"{card}, {report['date']}, {report['seconds']:.0f} s",
        "",
        "| part | what | value | expected | as expected | notes |",
        "| --- | --- | --- | --- | --- | --- |",
        *(_line(row) for row in rows),
    ]
    _replace(out / TABLE_FILE, "\n".join(lines) + "\n")
    return out / TABLE_FILE


def _line(row: dict[str, Any]) -> str:
    state = row["passed"] if row.get("goal_met") is None else row["goal_met"]
    notes = [
        row["note"],
        *(
            f"{text} {row[key]:{form}}{unit}"
            for key, text, form, unit in (
                ("waiting_share", "waits for data", ".1%", ""),
                ("host_share", "Python's steps", ".0%", ""),
                ("peak_gigabytes", "peak", ".2f", " GB"),
                ("first_step_seconds", "first step", ".0f", " s"),
                ("constant_images_per_second", "constant batch", ",.0f", " images/s"),
            )
            if key in row
        ),
    ]
    value = row["value"]
    number = f"{value:,.4g}" if isinstance(value, float) and value < 1000 else value
    if isinstance(value, float) and value >= 1000:
        number = f"{value:,.0f}"
    shown = "" if value is None else f"{number} {row['unit']}".strip()
    cells = [row["part"], row["name"], shown, row["expected"], STATES[state]]
    cells.append("; ".join(note for note in notes if note))
    return "| " + " | ".join(str(cell).replace("|", "/") for cell in cells) + " |"


def _replace(file: Path, text: str) -> None:
    partial = file.with_suffix(".part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)
