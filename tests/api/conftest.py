"""A prepared task of birds, and a run that has learnt it."""

from __future__ import annotations

from pathlib import Path

import pytest

import fashionai
from tests.support.data_trees import write_table


@pytest.fixture(scope="module")
def birds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, its images, and a run that ``train`` has made."""
    folder = tmp_path_factory.mktemp("birds")
    write_table(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        fashionai.prepare("birds", table="labels.csv", images="images")
        fashionai.train(
            {"task": "birds", "model": {"name": "small_cnn", "pretrained": False}},
            {"epochs": 1, "batch_size": 4, "data.resize_short": 36, "data.crop": 32},
        )
    return folder


@pytest.fixture
def inside(birds: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(birds)
    return birds
