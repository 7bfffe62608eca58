"""The two photographs that scikit-learn ships, as the pipeline sees them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import sklearn.datasets

from fashionai.config.sections import DataConfig
from fashionai.pipeline.augment import EvaluationTransform
from fashionai.pipeline.loader import Loader

PHOTOGRAPHS = ("china.jpg", "flower.jpg")


def photograph_pixels(crop: int = 224) -> np.ndarray:
    """``(2, crop, crop, 3) uint8`` RGB: the centre crops that predictions are made of."""
    folder = Path(sklearn.datasets.__file__).parent / "images"
    files = [folder / name for name in PHOTOGRAPHS]
    settings = DataConfig(crop=crop, resize_short=crop + 32)
    loader = Loader(files, EvaluationTransform(settings), len(files))
    (batch,) = loader.batches(np.arange(len(files)))
    return batch.images[:, 0]
