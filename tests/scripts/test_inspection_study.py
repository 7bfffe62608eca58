"""The study of inspect: planted copies and changed labels are found."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.commands import ROOT


@pytest.fixture(scope="module")
def study() -> ModuleType:
    file = ROOT / "scripts/studies/inspection_study.py"
    spec = importlib.util.spec_from_file_location("inspection_study", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_copies_of_photographs_are_found(study: ModuleType) -> None:
    recall, precision = study.study_copies("tiles", study.photograph_tiles())
    assert recall >= 0.95
    assert precision >= 0.95


@pytest.mark.clipart
def test_copies_of_drawings_are_found(study: ModuleType) -> None:
    recall, precision = study.study_copies("drawings", study.drawings(study.PICTURES, 400))
    assert recall >= 0.95
    assert precision >= 0.95


@pytest.mark.fashion_mnist
def test_changed_labels_are_found(study: ModuleType, tmp_path: Path) -> None:
    assert min(study.study_labels(tmp_path, 4000).values()) >= 0.5
