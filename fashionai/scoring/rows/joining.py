"""Rows of several files joined by image and task, never by their position."""

from __future__ import annotations

import itertools
import logging
import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fashionai.errors import DataError
from fashionai.predictions.formats import PredictedRow, RowKey, read_predictions
from fashionai.tasks import Task

log = logging.getLogger(__name__)


class JoinedTask(NamedTuple):
    """The rows of one task in M prediction files, joined by image.

    ``positions`` are the positions of the N rows in the first file. ``probabilities`` are
    ``(M, N, C)``. ``task_name`` is the name that a table has in its column ``task``, if any.
    """

    task: Task
    positions: list[int]
    images: list[str]
    probabilities: np.ndarray
    task_name: str = ""


def join_files(paths: Sequence[Path]) -> list[JoinedTask]:
    """Read prediction files that hold the same rows in any order, and join them task by task.

    Raises DataError, which lists the first differences, for files of other rows or classes.
    """
    files = [read_predictions(path) for path in paths]
    for path, rows in zip(paths, files):
        _warn_of_other_threshold(path, rows)
    first = files[0]
    for number in range(1, len(files)):
        names = str(paths[number]), str(paths[0])
        if files[number][0].task.family != first[0].task.family:
            raise DataError(f"{names[0]} has another format than {names[1]}")
        keys = [row.key for row in files[number]], [row.key for row in first]
        order = match_rows(*keys, names, "prediction")
        files[number] = [files[number][position] for position in order]
        for row, other in zip(files[number], first):
            check_same_classes(row.task, other.task, names)
    return join_rows(files)


def _warn_of_other_threshold(path: Path, rows: Sequence[PredictedRow]) -> None:
    if any(row.less_probable_class is not None for row in rows):
        log.warning(
            "%s: its classes follow another threshold than 0.5; the largest probability is used",
            path,
        )


def join_rows(files: Sequence[Sequence[PredictedRow]]) -> list[JoinedTask]:
    """Join files whose rows are in the same order, task by task."""
    positions: dict[str, list[int]] = {}
    for position, row in enumerate(files[0]):
        positions.setdefault(row.task.name, []).append(position)
    return [
        JoinedTask(
            files[0][chosen[0]].task,
            chosen,
            [files[0][position].image for position in chosen],
            np.array([[rows[position].probabilities for position in chosen] for rows in files]),
            files[0][chosen[0]].task_name,
        )
        for chosen in positions.values()
    ]


def check_same_classes(task: Task, other: Task, names: tuple[str, str]) -> None:
    """DataError when the classes differ; ``names`` are the files of the two tasks."""
    if task.classes == other.classes:
        return
    pairs = itertools.zip_longest(task.classes, other.classes, fillvalue="none")
    index, (here, there) = next((i, pair) for i, pair in enumerate(pairs) if pair[0] != pair[1])
    raise DataError(
        f"{names[0]} has other classes than {names[1]}: class {index} is {here}, not {there}"
    )


def match_rows(
    predicted: Sequence[RowKey],
    expected: Sequence[RowKey],
    names: tuple[str, str],
    expected_are: str = "label",
) -> list[int]:
    """The position of the prediction of each expected row.

    Rows are (image, task), and each occurs once in each file. ``names`` are the two files, and
    ``expected_are`` says what the rows of the second are. Raises DataError that lists the
    first missing or extra rows.
    """
    positions = {row: index for index, row in enumerate(predicted)}
    missing = [row for row in expected if row not in positions]
    raise_for_rows(missing, names[0], "has no prediction for", names[1])
    extra = list(positions.keys() - set(expected))
    extra.sort(key=positions.__getitem__)
    raise_for_rows(extra, names[1], f"has no {expected_are} for", names[0])
    return [positions[row] for row in expected]


def check_paths(predicted: Sequence[str], labelled: Sequence[str], names: tuple[str, str]) -> None:
    """DataError where the paths of two files differ in their folders alone.

    ``names`` are the files of the predictions and of the labels. No path is in both, but each
    image of the one has the name of a single image of the other.
    """
    if not set(predicted).isdisjoint(labelled):
        return
    ours = {posixpath.basename(path): path for path in predicted}
    theirs = {posixpath.basename(path): path for path in labelled}
    are_distinct = len(ours) == len({*predicted}) and len(theirs) == len({*labelled})
    common = ours.keys() & theirs.keys()
    if common and are_distinct and len(common) == min(len(ours), len(theirs)):
        example = next(name for name in ours if name in common)
        raise DataError(
            f"{names[0]} has the images of {names[1]} in another folder: {ours[example]}, not "
            f"{theirs[example]}",
            "Predict again with --questions FOLDER, the folder that the paths of "
            f"{names[1]} are relative to",
        )


def raise_for_rows(rows: Sequence[RowKey], file: str, problem: str, other: str) -> None:
    """DataError that counts these rows and lists the first three; nothing without rows."""
    if rows:
        listed = ", ".join(f"{image} ({task})" if task else image for image, task in rows[:3])
        more = f" and {len(rows) - 3:,} more" if len(rows) > 3 else ""
        count = f"{len(rows):,} row{'s' if len(rows) > 1 else ''}"
        raise DataError(f"{file} {problem} {count} of {other}: {listed}{more}")
