"""A grid of training images as the network sees them, after augmentation and mixing."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np
from matplotlib.figure import Figure

from fashionai.config import Config
from fashionai.datasets.prepared.samples import Samples, read_samples
from fashionai.errors import ConfigError
from fashionai.pipeline.augment import TrainingTransform
from fashionai.pipeline.augmentation.mixing import Mixing, draw_mixing
from fashionai.pipeline.loader import MIXING_STREAM, Loader, shuffled_indices
from fashionai.reporting.plots import as_plain_text, save_figure

PIXELS_PER_INCH = 128
# In inches: the side of a tile, the gap between tiles, the height of a title line. They are whole
# numbers of pixels, so that an image of 224 pixels is not resampled.
TILE, GAP, LINE = (pixels / PIXELS_PER_INCH for pixels in (224, 10, 21))
FONT_SIZE = 8
# Characters of a title line that fit above a tile.
LONGEST_LINE = 23


class Tile(NamedTuple):
    """An image, ``(crop, crop, 3) uint8`` RGB, and the title above it."""

    image: np.ndarray
    title: str


def write_preview(
    config: Config, out: Path, rows: int, columns: int, epoch: int, image: Optional[Path] = None
) -> int:
    """Write a PNG of the first images of an epoch, which counts from 1; returns their number.

    They are the images that a training on one device sees. With ``image``, every tile is a
    random augmentation of that file, without mixing. Raises ConfigError when ``out`` does
    not end in .png, DataError for an image that cannot be read.
    """
    check_png_name(out)
    count = rows * columns
    if image is None:
        tiles = training_tiles(config, count, epoch - 1)
    else:
        tiles = image_tiles(config, image, count, epoch - 1)
    save_grid(tiles, columns, out)
    return len(tiles)


def check_png_name(out: Path) -> None:
    """ConfigError for a name that does not end in .png."""
    if out.suffix.lower() != ".png":
        raise ConfigError(f"{out}: expected the name of a .png file")


def training_tiles(config: Config, count: int, epoch: int) -> list[Tile]:
    """The first ``count`` images of an epoch, which counts from 0, in training order."""
    config = config.for_training(epoch)
    train = read_samples(config, "train", pseudo=True)
    order = shuffled_indices(len(train.paths), config.seed, epoch)
    # Full batches, because images are mixed with others of their batch.
    order = order[: math.ceil(count / config.batch_size) * config.batch_size]
    names = class_names(train)
    tiles: list[Tile] = []
    for step, batch in enumerate(_loader(config, train.paths).batches(order, epoch)):
        images, own = batch.images[:, 0], [names[row] for row in batch.rows]
        rng = np.random.default_rng((config.seed, epoch, step, MIXING_STREAM))
        mixing = draw_mixing(config.loss, len(images), config.data.crop, rng)
        if mixing is None:
            titles = [keep_beginning(name, LONGEST_LINE) for name in own]
        else:
            images = mix_images(images, mixing)
            partners = [own[row] for row in mixing.partners]
            titles = [mixed_title(*pair, mixing.share) for pair in zip(own, partners)]
        tiles += map(Tile, images, titles)
    return tiles[:count]


def image_tiles(config: Config, path: Path, count: int, epoch: int) -> list[Tile]:
    """``count`` random augmentations of one image."""
    loader = _loader(config.for_training(epoch), [path] * count)
    return [
        Tile(image, "")
        for batch in loader.batches(np.arange(count), epoch)
        for image in batch.images[:, 0]
    ]


def _loader(config: Config, paths: list[Path]) -> Loader:
    data = config.data
    return Loader(
        paths, TrainingTransform(data), config.batch_size, workers=data.workers, seed=config.seed
    )


def class_names(samples: Samples) -> list[str]:
    """The true class of every sample, with the name of its task if there are several."""
    names = [
        f"{task.short_name}: {name}" if len(samples.tasks) > 1 else name
        for task in samples.tasks
        for name in task.classes
    ]
    return [names[column] for column in samples.marks.argmax(axis=1)]


def mix_images(images: np.ndarray, mixing: Mixing) -> np.ndarray:
    """Mix each image of ``(B, H, W, 3) uint8`` with its partner as in training."""
    own = mixing.weights[0, 0, :, :, None]
    mixed = own * images + (1 - own) * images[mixing.partners]
    return np.rint(mixed).astype(np.uint8)


def mixed_title(own: str, partner: str, share: float) -> str:
    """Both classes with their shares, on two lines if they do not fit one."""
    if own == partner:
        return keep_beginning(own, LONGEST_LINE)
    weights = [f" {weight:.2f}".replace("0.", ".") for weight in (share, 1 - share)]
    line = f"{own}{weights[0]} / {partner}{weights[1]}"
    if len(line) <= LONGEST_LINE:
        return line
    room = LONGEST_LINE - len(weights[0])
    return "\n".join(
        keep_beginning(name, room) + weight for name, weight in zip((own, partner), weights)
    )


def keep_beginning(text: str, longest: int) -> str:
    """The text, or its beginning and an ellipsis if it has more than ``longest`` characters."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def save_grid(tiles: list[Tile], columns: int, out: Path) -> None:
    """Write a PNG of draw_grid, with tiles of 224 pixels."""
    save_figure(draw_grid(tiles, columns), out, PIXELS_PER_INCH)


def draw_grid(tiles: list[Tile], columns: int) -> Figure:
    """A figure of the tiles, row by row, each with its title above it."""
    rows = math.ceil(len(tiles) / columns)
    lines = max(1 + tile.title.count("\n") if tile.title else 0 for tile in tiles)
    across, down = TILE + GAP, TILE + GAP + lines * LINE
    width, height = columns * across + GAP, rows * down + GAP
    figure = Figure(figsize=(width, height), dpi=PIXELS_PER_INCH)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        left, bottom = GAP + column * across, height - (row + 1) * down
        axes = figure.add_axes((left / width, bottom / height, TILE / width, TILE / height))
        axes.imshow(tile.image)
        axes.set_axis_off()
        title = as_plain_text(tile.title)
        axes.set_title(title, fontsize=FONT_SIZE, pad=3.5, linespacing=1.2)
    return figure
