"""The commands of docs/competition.md run, and it names every task."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fashionai.families import FASHIONAI_TASKS
from tests.docs.pages import PAGES, QUICK, run_page

PAGE = PAGES["competition.md"]


def test_the_commands_run(skirts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_page(PAGE, monkeypatch, QUICK)


@pytest.mark.parametrize("task", FASHIONAI_TASKS, ids=lambda task: task.short_name)
def test_every_task_is_named(task) -> None:
    listed = re.search(r"`(skirt coat [a-z ]+)`", PAGE.read_text(encoding="utf-8"))
    assert listed is not None
    assert task.short_name in listed.group(1).split()
