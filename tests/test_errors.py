"""How messages show what files hold."""

from __future__ import annotations

import pytest

from fashionai.errors import printable, shown, shown_value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("é 类 a\nb", "é 类 a\nb"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u202egpj.exe", "a\\u202egpj.exe"),
        ("\udcb9\ufeff\u2028\r", "\\udcb9\\ufeff\\u2028\\r"),
    ],
)
def test_what_controls_a_terminal_is_escaped(text: str, expected: str) -> None:
    assert printable(text) == expected


def test_long_text_is_cut_and_stays_on_one_line() -> None:
    assert shown("a\nb") == "a\\nb"
    assert shown("x" * 80) == "x" * 80
    assert shown("x" * 81) == "x" * 77 + "..."


def test_of_large_values_a_part_is_shown() -> None:
    assert shown_value([1, {"a": "b"}]) == "[1, {'a': 'b'}]"
    nested: list[object] = []
    nested.append(nested)
    for value in ("x" * 10**6, list(range(10**5)), {i: i for i in range(10**5)}, nested):
        assert len(shown_value(value)) <= 200
