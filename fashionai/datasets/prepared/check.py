"""The check of every image before the folders are written: damage, and copies of other images."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Optional, TypeVar

import numpy as np

from fashionai.datasets.records import LabelledImage
from fashionai.errors import DataError
from fashionai.files import content_hash
from fashionai.pipeline.decode import Trait, inspect_image
from fashionai.progress import Advance, ProgressBar, no_bar, no_progress
from fashionai.runtime import usable_cores

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

# Items per job of a thread; single items would cost time and memory to hand over.
CHUNK = 16


class Checked(NamedTuple):
    """The result for one image.

    ``content`` is the SHA-256 of its bytes; it is "" for a file that cannot be read. ``damage``
    says why the image cannot be used and is "" for a sound one; ``traits`` is what it is like.
    ``hash`` is the perceptual hash of a sound image, where it was asked for.
    """

    content: str
    damage: str
    traits: frozenset[Trait] = frozenset()
    hash: Optional[np.ndarray] = None


def check_images(
    images: Sequence[LabelledImage], progress: Advance = no_progress, with_hashes: bool = False
) -> list[Checked]:
    """Decode and hash every image on all cores; the results are in the order of the images.

    ``progress`` is called with the number of images finished since the last call, and
    ``with_hashes`` asks for perceptual hashes.
    """
    return on_all_cores(functools.partial(_check, with_hash=with_hashes), images, progress)


def hash_files(paths: Sequence[Path], progress: Advance = no_progress) -> list[str]:
    """Return the SHA-256 of every file, computed on all cores; ``progress`` as for check_images.

    Raises DataError for a file that cannot be read.
    """
    return on_all_cores(_hash_file, paths, progress)


def _hash_file(path: Path) -> str:
    try:
        return content_hash(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def find_copies(
    files: Sequence[Path], others: Sequence[Path], progress: ProgressBar = no_bar
) -> list[bool]:
    """Return, for every file, whether one of the others has the same bytes.

    Links to one of the others are not read, and of the rest only files of a size that both sides
    have. Raises OSError for a file that is missing, and DataError for one that cannot be read.
    """
    ours, theirs = ([path.stat() for path in each] for each in (files, others))
    known = {(each.st_dev, each.st_ino) for each in theirs}
    linked = [(each.st_dev, each.st_ino) in known for each in ours]
    common = {each.st_size for each, is_link in zip(ours, linked) if not is_link}
    common &= {each.st_size for each in theirs}
    candidates = [
        path
        for path, each, is_link in zip(files, ours, linked)
        if each.st_size in common and not is_link
    ]
    if not candidates:
        return linked
    possible = [path for path, each in zip(others, theirs) if each.st_size in common]
    with progress("comparing images", len(candidates) + len(possible)) as advance:
        seen = set(hash_files(possible, advance))
        contents = dict(zip(candidates, hash_files(candidates, advance)))
    return [is_link or contents.get(path) in seen for path, is_link in zip(files, linked)]


def conflicting_groups(
    images: Sequence[LabelledImage], contents: Sequence[str]
) -> list[list[LabelledImage]]:
    """Return the groups of images with equal bytes but different classes.

    ``contents`` are the hashes of the images. Groups and images keep the order of ``images``.
    """
    groups: dict[str, list[LabelledImage]] = defaultdict(list)
    for image, content in zip(images, contents):
        groups[content].append(image)
    return [group for group in groups.values() if len({i.class_index for i in group}) > 1]


def _check(image: LabelledImage, with_hash: bool) -> Checked:
    try:
        data = image.read()
    except OSError as error:
        return Checked("", f"cannot be read: {error.strerror}")
    return Checked(content_hash(data), *inspect_image(data, with_hash))


def on_all_cores(
    function: Callable[[Item], Outcome], items: Sequence[Item], progress: Advance
) -> list[Outcome]:
    """Return the results of a function for all items, in order."""
    outcomes: list[Outcome] = []
    chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
    with ThreadPoolExecutor(usable_cores()) as pool:
        for part in pool.map(lambda chunk: [function(item) for item in chunk], chunks):
            outcomes += part
            progress(len(part))
    return outcomes
