"""The splits that the user's own data set prescribes: accepted names, and missing validation."""

from __future__ import annotations

from collections.abc import Sequence

from fashionai.datasets.records import LabelledImage
from fashionai.errors import DataError

# The split of each name that a column or a folder may use, in lower case.
SPLIT_SPELLINGS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def settle_splits(
    images: Sequence[LabelledImage], where: str
) -> tuple[list[LabelledImage], list[str]]:
    """Return the images with the splits that prepare shall keep, and notes on what it chooses.

    When the data set prescribes train but not val, the split of the training images becomes
    None, so that prepare chooses validation images from them. Raises DataError, with ``where``,
    when there are no images to train on.
    """
    found = {image.split for image in images}
    if not found & {None, "train"}:
        raise DataError(f"{where}: no images to train on")
    if "train" not in found or "val" in found:
        return list(images), []
    settled = [image._replace(split=None) if image.split == "train" else image for image in images]
    return settled, ["no validation images are given: they are chosen from the training images"]
