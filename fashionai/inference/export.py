"""A run's network for other programs: what every format has in common."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fashionai.errors import RunError, WeightsError
from fashionai.files import atomic_path, write_json
from fashionai.inference.agreement import TOLERANCE, Agreement
from fashionai.runs import RunFolder

DESCRIPTION_FILE = "model.json"


class Exported(NamedTuple):
    """What was written, and how near its probabilities are to the run's.

    ``description`` says for people what it is, ``checked_on`` which images that is of.
    """

    folder: Path
    description: str
    checked_on: str
    agreement: Agreement


def check_free(run: RunFolder, folder: Path) -> None:
    """RunError for a run without weights, and for a folder that is taken."""
    run.check_usable()
    if folder.is_file() or (folder.exists() and any(folder.iterdir())):
        raise RunError(f"{folder}: is not empty", "Name another folder with --out")


def check_difference(run: RunFolder, exported: Exported) -> None:
    """WeightsError for probabilities that are off by more than TOLERANCE, or not numbers."""
    difference = exported.agreement.difference
    if not difference <= TOLERANCE:
        raise WeightsError(
            f"{run}: as {exported.description} its probabilities would be off by "
            f"{difference:.2g}, expected at most {TOLERANCE:g}; nothing was written"
        )


def write_model(
    run: RunFolder, folder: Path, files: Mapping[str, bytes], description: Mapping[str, Any]
) -> None:
    """Write the files and, last, model.json: the description, classes by task, and the crop."""
    for name, content in files.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(content)
    data = run.read_config().data
    write_json(
        folder / DESCRIPTION_FILE,
        {
            **description,
            "classes": {task.name: list(task.classes) for task in run.read_tasks()},
            "resize_short": data.resize_short,
            "crop": data.crop,
        },
    )
