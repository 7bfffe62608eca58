"""The programs of docs/python.md run, one after the other, with its commands."""

from __future__ import annotations

from pathlib import Path

import pytest

import fashionai
from tests.docs.pages import PAGES, QUICK, blocks, run_page

PAGE = PAGES["python.md"]


def test_the_programs_run(own_images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len([block for block in blocks(PAGE) if block.language == "python"]) > 10
    run_page(PAGE, monkeypatch, QUICK)


@pytest.mark.parametrize("name", sorted(fashionai.PUBLIC))
def test_every_public_name_is_explained(name: str) -> None:
    assert name in PAGE.read_text(encoding="utf-8")
