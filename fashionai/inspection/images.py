"""The images of a prepared task, of all splits, and what is the same in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fashionai.datasets.names import SPLITS
from fashionai.datasets.near_duplicates import (
    NearDuplicates,
    find_near_duplicates,
    hash_matrix,
)
from fashionai.datasets.prepared.check import on_all_cores
from fashionai.datasets.prepared.folders import read_split
from fashionai.files import content_hash
from fashionai.pipeline.decode import decode
from fashionai.pipeline.perceptual_hash import SIDE, perceptual_hash
from fashionai.progress import ProgressBar
from fashionai.tasks import Task


class TaskImages(NamedTuple):
    """N images of a task: files, sources in the manifest, splits and labels."""

    task: Task
    paths: Sequence[Path]
    sources: Sequence[str]
    splits: Sequence[str]
    labels: Sequence[str]


def read_images(folder: Path) -> TaskImages:
    """Read the manifest of a prepared task; errors as for read_split."""
    present = [split for split in SPLITS if (folder / split).is_dir()]
    prepared = read_split(folder, *(present or SPLITS[:1]), background=True)
    task = prepared.task
    label_of = dict(zip(task.folder_names, task.labels))
    return TaskImages(
        task,
        prepared.paths,
        prepared.sources,
        [path.parent.parent.name for path in prepared.paths],
        [label_of[path.parent.name] for path in prepared.paths],
    )


def compare_images(images: TaskImages, progress: ProgressBar) -> tuple[NearDuplicates, list[str]]:
    """The near-duplicates among the images, and a hash of each image's bytes.

    Raises DataError for an image that cannot be decoded.
    """
    with progress("reading images", len(images.paths)) as advance:
        hashed = on_all_cores(_hashes, images.paths, advance)
    hashes = hash_matrix([each for each, _ in hashed])
    with progress("comparing images", len(hashes)) as advance:
        pairs = find_near_duplicates(hashes, advance)
    return pairs, [content for _, content in hashed]


def _hashes(path: Path) -> tuple[np.ndarray, str]:
    data = path.read_bytes()
    # The hash needs few pixels, and a JPEG is decoded faster at a reduced scale.
    return perceptual_hash(decode(data, 2 * SIDE, str(path))), content_hash(data)
