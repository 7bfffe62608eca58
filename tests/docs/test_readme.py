"""The README's commands and program run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import PAGES, QUICK, run_page

# The starter's 60 epochs would take a minute.
ONE_EPOCH = {
    'fashionai.starter_config("birds")': '{**fashionai.starter_config("birds"), "epochs": 1}'
}


def test_the_commands_and_the_program_run(
    skirts: Path, own_images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_page(PAGES["README.md"], monkeypatch, QUICK, ONE_EPOCH)


def test_it_is_short() -> None:
    assert len(PAGES["README.md"].read_text(encoding="utf-8").splitlines()) < 200
