"""The tests that docs/reliability.md names exist."""

from __future__ import annotations

import re

from tests.docs.pages import PAGES
from tests.support.commands import ROOT

NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def test_every_promise_names_an_existing_test() -> None:
    page = PAGES["reliability.md"].read_text(encoding="utf-8")
    named = NAMED.findall(page)
    assert len(named) == page.count("::test_") > 20
    for file, name in named:
        assert f"\ndef {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{name}"
