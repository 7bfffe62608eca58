"""The class folders of a task and their manifest: writing, repairing and reading them.

A prepared folder holds ``{train,val,test}/<index>_<class-name>/<file>``, ``manifest.csv`` and
``task.json``. The manifest gets its final name last, so a folder with a manifest is complete.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fashionai.datasets.corrections import Correction, write_corrections
from fashionai.datasets.names import MODES, SPLITS, check_choice
from fashionai.datasets.prepared.manifest import (
    GROUP_COLUMN,
    MANIFEST,
    MANIFEST_COLUMNS,
    PARTIAL_MANIFEST,
    PSEUDO_COLUMN,
    PlannedImage,
    class_folders,
    files_below,
    listed_places,
    read_manifest,
    write_manifest,
)
from fashionai.datasets.prepared.placing import is_in_place, put
from fashionai.datasets.readers.reader import reader_of
from fashionai.datasets.records import LabelledImage
from fashionai.errors import ConfigError, DataError, closest, nearest, shown, shown_value
from fashionai.families import full_names, known_task
from fashionai.files import write_json
from fashionai.files.abandoned import remove_temporary_files
from fashionai.files.counts import parse_count
from fashionai.files.default_folders import DATA_FOLDER, DEMO_FOLDER, PREPARED_FOLDER
from fashionai.files.names import SYSTEM_FILES, fitting
from fashionai.metrics import YES, marks_from_classes
from fashionai.progress import Advance, no_progress
from fashionai.tasks import TASK_FILE, Task, task_from_json, task_to_json

# The images that could not be used; missing without any.
REJECTED = "rejected.csv"
REJECTED_HEADER = ("source", "label", "where", "reason")
# The corrections that the labels in the manifest include; missing without any.
APPLIED_CORRECTIONS = "applied_corrections.csv"


def plan_folders(images: Sequence[LabelledImage], splits: Sequence[str]) -> list[PlannedImage]:
    """Give every image a file name that is unique within the task, whatever its letter case.

    A repeated name gets -2, -3 ... before its suffix, in the order of ``images``. Leading dots
    are removed, because hidden files do not count as images, and blanks at both ends, because
    readers of CSV files do not see them. A long name is cut.
    """
    taken: set[str] = set()
    last_number: dict[str, int] = {}
    planned = []
    for image, split in zip(images, splits):
        path = Path(image.file_name.strip().lstrip(". ") or "image")
        wanted, number = path.name.lower(), last_number.get(path.name.lower(), 1)
        name = path.name
        while name.lower() in taken:
            number += 1
            name = fitting(path.stem, f"-{number}{path.suffix}")
        last_number[wanted] = number
        taken.add(name.lower())
        planned.append(PlannedImage(image, split, name))
    return planned


class FileChanges(NamedTuple):
    """How many image files were written, and how many of an earlier prepare were removed."""

    written: int
    removed: int


def write_folders(
    folder: Path,
    task: Task,
    planned: Sequence[PlannedImage],
    mode: str,
    progress: Advance = no_progress,
    corrections: Sequence[Correction] = (),
) -> FileChanges:
    """Make the folders hold exactly the planned images; return the numbers of changed files.

    Correct files stay untouched, so preparing again repairs a folder. ``mode`` is one of MODES,
    and ``progress`` is called with the number of images placed since the last call.
    ``corrections`` are those that were applied to the labels. They are kept beside the manifest.
    Raises ConfigError for another mode, and DataError for a file that prepare has not put there;
    such a file is never removed.
    """
    check_choice("mode", mode, MODES)
    images = {item.place(task): item.image for item in planned}
    present = {*files_below(folder, SPLITS)}
    _check_no_foreign(folder, present, images)
    stale = present - images.keys()
    _remove_stale(folder, stale)
    if corrections:
        write_corrections(folder / APPLIED_CORRECTIONS, corrections)
    else:
        (folder / APPLIED_CORRECTIONS).unlink(missing_ok=True)
    _make_class_folders(folder, task, {item.split for item in planned})
    write_manifest(folder / PARTIAL_MANIFEST, task, planned)
    written = 0
    for item in planned:
        written += put(item.image, folder / item.place(task), mode)
        progress(1)
    write_json(folder / TASK_FILE, task_to_json(task))
    (folder / PARTIAL_MANIFEST).replace(folder / MANIFEST)
    return FileChanges(written, len(stale))


class PreparedSplit(NamedTuple):
    """The N samples of one split, or of several splits together.

    ``paths`` are the image files. ``marks`` is ``(N, C) int8`` (see fashionai.metrics); images
    of the background have no YES. ``sources`` are the paths of the images in the data set.
    Samples with the same non-empty group belong together. ``pseudo``, ``(N,) bool``, tells which
    samples have a predicted class in place of a label.
    """

    task: Task
    paths: list[Path]
    marks: np.ndarray
    sources: list[str]
    groups: list[str]
    pseudo: np.ndarray

    @property
    def class_indices(self) -> np.ndarray:
        """The index of the true class of every sample, ``(N,) int64``."""
        return self.marks.argmax(axis=1)


def read_split(
    folder: Path, *splits: str, background: bool = False, pseudo: bool = False
) -> PreparedSplit:
    """Read one split of a prepared task folder, or several together, in the manifest's order.

    Images of a held-out background are included only with ``background``, and images with a
    pseudo-label, which are to be trained on and nothing else, only with ``pseudo``. Raises
    ConfigError for an unknown split, and DataError when the folder is not prepared, when a split
    has no images, and when the folders or the manifest were edited.
    """
    task = read_task(folder)
    listed = read_manifest(folder / MANIFEST)
    for line, row in enumerate(listed, start=2):
        _check_row(row, task, f"{folder / MANIFEST}:{line}")
    found = list(dict.fromkeys(row["split"] for row in listed))
    for split in splits:
        if split not in SPLITS:
            raise ConfigError(f"split: found {shown_value(split)}", nearest(str(split), SPLITS))
        if split not in found:
            raise DataError(
                f"{folder}: split '{split}' has no images, found {', '.join(found) or 'none'}",
                "Prepare it with a larger --val-fraction" if split == "val" else "",
            )
    rows = [row for row in listed if row["split"] in splits]
    places = [
        f"{row['split']}/{task.folder_names[int(row['class_index'])]}/{row['file']}" for row in rows
    ]
    _check_same_files(folder, splits, places)
    indices = np.array([int(row["class_index"]) for row in rows])
    kept_labels = task.labels if background else task.classes
    is_pseudo = np.array([bool(row.get(PSEUDO_COLUMN)) for row in rows], bool)
    kept = np.flatnonzero((indices < len(kept_labels)) & (pseudo | ~is_pseudo)).tolist()
    if not kept:
        raise DataError(
            f"{folder}: split '{', '.join(splits)}' has no images of its classes, "
            f"only {task.background}"
        )
    return PreparedSplit(
        task,
        [folder / places[position] for position in kept],
        _marks(task, indices[kept], [rows[position]["label"] for position in kept]),
        [rows[position]["source"] for position in kept],
        [rows[position].get(GROUP_COLUMN, "") for position in kept],
        is_pseudo[kept],
    )


def count_pseudo_labels(folder: Path) -> int:
    """The number of images with a pseudo-label in a task's folder; 0 if it is not prepared."""
    if not (folder / MANIFEST).is_file():
        return 0
    return sum(bool(row.get(PSEUDO_COLUMN)) for row in read_manifest(folder / MANIFEST))


