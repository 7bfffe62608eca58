"""The records that the readers of label files and of question files return."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Optional, Union, overload

import numpy as np

from fashionai.pipeline.decode import ImageFile
from fashionai.tasks import Task


class LabelledImage(NamedTuple):
    """One image with its class.

    ``source`` is the path of the image relative to the data folder, as the manifest and
    messages name it. The image is the file ``path``; an image that lies inside a larger file
    has no ``path``, and ``content`` holds its encoded bytes. A missing image has neither: prepare
    rejects it. ``class_index`` is the position in
    ``task.labels``, ``label`` the text in the label file, and ``where`` its place (file:line)
    for errors. ``split`` is the split that the data set prescribes; None lets prepare choose
    train or val. Images with the same non-empty ``group`` stay in one split. ``probability``, from
    0 to 1, is that of a class that a network has predicted (a pseudo-label); None for a label.
    """

    source: str
    path: Optional[Path]
    content: Optional[bytes]
    class_index: int
    label: str
    where: str
    split: Optional[str] = None
    group: str = ""
    probability: Optional[float] = None

    def read(self) -> bytes:
        """Return the encoded image; OSError when its file cannot be read."""
        if self.content is not None:
            return self.content
        if self.path is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return self.path.read_bytes()

    @property
    def file_name(self) -> str:
        """The last part of ``source``."""
        return self.source.rsplit("/", 1)[-1]


class DataSet(NamedTuple):
    """The labelled images of one task.

    ``notes`` are lines for the user about what the reader found. ``val_fraction`` is the
    default share of images for validation, in [0, 1), where the data set prescribes no split.
    ``guesses`` are lines about how the label files were read, where nothing in them says it:
    header, columns, delimiter, encoding.
    """

    task: Task
    images: list[LabelledImage]
    notes: list[str]
    val_fraction: float = 0.1
    guesses: Sequence[str] = ()


class LabelRow(NamedTuple):
    """One row of a label file whose rows name their task.

    ``marks`` are ``(C,) int8`` (see fashionai.metrics), and ``where`` is file:line.
    """

    image: str
    task: Task
    marks: np.ndarray
    where: str


class ImageToPredict(NamedTuple):
    """One image to predict.

    ``image`` is its name in the question file, ``file`` the path of its file below ``folder``,
    or the file itself. ``task`` is the task that the row names. An image without one is
    predicted for all tasks of the command.
    """

    image: str
    file: Union[str, ImageFile]
    task: Optional[Task] = None
    folder: Optional[ImageFile] = None

    @property
    def path(self) -> ImageFile:
        """The file, made when it is needed: millions of paths would fill the memory."""
        if self.folder is None:
            assert not isinstance(self.file, str)
            return self.file
        return self.folder / str(self.file)


class ImageList(Sequence[ImageFile]):
    """The files of images to predict, each made when it is needed."""

    def __init__(self, images: Sequence[ImageToPredict]) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    @overload
    def __getitem__(self, at: int) -> ImageFile: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[ImageFile]: ...

    def __getitem__(self, at: Union[int, slice]) -> Union[ImageFile, Sequence[ImageFile]]:
        if isinstance(at, slice):
            return ImageList(self._images[at])
        return self._images[at].path

    @property
    def names(self) -> Sequence[str]:
        """The names of the images in the question file."""
        return [each.image for each in self._images]

    def part(self, rows: Sequence[int]) -> ImageList:
        """The images at these positions."""
        return ImageList([self._images[row] for row in rows])
