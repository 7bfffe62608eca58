"""A run's network for other programs: what every format has in common."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from fashionai.engines.agreement import TOLERANCE, Agreement
from fashionai.errors import RunError, WeightsError
from fashionai.files import as_json, atomic_path
from fashionai.runs import Run

DESCRIPTION_FILE = "model.json"


class Exported(NamedTuple):
    """What was written, and how near its probabilities are to the run's.

    ``description`` says for people what it is, ``checked_on`` which images that is of.
    """

    folder: Path
    description: str
    checked_on: str
    agreement: Agreement


def check_free(folder: Path) -> None:
    """RunError for a folder that is not empty, or that is a file."""
    if folder.is_file():
        raise RunError(f"{folder}: is a file, expected a folder to write to")
    if folder.exists() and any(folder.iterdir()):
        raise RunError(f"{folder}: is not empty", "Name another folder with --out")


def check_difference(run: Run, exported: Exported) -> None:
    """WeightsError for probabilities that are off by more than TOLERANCE, or not numbers."""
    difference = exported.agreement.difference
    if not difference <= TOLERANCE:
        raise WeightsError(
            f"{run}: as {exported.description} its probabilities would be off by "
            f"{difference:.2g}, expected at most {TOLERANCE:g}; nothing was written"
        )


def write_model(
    run: Run, folder: Path, files: Mapping[str, bytes], description: Mapping[str, Any]
) -> None:
    """Write the files and model.json: the description, classes by task, and how to resize and cut.

    ``columns`` are the first and the end of each task's in the output. Files get
    their names when all are on disk, model.json last.
    """
    data, tasks = run.config.data, run.tasks
    columns = {task.name: [c.start, c.stop] for task, c in zip(tasks, run.columns)}
    described = {
        **description,
        "classes": {task.name: list(task.classes) for task in tasks},
        "columns": columns,
        "resize_short": data.resize_short,
        "interpolation": {"shrinking": "area", "growing": "cubic"},
        "crop": data.crop,
    }
    content = {DESCRIPTION_FILE: as_json(described).encode(), **files}
    with ExitStack() as stack:
        # What is entered first is left, and renamed, last.
        for name, written in content.items():
            stack.enter_context(atomic_path(folder / name)).write_bytes(written)
