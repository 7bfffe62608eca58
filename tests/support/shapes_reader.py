"""The reader of a made-up family: lines ``<file> <label>`` in shapes.txt, images in pictures/."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from fashionai.datasets.readers.reader import QuestionFile, Reader
from fashionai.datasets.records import DataSet, ImageToPredict, LabelledImage
from fashionai.tasks import Task

LABELS, QUESTIONS, HEADER = "shapes.txt", "wanted.txt", "which shape"


def _read(data: Path, task: Task, seed_share: float = 0.25) -> DataSet:
    images = []
    for number, line in enumerate((data / LABELS).read_text().splitlines(), start=1):
        name, label = line.split()
        index = task.classes.index(label)
        path = data / "pictures" / name
        where = f"{data / LABELS}:{number}"
        images.append(LabelledImage(f"pictures/{name}", path, None, index, label, where))
    return DataSet(task, images, ["shapes are made up"], seed_share)


def _names(path: Path) -> list[tuple[str, Optional[Task]]]:
    return [(line, None) for line in path.read_text().splitlines()[1:]]


def _questions(path: Path, data: Path) -> list[ImageToPredict]:
    folder = path.parent / "pictures"
    return [ImageToPredict(name, folder / name, None) for name, _ in _names(path)]


def _matches(first_rows: Sequence[Sequence[str]]) -> bool:
    return list(first_rows[:1]) == [[HEADER]]


READER = Reader(
    _read,
    QuestionFile(QUESTIONS, _matches, _questions, _names),
    image_name=lambda source: source.removeprefix("pictures/"),
)
