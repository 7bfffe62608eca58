"""Prepared folders: of real small images, of files that are no images, and of no files at all."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fashionai.datasets.prepared.folders import plan_folders, write_folders
from fashionai.datasets.prepared.samples import Samples
from fashionai.datasets.records import LabelledImage
from fashionai.metrics import YES
from fashionai.tasks import Task
from tests.support.commands import run_in
from tests.support.data_trees import write_fashionai_data

TASKS = ("skirt_length_labels", "pant_length_labels")
ONE = Task("one", (), ("a", "b", "c"), "table")


def prepare(folder: Path, *tasks: str) -> None:
    """Run ``fashionai prepare`` on FashionAI's tasks in data/ of this folder."""
    options = [word for task in tasks for word in ("--task", task)]
    run_in(folder, ["prepare", *options])


def write_two_tasks(folder: Path) -> None:
    """48 skirts, 5 copies of one, 36 pants; an image of each class goes to a test split."""
    data = write_fashionai_data(folder / "data", per_class=8, test_per_class=1)
    write_fashionai_data(folder / "data", TASKS[1], per_class=6, test_per_class=1, seed=1)
    images = data / "base/Images" / TASKS[0]
    with open(data / "base/Annotations/label.csv", "a") as handle:
        for number in range(5):
            shutil.copy(images / "base0-0002.jpg", images / f"copy-{number}.jpg")
            handle.write(f"Images/{TASKS[0]}/copy-{number}.jpg,{TASKS[0]},nnynnn\n")
    prepare(folder, "skirt", "pant")
    for task in TASKS:
        move_to_test(folder / "data/train_valid" / task)


def move_to_test(prepared: Path) -> None:
    """Move a training image of each class to a test split."""
    manifest = prepared / "manifest.csv"
    lines = manifest.read_text().splitlines()
    moved: set[str] = set()
    for at, line in enumerate(lines):
        split, index, _, name, *_ = line.split(",")
        if split == "train" and index not in moved:
            moved.add(index)
            lines[at] = line.replace("train,", "test,", 1)
            (source,) = prepared.glob(f"train/*/{name}")
            target = prepared / "test" / source.parent.name
            target.mkdir(parents=True)
            source.rename(target / name)
    manifest.write_text("\n".join(lines) + "\n")


def make_rows(truth: list[int], tasks: list[Task], heads: list[int] | None = None) -> Samples:
    """Samples of which ``truth`` is the column of the class."""
    marks = np.zeros((len(truth), sum(len(task.classes) for task in tasks)), np.int8)
    marks[np.arange(len(truth)), truth] = YES
    paths = [Path(str(row)) for row in range(len(truth))]
    return Samples(
        tasks, paths, [str(p) for p in paths], np.array(heads or [0] * len(truth)), marks
    )


def write_prepared(folder: Path, task: Task, rows: Sequence[tuple[str, str, int, str]]) -> Path:
    """A prepared folder of (split, source, class index, label); the files are no real images."""
    images = [
        LabelledImage(source, None, source.encode(), index, label, "", split)
        for split, source, index, label in rows
    ]
    write_folders(folder, task, plan_folders(images, [row[0] for row in rows]), "copy")
    return folder
