"""Images that several tasks have, in the training split of one and in another split of another."""

from __future__ import annotations

import filecmp
from pathlib import Path

from fashionai.datasets.prepared.samples import Samples

# What is told, with the place, the number of such images, and all images.
SHARED = (
    "%s: %d of %s are training images of another task, so the scores are too high; to divide the "
    "images of all tasks alike, prepare them with --split-column"
)


def count_shared(train: Samples, scored: Samples) -> int:
    """The number of scored samples that are training images of another task.

    They are the same file, or have the same path in the data set and the same content. Raises
    OSError for a file that is missing.
    """
    trained: dict[str, list[tuple[int, Path]]] = {}
    for head, source, path in zip(train.heads.tolist(), train.sources, train.paths):
        trained.setdefault(source, []).append((head, path))
    return sum(
        any(
            other != head and (path.samefile(file) or filecmp.cmp(path, file, shallow=False))
            for other, file in trained.get(source, ())
        )
        for head, source, path in zip(scored.heads.tolist(), scored.sources, scored.paths)
    )
