"""Two prepared tasks with copies of an image and a test split."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.conftest import run_cli, write_fashionai_data

TASKS = ("skirt_length_labels", "pant_length_labels")


def write_two_tasks(folder: Path) -> None:
    """48 skirts, 5 copies of one, 36 pants; an image of each class goes to a test split."""
    data = write_fashionai_data(folder / "data", per_class=8, test_per_class=1)
    write_fashionai_data(folder / "data", TASKS[1], per_class=6, test_per_class=1, seed=1)
    images = data / "base/Images" / TASKS[0]
    with open(data / "base/Annotations/label.csv", "a") as handle:
        for number in range(5):
            shutil.copy(images / "base0-0002.jpg", images / f"copy-{number}.jpg")
            handle.write(f"Images/{TASKS[0]}/copy-{number}.jpg,{TASKS[0]},nnynnn\n")
    done = run_cli("prepare", "--task", "skirt", "--task", "pant", cwd=folder)
    assert done.returncode == 0, done.stderr
    for task in TASKS:
        _move_to_test(folder / "data/train_valid" / task)


def _move_to_test(prepared: Path) -> None:
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
