"""The words of messages: counts with their noun, and suggestions of valid names."""

from __future__ import annotations

import pytest

from fashionai.errors import closest, counted


def test_a_count_agrees_with_its_noun() -> None:
    assert [counted(number, "row") for number in (0, 1, 1200)] == ["0 rows", "1 row", "1,200 rows"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("pct", "pct_start"),
        ("PCT", "pct_start"),
        ("base_momentun", "base_momentum"),
        ("warm", None),  # two names begin with it
        ("p", None),
        ("", None),
    ],
)
def test_the_beginning_of_one_name_stands_for_it(name: str, meant: object) -> None:
    choices = ["pct_start", "base_momentum", "warmup_epochs", "warmup_factor_of_the_rate"]
    assert closest(name, choices) == meant
