"""Checks of the place where a training writes."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from fashionai.doctor.findings import ERROR, OK, Finding, of_error
from fashionai.errors import DataError, RunError
from fashionai.files.outputs import try_folder
from fashionai.runs import RunFolder, locked_run

# What else a run writes, its history and log among them, in bytes.
OTHER_FILES = 10_000_000


def check_run_folder(folder: Path) -> Finding:
    """Whether files can be written there, and no other process trains there."""
    mend = f"chmod u+w {shlex.quote(str(_nearest(folder)))}, or give --run another folder"
    try:
        try_folder("--run", folder)
        if folder.exists():
            with locked_run(RunFolder(folder)):
                pass
    except DataError as error:
        return of_error("run folder", error, mend)
    except RunError as error:  # another process trains there
        return of_error("run folder", error, "Give --run another folder")
    except OSError as error:
        return Finding("run folder", ERROR, f"{folder}: {error.strerror}", mend)
    return Finding("run folder", OK, f"{folder} can be written")


def check_disk(folder: Path, needed: int) -> Finding:
    """Whether there is room for so many bytes in the nearest folder that exists."""
    place = _nearest(folder)
    free = shutil.disk_usage(place).free
    found = f"{free / 1e9:.1f} GB free at {place}, the run needs {needed / 1e9:.2f} GB"
    if free < needed:
        mend = f"du -sh {shlex.quote(str(folder.parent))}/*; remove what is not needed"
        return Finding("disk", ERROR, found, mend)
    return Finding("disk", OK, found)


def _nearest(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that exists."""
    place = folder.absolute()
    while not place.is_dir():
        place = place.parent
    return place


def bytes_of_run(parameters: int, *, adam: bool, averaged: bool) -> int:
    """The bytes that a run needs on the disk, for parameters of so many bytes.

    They are the best and the last weights, each of them averaged as well, and the state with the
    optimizer's arrays, one per parameter or Adam's two. Each file is written beside the former one.
    """
    weights = parameters * (3 if averaged else 2)
    state = parameters * (1 + (2 if adam else 1) + averaged)
    return weights + 2 * state + OTHER_FILES