def prepare_command(folder: Path) -> str:
    """Return the command that prepares a folder; the places of a user's own files are unknown.

    What to give for class folders follows the command after a semicolon.
    A folder train_valid is prepared from the data folder that it lies in, as PREPARED_FOLDER is.
    """
    data, out_name = folder.parent.parent, folder.parent.name
    out = "" if folder.parent == PREPARED_FOLDER else f" --out {shlex.quote(str(folder.parent))}"
    if not known_task(folder.name):
        source = " --csv FILE; or give --folders DIR instead of --csv"
    elif out_name == PREPARED_FOLDER.name and data != DATA_FOLDER:
        source = f" --data {shlex.quote(str(data))}"
    else:
        source = ""
    demo = "fashionai demo && " if data == DEMO_FOLDER and not data.exists() else ""
    return f"{demo}fashionai prepare --task {shlex.quote(folder.name)}{out}{source}"


def read_task(folder: Path) -> Task:
    """Return the task that a folder was prepared for; DataError when it is not prepared."""
    if (folder / REJECTED).is_file() and not (folder / MANIFEST).is_file():
        raise DataError(
            f"{folder}: not a prepared folder: the images that {folder / REJECTED} lists were bad",
            "Mend them, or prepare again with --skip-bad",
        )
    if not (folder / MANIFEST).is_file():
        raise DataError(
            f"{folder}: not a prepared folder (no {MANIFEST})",
            f"Run: {prepare_command(folder)}",
        )
    return task_from_json(folder / TASK_FILE)


