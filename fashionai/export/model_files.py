"""Writes the files of an export: the network in its own format, and model.json beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fashionai.engines.pixel_graph import OUTPUT
from fashionai.errors import RunError
from fashionai.export.file_names import DESCRIPTION_FILE, FILES
from fashionai.files import as_json, atomic_path
from fashionai.files.abandoned import abandoned_files
from fashionai.files.formats.json_files import read_json
from fashionai.files.outputs import try_folder
from fashionai.pipeline.pixel_values import BACKGROUND
from fashionai.runs import Run

# What model_description adds to every description.
COMMON_KEYS = {"classes", "columns", "background", "resize_short", "interpolation", "crop"}


def check_folder(folder: Path, names: Sequence[str]) -> None:
    """RunError unless these files, and model.json, may be written to the folder.

    The folder may be empty or not exist. It may hold an earlier export, whose files are replaced,
    and beside it files of others, which are not touched. It may hold what an export has left that
    was killed. Raises DataError for a file, and for a folder that cannot be written.
    """
    try_folder("--out", folder)
    if not folder.exists() or not any(folder.iterdir()) or _was_killed(folder):
        return
    earlier = _earlier_export(folder)
    if not earlier:
        raise RunError(
            f"{folder}: is not empty and holds no earlier export", "Name another folder with --out"
        )
    for file in (folder / name for name in names if name not in earlier):
        if file.exists():
            raise RunError(
                f"{file}: is not part of the earlier export there", "Name another folder with --out"
            )


def _earlier_export(folder: Path) -> list[str]:
    """The names of the files of an export that the folder holds; none if it holds no export."""
    try:
        description = read_json(folder / DESCRIPTION_FILE)
    except (OSError, ValueError):
        return []
    if not isinstance(description, dict) or not description.keys() >= COMMON_KEYS:
        return []
    # Values that are no keys of a dictionary, such as lists, are compared as well.
    found = [files for key, files in FILES.items() if key == description.get("format")]
    return [DESCRIPTION_FILE, *found[0]] if found else []


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


def model_description(run: Run, description: Mapping[str, Any]) -> dict[str, Any]:
    """A format's description with what every format needs, COMMON_KEYS.

    These are the classes of each task, the first column of each task in the output and the column
    after its last, the colour (RGB) that shows through where an image is transparent, and how to
    resize and crop an image.
    """
    data, tasks = run.config.data, run.tasks
    return {
        **description,
        "classes": {task.name: list(task.classes) for task in tasks},
        "columns": {task.name: [c.start, c.stop] for task, c in zip(tasks, run.columns)},
        "background": list(BACKGROUND),
        "resize_short": data.short_side,
        "interpolation": {"shrinking": "area", "growing": "cubic"},
        "crop": data.crop,
    }


def write_model(
    run: Run, folder: Path, files: Mapping[str, bytes], description: Mapping[str, Any]
) -> None:
    """Write files by name, and model.json with model_description.

    All files are written before the first gets its name; model.json gets it last. The files of an
    earlier export are removed in between, so that no model.json describes another network.
    """
    described = model_description(run, description)
    content = {DESCRIPTION_FILE: as_json(described).encode(), **files}
    with ExitStack() as stack:
        # Leaving the stack renames the files in reverse order, so model.json is entered first.
        for name, written in content.items():
            stack.enter_context(atomic_path(folder / name)).write_bytes(written)
        for name in _earlier_export(folder):
            (folder / name).unlink(missing_ok=True)
