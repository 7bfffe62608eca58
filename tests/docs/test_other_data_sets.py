"""The commands of docs/other-data-sets.md run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import PAGES, QUICK, run_page


def test_the_commands_run(other_data_sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_page(PAGES["other-data-sets.md"], monkeypatch, QUICK)