def find_prepared(name: str, folder: Path) -> Task:
    """Return the task of that name or alias that is prepared in ``folder``.

    Raises DataError when it is not prepared, with the nearest name or the command to run, and for
    a folder that was renamed.
    """
    own = folder / full_names([name])[0]
    with contextlib.suppress(DataError):  # told below
        task = read_task(own)
        if task.name == own.name:
            return task
    found = [(file.parent, task_from_json(file)) for file in sorted(folder.glob(f"*/{TASK_FILE}"))]
    known = {each: task for _, task in found for each in (task.name, *task.aliases)}
    wanted = known.get(name)
    # The error for a folder that is not prepared, or not completely, says how to prepare it.
    if wanted is not None and (folder / wanted.name).is_dir():
        return read_task(folder / wanted.name)
    for place, renamed in found:
        if renamed == wanted or place.name == name:
            is_copy = (folder / renamed.name).is_dir()
            hint = f"Name the task '{renamed.name}'" if is_copy else "Rename the folder back"
            raise DataError(f"{place}: was prepared as '{renamed.name}'", hint)
    meant = closest(name, known)
    if known_task(name) is None and meant is not None:
        raise DataError(f"{folder}: no task '{name}' is prepared there", f"Did you mean '{meant}'?")
    return read_task(own)


def _marks(task: Task, indices: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """Return marks, ``(N, C) int8``, from the labels if the family has marks, else from classes."""
    parse = reader_of(task).parse_marks
    if parse is not None:
        return np.array([parse(task, label) for label in labels], dtype=np.int8)
    return marks_from_classes(indices, len(task.labels))[:, : len(task.classes)]


def _check_row(row: dict[str, str], task: Task, where: str) -> None:
    """Raise DataError for a row that prepare does not write: someone edited the manifest."""
    if None in row or None in row.values():
        raise DataError(f"{where}: expected the fields {','.join(MANIFEST_COLUMNS)}")
    index, label = row["class_index"], row["label"]
    number = parse_count(index)
    if number is None or number >= len(task.labels):
        most = len(task.labels) - 1
        raise DataError(f"{where}: class_index is '{shown(index)}', expected 0 to {most}")
    parse = reader_of(task).parse_marks
    if parse is not None:
        marks = parse(task, label)
        if marks is None or marks[number] != YES:
            raise DataError(f"{where}: label '{shown(label)}' does not go with class_index {index}")


def _make_class_folders(folder: Path, task: Task, splits: Iterable[str]) -> None:
    """Make the folder of every class in every split.

    The empty ones too: tools that number classes by their sorted folders need them.
    """
    for split in splits:
        for name in task.folder_names:
            (folder / split / name).mkdir(parents=True, exist_ok=True)


def _check_no_foreign(folder: Path, present: Set[str], images: Mapping[str, LabelledImage]) -> None:
    """Raise DataError for a file in a class folder that no manifest lists.

    ``present`` are the places of all files there. ``images`` are the planned ones by their places:
    a file that is one of them in any mode is ours.
    """
    known = listed_places(folder / MANIFEST) | listed_places(folder / PARTIAL_MANIFEST)
    foreign = [
        place
        for place in sorted(present - known)
        if place not in images
        or not any(is_in_place(images[place], folder / place, mode) for mode in MODES)
    ]
    if foreign:
        more = f" (and {len(foreign) - 1:,} more)" if len(foreign) > 1 else ""
        raise DataError(
            f"{folder / foreign[0]}{more} was not put there by prepare",
            "Move it elsewhere, or choose another --out",
        )


def _remove_stale(folder: Path, stale: Iterable[str]) -> None:
    """Remove files of an earlier prepare, and what is empty then."""
    # From here on, the old manifest is wrong. Without a manifest, the folder counts as unfinished.
    if (folder / MANIFEST).is_file():
        (folder / MANIFEST).replace(folder / PARTIAL_MANIFEST)
    for place in stale:
        (folder / place).unlink()
    for class_folder in class_folders(folder, SPLITS):
        remove_temporary_files(class_folder)
        _remove_system_files(class_folder)
        # Remove the empty folders of former classes and splits: other tools would count them.
        with contextlib.suppress(OSError):
            class_folder.rmdir()
    for split in SPLITS:
        if (folder / split).is_dir():
            _remove_system_files(folder / split)
        with contextlib.suppress(OSError):
            (folder / split).rmdir()


def _remove_system_files(folder: Path) -> None:
    """Remove what systems leave by themselves from a folder that holds nothing else."""
    entries = list(folder.iterdir())
    if all(_is_of_system(entry.name) and entry.is_file() for entry in entries):
        for entry in entries:
            entry.unlink()


def _is_of_system(name: str) -> bool:
    return name in SYSTEM_FILES or name.startswith("._")


def _check_same_files(folder: Path, splits: Sequence[str], places: Sequence[str]) -> None:
    """Raise DataError when the class folders do not hold exactly the files of the manifest."""
    expected, present = set(places), set(files_below(folder, splits))
    if expected == present:
        return
    missing, extra = sorted(expected - present), sorted(present - expected)
    found = f"{missing[0]} is missing" if missing else f"{extra[0]} is not in {MANIFEST}"
    count = len(missing) + len(extra)
    raise DataError(
        f"{folder}: {found}" + (f" (and {count - 1:,} more)" if count > 1 else ""),
        f"Run: {prepare_command(folder)}",
    )
