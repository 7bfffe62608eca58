"""Files of features: written in blocks, read without loading them, and whole or not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fashionai.errors import TrainingError
from fashionai.training.batches.feature_files import file_size, read_features, write_features
from tests.support.commands import files_of_at_most


def test_a_file_is_written_in_blocks_and_read_as_it_was(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(7, 5, 1, 1)).astype(np.float32)
    write_features(tmp_path / "a.npy", values.shape, np.split(values, [3, 6]))
    found = read_features(tmp_path / "a.npy", values.shape)
    assert isinstance(found, np.memmap)
    assert np.array_equal(found, values)
    assert (tmp_path / "a.npy").stat().st_size == file_size(values.shape)
    assert read_features(tmp_path / "a.npy", (7, 4, 1, 1)) is None


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    too_large = [np.zeros((5000, 1), np.float32)]
    with files_of_at_most(10_000), pytest.raises(TrainingError) as error:
        write_features(tmp_path / "a.npy", (5000, 1), too_large)
    assert str(error.value) == (
        f"{tmp_path}: features of 0.0 MB cannot be written: File too large. "
        "Free disk space there, or set FASHIONAI_HOME to another folder"
    )
    assert list(tmp_path.iterdir()) == []
