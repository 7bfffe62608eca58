"""The names that the images of a label file have in a prediction file."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Optional

from fashionai.datasets.readers.image_files import ImageFiles
from fashionai.errors import DataError
from fashionai.files.names import composed
from fashionai.pipeline.decode import ImageFile
from fashionai.predictions.formats import format_of
from fashionai.tasks import Task


class ImageNames:
    """Finds the images that the CSV file ``path`` lists.

    ``images`` is the folder that its paths are relative to, by default the file's own.
    ``predicted`` are the composed names of the predicted images, or empty where the images
    themselves are needed.
    """

    def __init__(
        self, path: Path, task: Task, images: Optional[Path], predicted: Collection[str]
    ) -> None:
        self._files, self._task, self._predicted = (
            ImageFiles(images or path.parent),
            task,
            predicted,
        )

    def exists(self, text: str) -> bool:
        """Whether a field of the file is the path of an image."""
        if self._predicted:
            return self._predicted_name(text) is not None
        return self._path(text) is not None

    def find(self, text: str, where: str) -> tuple[str, Optional[ImageFile]]:
        """The name of an image, and its file where that is needed; DataError if it is missing."""
        if self._predicted:
            return self._predicted_name(text) or text, None
        relative = self._files.relative_path(text, where, "a path below it")
        found = self._files.find(relative, where)
        if found is None:
            raise self._files.missing_of_user([(relative, where)])
        return found, self._files.root / found

    def _predicted_name(self, text: str) -> Optional[str]:
        """The text, or the path of the file that it stands for; None where neither is predicted."""
        if self._is_predicted(text):
            return text
        found = self._path(text)
        return found if found is not None and self._is_predicted(found) else None

    def _is_predicted(self, image: str) -> bool:
        return composed(format_of(self._task).image_name(image)) in self._predicted

    def _path(self, text: str) -> Optional[str]:
        """The path of a file below the folder; None without such a file."""
        try:
            return self._files.find(self._files.relative_path(text, "", ""), "")
        except DataError:
            return None
