"""The words of messages: what files hold, counts with their noun, and suggested names."""

from __future__ import annotations

import pytest

from fashionai.config.augmentations import AUGMENTATIONS
from fashionai.errors import closest, counted, nearest, printable, shown, shown_value


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


def test_of_many_choices_a_part_is_shown() -> None:
    assert nearest("x", ["a", "b"]) == "Choose from: a, b"
    twelve = ", ".join(f"pixel{number}" for number in range(12))
    assert nearest("label", [f"pixel{number}" for number in range(784)]) == (
        f"Choose from: {twelve} and 772 more"
    )


def test_the_lists_of_this_project_are_shown_whole() -> None:
    assert nearest("0", AUGMENTATIONS) == f"Choose from: {', '.join(AUGMENTATIONS)}"


def test_a_count_agrees_with_its_noun() -> None:
    assert [counted(number, "row") for number in (0, 1, 1200)] == ["0 rows", "1 row", "1,200 rows"]
    nouns = ("class", "index", "batch", "epoch", "probability", "key")
    several = "2 classes, 2 indexes, 2 batches, 2 epochs, 2 probabilities, 2 keys"
    assert ", ".join(counted(2, noun) for noun in nouns) == several
    assert [counted(1, noun) for noun in nouns] == [f"1 {noun}" for noun in nouns]


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


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("snacks", None),  # not 'neck'
        ("nope.png", None),  # not 'prune.png'
        ("nekc", "neck"),
        ("necck", "neck"),
        ("nck", "neck"),
        ("enck", "neck"),
        ("beck", "neck"),
        ("prune", "prune.png"),
        ("pruen.png", "prune.png"),
        ("rpune.png", "prune.png"),
        ("prrunee.png", "prune.png"),
        ("collra", "collar"),
    ],
)
def test_typos_are_told_from_other_words(name: str, meant: object) -> None:
    assert closest(name, ["neck", "collar", "prune.png"]) == meant
