"""Corrections of labels: a CSV file beside the label files, which are never changed.

A row names an image, the label that it has, and what is to be done: ``correct`` gives it another
label, ``drop`` leaves it out, and ``keep`` tells that the label was looked at and is right.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from fashionai.datasets.readers.reader import reader_of
from fashionai.datasets.records import DataSet, LabelledImage
from fashionai.errors import DataError, counted, nearest, shown
from fashionai.files.formats.csv_files import rows_below, write_rows
from fashionai.files.outputs import csv_kind
from fashionai.tasks import Task

CORRECT, DROP, KEEP = ACTIONS = ("correct", "drop", "keep")
COLUMNS = ("path", "action", "old_label", "new_label", "reason", "date")
# What write_corrections writes.
CORRECTIONS = csv_kind("corrections", COLUMNS)


class Correction(NamedTuple):
    """One row. ``path`` is the source of the image in the manifest, labels are names of classes.

    ``new_label`` is empty unless ``action`` is CORRECT. ``date`` is as in 2030-12-31.
    """

    path: str
    action: str
    old_label: str
    new_label: str
    reason: str
    date: str


class PlacedCorrection(NamedTuple):
    """A correction and its place, ``file:line``."""

    correction: Correction
    where: str


def read_corrections(file: Path, task: Task) -> list[PlacedCorrection]:
    """Read the corrections of a task's labels.

    Raises DataError, with file and line, for another header, an unknown action or class, a new
    label that is missing, superfluous or the old one, and for an image that is listed twice.
    """
    placed: dict[str, PlacedCorrection] = {}
    for fields, where in rows_below(file, COLUMNS):
        correction = _parse(fields, task, where)
        first = placed.setdefault(correction.path, PlacedCorrection(correction, where))
        if first.where != where:
            raise DataError(f"{where}: {correction.path} is listed twice, first at {first.where}")
    return list(placed.values())


def write_corrections(file: Path, corrections: Iterable[Correction]) -> None:
    """Write corrections atomically."""
    write_rows(file, [COLUMNS, *corrections])


def corrected(data_set: DataSet, corrections: Sequence[PlacedCorrection]) -> DataSet:
    """The data set with corrected labels, and without the images to drop.

    Raises DataError, with file and line, for an image that the data set does not have, or that has
    another label than the correction says, and when no image is left.
    """
    task = data_set.task
    positions: dict[str, list[int]] = defaultdict(list)
    for position, image in enumerate(data_set.images):
        positions[image.source].append(position)
    images: list[Optional[LabelledImage]] = list(data_set.images)
    for correction, where in corrections:
        if correction.path not in positions:
            raise DataError(f"{where}: {shown(correction.path)} is not an image of {task.name}")
        listed = positions[correction.path]
        old = task.labels.index(correction.old_label)
        meant = [at for at in listed if data_set.images[at].class_index == old]
        if not meant:
            found = task.labels[data_set.images[listed[0]].class_index]
            raise DataError(
                f"{where}: {correction.path} has the label '{found}', and old_label is "
                f"'{correction.old_label}'",
                "The label file has changed since: remove this row",
            )
        for at in meant:
            images[at] = _corrected_image(data_set.images[at], task, correction)
    kept = [image for image in images if image is not None]
    if corrections and not kept:
        file, _, _ = corrections[0].where.rpartition(":")
        raise DataError(
            f"{file}: drops all {counted(len(images), 'image')} of {task.name}",
            "Remove rows with the action drop",
        )
    return data_set._replace(images=kept)


def dropped(data_set: DataSet, corrections: Sequence[PlacedCorrection]) -> list[LabelledImage]:
    """The images of a data set that corrections drop."""
    paths = {each.correction.path for each in corrections if each.correction.action == DROP}
    return [image for image in data_set.images if image.source in paths]


def _corrected_image(
    image: LabelledImage, task: Task, correction: Correction
) -> Optional[LabelledImage]:
    if correction.action == DROP:
        return None
    if correction.action == KEEP:
        return image
    index = task.labels.index(correction.new_label)
    relabel = reader_of(task).relabel
    label = relabel(image.label, index) if relabel is not None else correction.new_label
    return image._replace(class_index=index, label=label)


def _parse(fields: Sequence[str], task: Task, where: str) -> Correction:
    correction = Correction(*fields)
    if correction.action not in ACTIONS:
        raise DataError(
            f"{where}: action is '{shown(correction.action)}'", nearest(correction.action, ACTIONS)
        )
    _check_label("old_label", correction.old_label, task, where)
    if correction.action == CORRECT:
        _check_label("new_label", correction.new_label, task, where)
        if correction.new_label == correction.old_label:
            raise DataError(f"{where}: old_label and new_label are both '{correction.new_label}'")
    elif correction.new_label:
        raise DataError(
            f"{where}: new_label is '{shown(correction.new_label)}', expected none with the action "
            f"{correction.action}"
        )
    return correction


def _check_label(column: str, label: str, task: Task, where: str) -> None:
    if label not in task.labels:
        raise DataError(
            f"{where}: {column} is '{shown(label)}', which is no class of {task.name}",
            nearest(label, task.labels),
        )
