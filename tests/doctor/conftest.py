"""Prepared skirts to examine."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.trained_runs import write_config


@pytest.fixture
def skirts(prepared_skirts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of prepared skirts, with a configuration that trains quickly, as current folder."""
    shutil.copytree(prepared_skirts, tmp_path, dirs_exist_ok=True)
    write_config(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path
