"""JPEGs that resemble photographs, made from the two photographs that scikit-learn contains.

Each is a crop of china.jpg or flower.jpg with changed colours and mild sensor noise, half of them
mirrored. By default the sides are 512 to 800 pixels; the JPEG quality is 88 to 92. Image number i
is the same in every folder and on every machine with the same version of OpenCV. Existing files
are not made again.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

CLASSES = 8
SIDES = (512, 800)
# The sides of a crop are at least this share of the sides of the photograph.
SMALLEST_SHARE = 0.5
NOISE = 3.0  # standard deviation, of 255
# Images of each class that the validation split repeats.
VALIDATION_PER_CLASS = 2


def photographs() -> list[np.ndarray]:
    """The two photographs, ``(427, 640, 3) uint8`` in OpenCV's order BGR."""
    from sklearn.datasets import load_sample_images

    return [image[:, :, ::-1].copy() for image in load_sample_images().images]


def draw_image(
    sources: list[np.ndarray], number: int, sides: tuple[int, int] = SIDES
) -> np.ndarray:
    """Image ``number`` as ``(height, width, 3) uint8`` in BGR; ``sides`` limits both sides.

    The image is a function of the arguments alone.
    """
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
    """Make the first ``count`` images of a size in one folder, as far as they are missing."""
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
    """A folder with ``train`` and ``val`` as class folders, which any image-folder tool reads.

    The ``count`` training images are distributed evenly over the classes. ``val`` repeats the
    first images of each class, because no benchmark measures scores on it.
    """
    tree = cache / f"folders-{count}-{classes}"
    if (tree / "complete").exists():
        return tree
    for number, file in enumerate(make_images(cache, count)):
        name = f"class-{number % classes:04d}"
        repeated = number < VALIDATION_PER_CLASS * classes
        for split in ("train", "val") if repeated else ("train",):
            link = tree / split / name / f"{split}-{file.name}"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            os.link(file, link)
    (tree / "complete").touch()
    return tree
