"""The commands of docs/training.md run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import PAGES, QUICK, run_page
from tests.support.commands import fashionai


def test_the_commands_run(all_attributes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fashionai("prepare", "--task", "skirt") == 0
    run_page(PAGES["training.md"], monkeypatch, QUICK)
