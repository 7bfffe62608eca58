"""Small crops of large images: they see the detail that is there, and no image costs more."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fashionai.config import DataConfig
from fashionai.pipeline.augment import TrainingTransform
from fashionai.pipeline.loader import Loader

SIDE, CROP, SHORT, PERIOD = 1024, 32, 36, 8
# Crops of 64 of 1024 pixels, a view of 32: half of the pixels is what they need.
SMALL_CROPS = {"name": "random_resized_crop", "area": [1 / 256, 1 / 256], "ratio": [1.0, 1.0]}


class Recording(TrainingTransform):
    """A training transform that tells the sizes of the images it was given."""

    def __init__(self, data: DataConfig) -> None:
        super().__init__(data)
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, image: np.ndarray, rng: np.random.Generator, out: np.ndarray) -> None:
        self.shapes.append(image.shape)
        super().__call__(image, rng, out)


@pytest.fixture(scope="module")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A JPEG of black and white stripes, four pixels each."""
    column = np.where(np.arange(SIDE) % PERIOD < PERIOD // 2, 0, 255).astype(np.uint8)
    path = tmp_path_factory.mktemp("stripes") / "stripes.jpg"
    image = np.broadcast_to(column[None, :, None], (SIDE, SIDE, 3))
    cv2.imwrite(str(path), np.ascontiguousarray(image))
    return path


def load(path: Path, *steps: dict[str, object]) -> tuple[np.ndarray, set[tuple[int, ...]]]:
    """Ten views of an image, and the sizes at which it was decoded."""
    transform = Recording(DataConfig(resize_short=SHORT, crop=CROP, augment=list(steps)))
    loader = Loader([path] * 10, transform, 5, workers=2)
    views = np.concatenate([batch.images[:, 0] for batch in loader.batches(np.arange(10))])
    return views, set(transform.shapes)


def contrast(view: np.ndarray) -> float:
    """Standard deviation over columns, of 127.5 for black and white."""
    return float(view.mean(axis=(0, 2)).std())


def test_small_crops_keep_the_detail(stripes: Path) -> None:
    views, shapes = load(stripes, SMALL_CROPS)
    assert shapes == {(512, 512, 3)}
    for view in views:
        assert contrast(view) > 90
        # Eight periods of four pixels in a view.
        spectrum = np.abs(np.fft.rfft(view.mean(axis=(0, 2)) - view.mean()))
        assert spectrum.argmax() == CROP // (PERIOD // 2)


def test_the_smallest_possible_crop_decides_the_scale(stripes: Path) -> None:
    """Of crops that may be larger, and of crops that may be narrower: 45 pixels for 64."""
    larger = {**SMALL_CROPS, "area": [1 / 900, 1.0]}
    assert load(stripes, larger)[1] == {(SIDE, SIDE, 3)}
    narrow = {**SMALL_CROPS, "ratio": [0.5, 1.0]}
    assert load(stripes, narrow)[1] == {(SIDE, SIDE, 3)}


@pytest.mark.parametrize("steps", [[], [{"name": "random_crop"}], [{"name": "mirror"}]])
def test_other_crops_are_decoded_at_reduced_scale(stripes: Path, steps: list) -> None:
    """At an eighth the stripes are half a pixel wide: there is grey alone."""
    views, shapes = load(stripes, *steps)
    assert shapes == {(SIDE // 8, SIDE // 8, 3)}
    assert max(contrast(view) for view in views) < 5


def test_zoom_asks_for_as_much_more(stripes: Path) -> None:
    """Enlarged four times, 36 pixels of the short side come from 144 at least: 256 of 1/4."""
    assert load(stripes, {"name": "zoom", "factor": [1.0, 4.0]})[1] == {(256, 256, 3)}
