"""The commands of docs/your-own-images.md run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import PAGES, QUICK, run_page


def test_the_commands_run(own_images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_page(PAGES["your-own-images.md"], monkeypatch, QUICK)
