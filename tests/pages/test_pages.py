"""What templates print is text, and no page asks another address."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest
from jinja2 import UndefinedError

from fashionai.pages import as_json, render

HOSTILE = """</script><script>alert(1)</script> "'& \u2028 שלום"""


class _Elements(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, object]]) -> None:
        self.names.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_value_is_text() -> None:
    plain, hostile = _Elements(render("base.html", title="x")), render("base.html", title=HOSTILE)
    assert _Elements(hostile).names == plain.names
    assert _Elements(hostile).text.count(HOSTILE) == 2


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="title"):
        render("base.html")


def test_a_page_names_no_address() -> None:
    assert "//" not in render("base.html", title="x")


@pytest.mark.parametrize("value", [HOSTILE, {HOSTILE: [1.5, None, True]}, []])
def test_json_cannot_end_its_element(value: object) -> None:
    text = as_json(value)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value


def test_json_has_no_numbers_that_browsers_cannot_read() -> None:
    with pytest.raises(ValueError, match="JSON"):
        as_json(float("nan"))
