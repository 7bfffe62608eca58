"""JPEGs like photographs, for measuring: made from the two that scikit-learn brings.

usage: scripts/bench/images.py [--cache DIR] [--images N]

Crops of china.jpg and flower.jpg, mirrored, in changed colours, with the mild noise of a sensor,
the sides of 512 to 800 pixels, quality 88 to 92. Image i is the same in every folder and on every
machine with the same OpenCV: what is there is not made again.
"""

from __future__ import annotations

import argparse
import functools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

CACHE = Path(__file__).resolve().parents[2] / "build/bench"
CLASSES = 8
SIDES = (512, 800)
# A photograph's crop has at least this share of its sides.
SMALLEST_SHARE = 0.5
NOISE = 3.0  # standard deviation, of 255


def photographs() -> list[np.ndarray]:
    """The two photographs, ``(427, 640, 3) uint8`` in OpenCV's order BGR."""
    from sklearn.datasets import load_sample_images

    return [image[:, :, ::-1].copy() for image in load_sample_images().images]


def draw_image(
    sources: list[np.ndarray], number: int, sides: tuple[int, int] = SIDES
) -> np.ndarray:
    """Image ``number`` in BGR, its sides between ``sides`` pixels; a function of both alone."""
    rng = np.random.default_rng((20, number, *sides))
    source = sources[number % len(sources)]
    width, height = (int(side) for side in rng.integers(sides[0], sides[1] + 1, 2))
    share = rng.uniform(SMALLEST_SHARE, 1)
    rows, columns = (max(8, int(side * share)) for side in source.shape[:2])
    top = int(rng.integers(source.shape[0] - rows + 1))
    left = int(rng.integers(source.shape[1] - columns + 1))
    image = cv2.resize(
        source[top : top + rows, left : left + columns],
        (width, height),
        interpolation=cv2.INTER_CUBIC,
    )
    if rng.random() < 0.5:
        image = cv2.flip(image, 1)
    colours = image * rng.uniform(0.8, 1.2, 3).astype(np.float32)
    colours += rng.uniform(-15, 15)
    colours += NOISE * rng.standard_normal(image.shape, np.float32)
    changed: np.ndarray = np.clip(colours, 0, 255).astype(np.uint8)
    return changed


def make_images(cache: Path, count: int, sides: tuple[int, int] = SIDES) -> list[Path]:
    """The first ``count`` images of a size as files of one folder, made where they are missing."""
    folder = cache / f"images-{sides[0]}-{sides[1]}"
    folder.mkdir(parents=True, exist_ok=True)
    sources = photographs()

    def make(number: int) -> Path:
        file = folder / f"{number:06d}.jpg"
        if not file.exists():
            image = draw_image(sources, number, sides)
            quality = int(np.random.default_rng((90, number)).integers(88, 93))
            _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
            partial = file.with_suffix(".part")
            partial.write_bytes(data.tobytes())
            partial.replace(file)
        return file

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(make, range(count)))


def class_folders(cache: Path, count: int, classes: int = CLASSES) -> Path:
    """A tree of ``train`` and ``val`` with class folders: any tool for image folders reads it.

    Every class has as many of the ``count`` training images; ``val`` repeats the first two
    of each, which are of no interest to what is measured here.
    """
    tree = cache / f"folders-{count}-{classes}"
    if (tree / "complete").exists():
        return tree
    for number, file in enumerate(make_images(cache, count)):
        name = f"class-{number % classes:04d}"
        for split in ("train", "val")[: 1 + (number < 2 * classes)]:
            link = tree / split / name / f"{split}-{file.name}"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            os.link(file, link)
    (tree / "complete").touch()
    return tree


@functools.cache
def prepared(cache: Path, count: int, classes: int = CLASSES) -> Path:
    """The same images as ``fashionai prepare`` puts them, to give as data.folder."""
    from trained_runs import fashionai

    out = cache / f"prepared-{count}-{classes}"
    if not (out / TASK / "manifest.csv").is_file():
        tree = class_folders(cache, count, classes)
        fashionai("prepare", "--task", TASK, "--folders", tree, "--out", out)
    return out


TASK = "bench"


def main() -> None:
    """Make the images."""
    parser = argparse.ArgumentParser(usage=(__doc__ or "").split("usage: ")[1])
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--images", type=int, default=2000)
    arguments = parser.parse_args()
    files = make_images(arguments.cache, arguments.images)
    size = sum(file.stat().st_size for file in files) / len(files)
    print(f"{len(files):,} images of {size / 1000:.0f} kB in {files[0].parent}")


if __name__ == "__main__":
    main()
