"""fashionai: label files in, image classifier and prediction file out.

The names below are the library's public entry points; they are imported when
they are first used, since some of them import MXNet.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

PUBLIC = {
    "prepare": "fashionai.api.training",
    "starter_config": "fashionai.api.training",
    "train": "fashionai.api.training",
    "predict": "fashionai.api.predictions",
    "evaluate": "fashionai.api.predictions",
    "load_config": "fashionai.config",
    "read_data_set": "fashionai.datasets.reading",
    "find_task": "fashionai.families",
    "Run": "fashionai.runs",
    "RunFolder": "fashionai.runs",
    "create_run": "fashionai.runs",
    "Trainer": "fashionai.training.trainer",
    "predict_images": "fashionai.predictions.predict",
    "evaluate_file": "fashionai.scoring.evaluate",
    "average_files": "fashionai.scoring.ensemble",
    "find_learning_rate": "fashionai.training.lr_finder",
    "CrossValidation": "fashionai.cross_validation",
    "contexts": "fashionai.frameworks.choice",
}


def __getattr__(name: str) -> Any:
    if name in PUBLIC:
        return getattr(importlib.import_module(PUBLIC[name]), name)
    raise AttributeError(f"module 'fashionai' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *PUBLIC])
