"""The most probable classes of an image as lines for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from fashionai.reporting.tables import WIDTH
from fashionai.tasks import Task
from fashionai.text_width import keep_end, left_aligned, text_width

ClassProbabilities = Sequence[tuple[str, float]]
INDENT = "  "
# Keeps a class and its probability on one line.
UNBROKEN = "\N{NO-BREAK SPACE}"


def image_lines(image: str, tasks: Mapping[Task, ClassProbabilities]) -> list[str]:
    """The name of the image, then one line per class; for several tasks, one line per task."""
    lines = [keep_end(image, WIDTH)]
    if len(tasks) > 1:
        width = max(text_width(task.short_name) for task in tasks)
        for task, ranked in tasks.items():
            lines += _task_lines(left_aligned(task.short_name, width), ranked)
        return lines
    (ranked,) = tasks.values()
    width = min(max(text_width(name) for name, _ in ranked), WIDTH - 14)
    for name, value in ranked:
        lines.append(f"{INDENT}{left_aligned(keep_end(name, width), width)}  {100 * value:5.1f} %")
    return lines


def _task_lines(heading: str, ranked: ClassProbabilities) -> list[str]:
    """``skirt  Short 91.2 %, Knee 5.1 %``; further lines are indented to the first class."""
    parts = (f"{name} {100 * value:.1f} %".replace(" ", UNBROKEN) for name, value in ranked)
    opening = f"{INDENT}{heading}{INDENT}"
    lines = textwrap.wrap(
        ", ".join(parts),
        WIDTH,
        initial_indent=opening,
        subsequent_indent=" " * len(opening),
        break_on_hyphens=False,
    )
    return [line.replace(UNBROKEN, " ") for line in lines]
