"""Pictures that show which pixels speak for a class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np

from fashionai.predictions.explain import ExplainedClass, Explanation
from fashionai.reporting.preview import LONGEST_LINE, Tile, keep_beginning, save_grid

# A map of colours of steadily increasing brightness: also readable in grey.
COLOURS = "inferno"
# The share of the colour where a pixel speaks most for the class.
STRONGEST = 0.7
# Of the brightness of red, green and blue (ITU-R BT.601).
GREY = np.array([0.299, 0.587, 0.114])


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """The image in grey, with colours where ``heat`` is large.

    ``image`` is ``(H, W, 3) uint8`` RGB, ``heat`` ``(H, W)`` in [0, 1]; returns such an image.
    """
    grey = np.repeat((image @ GREY)[..., None], 3, axis=2)
    colours = 255 * matplotlib.colormaps[COLOURS](heat)[..., :3]
    share = STRONGEST * heat[..., None]
    return np.rint((1 - share) * grey + share * colours).astype(np.uint8)


def write_explanation(explanation: Explanation, name: str, out: Path) -> None:
    """Write a PNG: the image under its name, and beside it an overlay per class with its title.

    Each task has a row.
    """
    rows = rows_of_tiles(explanation, name)
    columns = max(map(len, rows))
    blank = Tile(np.full_like(explanation.image, 255), "")
    tiles = [tile for row in rows for tile in [*row, *[blank] * (columns - len(row))]]
    save_grid(tiles, columns, out)


def rows_of_tiles(explanation: Explanation, name: str) -> list[list[Tile]]:
    """For each task a row of titled images: the image itself, then the overlays of the classes."""
    by_task: dict[str, list[ExplainedClass]] = {}
    for each in explanation.classes:
        by_task.setdefault(each.task.short_name, []).append(each)
    rows = []
    for task, classes in by_task.items():
        second = task if len(by_task) > 1 else "centre crop"
        title = f"{keep_beginning(name, LONGEST_LINE)}\n{keep_beginning(second, LONGEST_LINE)}"
        own = Tile(explanation.image, title)
        rows.append([own, *(Tile(overlay(explanation.image, e.heat), _title(e)) for e in classes)])
    return rows


def _title(explained: ExplainedClass) -> str:
    """The class, and below it its probability and whether it is the true one."""
    truth = ", the label" if explained.is_true else ""
    return f"{keep_beginning(explained.name, LONGEST_LINE)}\n{explained.probability:.3f}{truth}"


def picture_names(images: Sequence[Path]) -> list[str]:
    """Distinct names of PNG files for images: their own, with a number where that is taken."""
    taken: set[str] = set()
    following: dict[str, int] = {}  # the next number to try for a stem
    names = []
    for image in images:
        stem = image.stem
        number = following.get(stem.lower(), 1)
        while _numbered(stem, number).lower() in taken:
            number += 1
        following[stem.lower()] = number + 1
        taken.add(_numbered(stem, number).lower())
        names.append(f"{_numbered(stem, number)}.png")
    return names


def _numbered(stem: str, number: int) -> str:
    return stem if number == 1 else f"{stem}-{number}"
