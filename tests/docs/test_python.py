"""The programs of docs/python.md run, one after the other, with its commands."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import fashionai
from tests.docs.pages import PAGES, QUICK, blocks, run_page

PAGE = PAGES["python.md"]
SECTIONS = ["Args:", "Returns:", "Raises:", "Example:"]


def test_the_programs_run(own_images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len([block for block in blocks(PAGE) if block.language == "python"]) > 10
    run_page(PAGE, monkeypatch, QUICK)


@pytest.mark.parametrize("name", sorted(fashionai.PUBLIC))
def test_every_public_name_is_explained(name: str) -> None:
    assert name in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(fashionai.PUBLIC))
def test_every_public_name_has_a_full_docstring(name: str) -> None:
    public = getattr(fashionai, name)
    text = inspect.getdoc(public) or ""
    sections = {line for line in text.splitlines() if re.fullmatch(r"[A-Z][a-z]+:", line)}
    wanted = ["Args:", "Example:"] if inspect.isclass(public) else SECTIONS
    assert sections >= set(wanted)
    parameters = [name.lstrip("*") for name in inspect.signature(public).parameters]
    assert all(re.search(rf"^    \**{name}: ", text, re.M) for name in parameters)
