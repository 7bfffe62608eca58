"""Writes the files of an export: the network in its own format, and model.json beside it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fashionai.engines.pixel_graph import OUTPUT
from fashionai.errors import RunError
from fashionai.files import as_json, atomic_path
from fashionai.files.abandoned import abandoned_files
from fashionai.files.outputs import try_folder
from fashionai.pipeline.pixel_values import BACKGROUND
from fashionai.runs import Run

DESCRIPTION_FILE = "model.json"


def check_folder_is_free(folder: Path) -> None:
    """RunError unless the folder is empty, does not exist, or is of an export that was killed.

    DataError for a file, and for a folder that cannot be written.
    """
    try_folder("--out", folder)
    if folder.exists() and any(folder.iterdir()) and not _was_killed(folder):
        raise RunError(f"{folder}: is not empty", "Name another folder with --out")


def _was_killed(folder: Path) -> bool:
    """Whether a folder holds only what an export has left that was killed while writing.

    The description gets its temporary file first and its name last, see write_model.
    """
    names = [file.name for file in folder.iterdir()]
    unfinished = DESCRIPTION_FILE not in names and abandoned_files(folder / DESCRIPTION_FILE)
    return bool(unfinished) and all(name.startswith(("model", ".model")) for name in names)


def pixel_graph_description(run: Run, format_name: str, input_name: str) -> dict[str, Any]:
    """What model.json says about a network from pixels to probabilities, see PixelNetwork."""
    crop = run.config.data.crop
    return {
        "format": format_name,
        "network": run.config.model.name,
        "input": {
            "name": input_name,
            "shape": ["N", crop, crop, 3],
            "dtype": "uint8",
            "colours": "RGB",
        },
        "output": {"name": OUTPUT, "dtype": "float32"},
    }


def write_model(
    run: Run, folder: Path, files: Mapping[str, bytes], description: Mapping[str, Any]
) -> None:
    """Write files by name, and model.json.

    model.json holds the description and what every format needs: the classes of each task, the
    first column of each task in the output and the column after its last, the colour (RGB) that
    shows through where an image is transparent, and how to resize and crop an image. All files are
    written before the first gets its name; model.json gets it last.
    """
    data, tasks = run.config.data, run.tasks
    columns = {task.name: [c.start, c.stop] for task, c in zip(tasks, run.columns)}
    described = {
        **description,
        "classes": {task.name: list(task.classes) for task in tasks},
        "columns": columns,
        "background": list(BACKGROUND),
        "resize_short": data.resize_short,
        "interpolation": {"shrinking": "area", "growing": "cubic"},
        "crop": data.crop,
    }
    content = {DESCRIPTION_FILE: as_json(described).encode(), **files}
    with ExitStack() as stack:
        # Leaving the stack renames the files in reverse order, so model.json is entered first.
        for name, written in content.items():
            stack.enter_context(atomic_path(folder / name)).write_bytes(written)
