"""The records that readers of label and question files produce."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

from fashionai.pipeline.decode import ImageFile
from fashionai.tasks import Task


class LabelledImage(NamedTuple):
    """One image with its class.

    ``source`` names the image relative to the data folder, for people and for
    the manifest. The image is the file ``path``, or ``content`` (encoded bytes)
    where it lies inside a larger file. ``label`` is the label file's own text,
    ``where`` the place that errors name (file:line), and ``split`` is given by
    the data set or None where it is ours to choose. Rows of one ``group`` stay
    in one split; an empty one binds nothing.
    """

    source: str
    path: Optional[Path]
    content: Optional[bytes]
    class_index: int
    label: str
    where: str
    split: Optional[str] = None
    group: str = ""

    def read(self) -> bytes:
        """The encoded image."""
        if self.content is not None:
            return self.content
        assert self.path is not None
        return self.path.read_bytes()

    @property
    def file_name(self) -> str:
        """The last part of ``source``."""
        return self.source.rsplit("/", 1)[-1]


class DataSet(NamedTuple):
    """What label files hold: a task, its images, and lines that a person should read.

    ``val_fraction`` is the share of rows that validation gets by default where
    the data set gives no split of its own.
    """

    task: Task
    images: list[LabelledImage]
    notes: list[str]
    val_fraction: float = 0.1


class LabelRow(NamedTuple):
    """One row of a label file that names its task; ``marks`` are ``(C,) int8``."""

    image: str
    task: Task
    marks: np.ndarray
    where: str


class ImageToPredict(NamedTuple):
    """An image to predict: its name in the question file, its file, the row's task if it has one.

    Rows without a task are predicted for all tasks that are asked for.
    """

    image: str
    path: ImageFile
    task: Optional[Task]
