"""Images that several tasks have, in the training split of one and in another split of another."""

from __future__ import annotations

import filecmp
from collections.abc import Iterator
from pathlib import Path

from fashionai.datasets.prepared.samples import Samples

# What is told, with the place, the number of such images, and all images.
SHARED = (
    "%s: %d of %s are training images of another task, so the scores are too high; a column "
    "of the label file that gives the split, with --split-column, divides all tasks alike"
)


def count_shared(train: Samples, scored: Samples) -> int:
    """The number of scored samples that are training images of another task.

    They are the same file, or have the same path in the data set and the same content. Raises
    OSError for a file that is missing.
    """
    trained: dict[str, list[tuple[str, Path]]] = {}
    for task, source, path in _images(train):
        trained.setdefault(source, []).append((task, path))
    return sum(
        any(
            other != task and (path.samefile(file) or filecmp.cmp(path, file, shallow=False))
            for other, file in trained.get(source, ())
        )
        for task, source, path in _images(scored)
    )


def _images(samples: Samples) -> Iterator[tuple[str, str, Path]]:
    """The name of the task, the source and the file of every sample."""
    names = [task.name for task in samples.tasks]
    yield from zip((names[head] for head in samples.heads), samples.sources, samples.paths)
