"""The splits that one's own images come with: how they are spelt and what is made of them."""

from __future__ import annotations

from collections.abc import Sequence

from fashionai.datasets.records import LabelledImage
from fashionai.errors import DataError

SPLIT_SPELLINGS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def settle_splits(
    images: Sequence[LabelledImage], where: str
) -> tuple[list[LabelledImage], list[str]]:
    """Given splits as preparing needs them, and a line about what it has to choose.

    Where there is train but no val, train gives its images up: validation is to
    be chosen from them. Raises DataError when there are no images for training.
    """
    found = {image.split for image in images}
    if not found & {None, "train"}:
        raise DataError(f"{where}: no images to train on")
    if "train" not in found or "val" in found:
        return list(images), []
    return [image._replace(split=None) if image.split == "train" else image for image in images], [
        "no images for validation are given: they are chosen from those of train"
    ]
