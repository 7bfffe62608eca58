"""A scaled-down logo problem: four fifths of the rows are no-logo, and what helps against that."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.commands import fashionai
from tests.support.data_trees import put

NO_LOGO = "no-logo"
# Mean colours of a logo as distances from grey; each image's colour differs by SPREAD.
BRANDS = {"red": (0, 0, 75), "green": (0, 75, 0), "blue": (75, 0, 0)}
SPREAD = 45
CONFIG = """\
task: brands
model: {name: small_cnn, pretrained: false}
data: {resize_short: 28, crop: 28, augment: [{name: mirror}]}
epochs: 5
batch_size: 16
optimizer: {name: sgd, lr: 0.02}
schedule: {name: cosine}
"""


def write_brands(folder: Path, counts: dict[str, int], no_logo: int, seed: int = 0) -> None:
    """``<split>/<class>/<number>.png``: a coloured square somewhere in noise.

    ``counts`` are the images of each brand by split; there are ``no_logo`` times
    as many without a logo as of all brands together. Their square is grey on
    average, so that its colour leaves a doubt, which the frequent class wins.
    """
    rng = np.random.default_rng(seed)
    for split, count in counts.items():
        for name, colour in {**BRANDS, NO_LOGO: (0, 0, 0)}.items():
            images = no_logo * count * len(BRANDS) if name == NO_LOGO else count
            for index in range(images):
                image = rng.normal(128, 10, (28, 28, 3))
                y, x = rng.integers(0, 28 - 20, 2)
                image[y : y + 20, x : x + 20] += rng.normal(colour, SPREAD)
                done, data = cv2.imencode(".png", image.clip(0, 255).astype(np.uint8))
                assert done
                put(folder / split / name / f"{index:03d}.png", data.tobytes())


@pytest.fixture(scope="module")
def balanced_accuracy(tmp_path_factory: pytest.TempPathFactory):
    """The last epoch's balanced accuracy on validation of a training with such settings."""
    folder = tmp_path_factory.mktemp("lopsided")

    def train(*settings: str) -> float:
        name = "".join(c if c.isalnum() else "-" for c in "".join(settings)) or "plain"
        run = Path("runs") / name
        assert fashionai("train", "--config", "brands.yaml", "--run", run, *settings) == 0
        with open(run / "history.csv", newline="") as handle:
            return float(list(csv.DictReader(handle))[-1]["val_balanced_accuracy"])

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_brands(Path("drawn"), {"train": 16, "val": 20}, no_logo=4)
        Path("brands.yaml").write_text(CONFIG)
        assert fashionai("prepare", "--task", "brands", "--folders", "drawn") == 0
        yield train


@pytest.fixture(scope="module")
def plain(balanced_accuracy) -> float:
    return balanced_accuracy()


@pytest.mark.parametrize("remedy", ["loss.class_weights=balanced", "data.sampler=balanced"])
def test_rare_classes_are_found_with(remedy: str, balanced_accuracy, plain: float) -> None:
    """Six seeds of data and training gave at least 0.11 more, 0.2 on average."""
    assert balanced_accuracy(remedy) > plain + 0.05
