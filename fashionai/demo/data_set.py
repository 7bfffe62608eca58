"""A generated demo data set: drawn people in garments, in the format of FashionAI.

With it, all commands from label files to a prediction file run in minutes on any
machine. As in the competition, the class is the position of a hem or cuff on the
body. Colours, fabrics, pose and background are independent of the class, so that a
network can only learn it from shapes.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fashionai.demo.garments import draw
from fashionai.errors import ConfigError
from fashionai.families import find_known_task
from fashionai.files import named_errors, write_text
from fashionai.files.outputs import try_folder
from fashionai.progress import Advance, no_progress
from fashionai.tasks import Task

DEMO_TASKS = ("skirt_length_labels", "pant_length_labels", "sleeve_length_labels")

SPLITS = ("base", "rank")
ANSWERS = "fashionAI_attributes_answer_a_20180428.csv"
LABELS = {"base": "base/Annotations/label.csv", "rank": ANSWERS}
# An earlier demo is recognized by its seed and the numbers of its images, if they are lower.
SEEDS_TO_TRY = IMAGES_TO_TRY = 10_000

MAYBE_SHARE = 0.027  # share of images with a class marked m, as in the competition


@dataclass(frozen=True)
class ImageToDraw:
    """One image to draw: its file name, its class and the class marked ``m``, if any."""

    file: str
    label: int
    maybe: int | None

    def letters(self, classes: int) -> str:
        """The label in the format of the label file, such as ``nnymn``."""
        marks = {self.maybe: "m", self.label: "y"}
        return "".join(marks.get(index, "n") for index in range(classes))


def write_demo(
    folder: Path,
    *,
    train_per_task: int = 1200,
    test_per_task: int = 240,
    seed: int = 0,
    overwrite: bool = False,
    progress: Advance = no_progress,
) -> None:
    """Write the demo data set: ``base`` (training), ``rank`` (test) and the test labels.

    The same arguments give the same bytes. ``progress`` is called with 1 after each
    image. The label files are written last: a folder that has them is complete. Raises
    ConfigError for a folder whose label files hold other rows, unless ``overwrite`` is set. Then
    images of an earlier demo that are not part of this one are removed at the end.
    """
    tasks = [find_known_task(name) for name in DEMO_TASKS]
    counts = {"base": train_per_task, "rank": test_per_task}
    files = _label_files(tasks, counts, seed)
    if not overwrite:
        _check_same_rows(folder, files)
    seeds = {seed, *_seeds_of_earlier_demo(folder)}
    try_folder("--out", folder)
    for split, count in counts.items():
        for task in tasks:
            (folder / split / "Images" / task.name).mkdir(parents=True, exist_ok=True)
            for image, rng in _images_to_draw(task, split, count, seed):
                name = f"Images/{task.name}/{image.file}"
                data = _jpeg(draw(task, image.label, image.maybe, rng), rng)
                with named_errors(folder / split / name):
                    (folder / split / name).write_bytes(data)
                progress(1)
    for place, text in files.items():
        write_text(folder / place, text)
    if overwrite:
        _remove_other_images(folder, seeds, counts, seed)


def _label_files(tasks: list[Task], counts: dict[str, int], seed: int) -> dict[str, str]:
    """The question, answer and label file, in the order in which they are written."""
    tables = {
        split: [
            f"Images/{task.name}/{image.file},{task.name},{image.letters(len(task.classes))}\n"
            for task in tasks
            for image, _ in _images_to_draw(task, split, count, seed)
        ]
        for split, count in counts.items()
    }
    return {
        "rank/Tests/question.csv": "".join(
            row.rpartition(",")[0] + ",\n" for row in tables["rank"]
        ),
        LABELS["rank"]: "".join(tables["rank"]),
        LABELS["base"]: "".join(tables["base"]),
    }


def _check_same_rows(folder: Path, files: dict[str, str]) -> None:
    """ConfigError for a label file that exists and has another content, as of a real data set."""
    for place, text in files.items():
        file = folder / place
        if file.exists() and file.read_bytes() != text.encode():
            raise ConfigError(
                f"{file}: exists and holds other rows than this demo's",
                "Name another folder with --out, or replace it with --overwrite",
            )


def _images_to_draw(
    task: Task, split: str, count: int, seed: int
) -> Iterator[tuple[ImageToDraw, np.random.Generator]]:
    """The images of one split of one task, each with the random generator for its drawing."""
    key = [seed, DEMO_TASKS.index(task.name), SPLITS.index(split)]
    rng = np.random.default_rng(key)
    labels = _labels(task, count, rng)
    visible = np.flatnonzero(labels > 0)
    ambiguous = set(rng.permutation(visible)[: round(MAYBE_SHARE * count)].tolist())
    for index, label in enumerate(labels.tolist()):
        file = _image_name(task.name, split, index, seed)
        maybe = _neighbour(label, len(task.classes), rng) if index in ambiguous else None
        yield ImageToDraw(file, label, maybe), np.random.default_rng([*key, index])


def _image_name(task: str, split: str, index: int, seed: int) -> str:
    text = f"{task}/{split}/{index}/{seed}"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() + ".jpg"


def _seeds_of_earlier_demo(folder: Path) -> list[int]:
    """The seeds of the demos whose label files the folder has; none for a real data set."""
    seeds = []
    for split, place in LABELS.items():
        file = folder / place
        first = (
            file.read_bytes().partition(b",")[0].decode(errors="replace") if file.exists() else ""
        )
        name = first.rpartition("/")[2]
        names = (_image_name(DEMO_TASKS[0], split, 0, seed) for seed in range(SEEDS_TO_TRY))
        seeds += [seed for seed, other in enumerate(names) if other == name]
    return seeds


def _remove_other_images(folder: Path, seeds: set[int], counts: dict[str, int], seed: int) -> None:
    """Remove images that demos of these seeds have drawn, except for those of this demo.

    Their names are hashes, so no file of another data set has one of them.
    """
    for split, task in itertools.product(SPLITS, DEMO_TASKS):
        place = folder / split / "Images" / task
        present = {file.name for file in place.iterdir()}
        for other in seeds:
            first = counts[split] if other == seed else 0
            names = (
                _image_name(task, split, index, other) for index in range(first, IMAGES_TO_TRY)
            )
            for name in present.intersection(names):
                (place / name).unlink()


def _labels(task: Task, count: int, rng: np.random.Generator) -> np.ndarray:
    """Class indices ``(count,)`` in random order, of nearly balanced classes.

    4/5 of the labels are exactly balanced, 1/5 are drawn uniformly.
    """
    first = 1 if task.name == "sleeve_length_labels" else 0  # sleeves are never Invisible
    classes = len(task.classes)
    balanced = np.arange(count - count // 5) % (classes - first) + first
    return rng.permutation(np.concatenate([balanced, rng.integers(first, classes, count // 5)]))


def _neighbour(label: int, classes: int, rng: np.random.Generator) -> int:
    """A random visible class next to ``label`` in the order of lengths."""
    choices = [index for index in (label - 1, label + 1) if 1 <= index < classes]
    return int(rng.choice(choices))


def _jpeg(image: np.ndarray, rng: np.random.Generator) -> bytes:
    quality = int(rng.integers(85, 96))
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
