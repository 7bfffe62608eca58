"""Checks of the place that prepare writes to, before anything there is changed.

Nothing of the user's own is lost: neither images that prepare is to read, nor files that have the
name of one of its results.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fashionai.datasets.corrections import CORRECTIONS
from fashionai.datasets.names import SPLITS
from fashionai.datasets.prepared.folders import APPLIED_CORRECTIONS, REJECTED, REJECTED_HEADER
from fashionai.datasets.prepared.manifest import MANIFEST, class_folders, read_manifest
from fashionai.datasets.records import LabelledImage
from fashionai.errors import DataError, counted
from fashionai.files.outputs import check_is_no_file, check_not_lost, csv_kind, json_kind
from fashionai.tasks import TASK_FILE


def _is_task(value: Any) -> bool:
    return isinstance(value, dict) and {"task", "family", "classes"} <= value.keys()


# The files beside the manifest. Another file of such a name is the user's own.
KINDS = {
    REJECTED: csv_kind("a list of rejected images", REJECTED_HEADER),
    APPLIED_CORRECTIONS: CORRECTIONS,
    TASK_FILE: json_kind("the description of a task", _is_task),
}


def check_place(folder: Path, images: Iterable[LabelledImage]) -> None:
    """Raise FashionAIError when to prepare these images in a task's folder would lose files."""
    for place in (folder.parent, folder):
        check_is_no_file(place)
    images = list(images)
    _check_apart(folder, images)
    _check_still_there(folder, images)
    for name, kind in KINDS.items():
        path = folder / name
        check_not_lost(str(path), path, kind, False, "Move it, or choose another --task or --out")


def _check_apart(folder: Path, images: Iterable[LabelledImage]) -> None:
    """Raise DataError for an image in one of the class folders, whose files may be removed."""
    written = {place.resolve() for place in class_folders(folder, SPLITS)}
    # To resolve the path of each image would take seconds for a large data set.
    resolved: dict[Path, Path] = {}
    for path in (image.path for image in images if written and image.path is not None):
        parent = path.parent
        if parent not in resolved:
            resolved[parent] = parent.resolve()
        if resolved[parent] in written or (path.is_symlink() and path.resolve().parent in written):
            raise DataError(
                f"image {path} lies in {folder}, the folder that prepare writes",
                "Choose another --task or --out",
            )


def _check_still_there(folder: Path, images: Iterable[LabelledImage]) -> None:
    """Raise DataError for a missing image that was prepared: the prepared file may be the last."""
    missing = {image.source for image in images if image.path is None and image.content is None}
    if not missing or not (folder / MANIFEST).is_file():
        return
    lost = [row for row in read_manifest(folder / MANIFEST) if row["source"] in missing]
    if lost:
        raise DataError(
            f"{folder}: {counted(len(lost), 'prepared image')} would be deleted, because the "
            f"source does not exist any more, such as {lost[0]['source']}",
            "Restore the sources, take the rows out of the CSV file, or choose another --out",
        )
