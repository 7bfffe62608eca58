"""Columns of a terminal, counted by hand: Chinese characters take two, combining accents none."""

from __future__ import annotations

import pytest

from fashionai.reporting.tables import aligned_table
from fashionai.text_width import keep_end, left_aligned, right_aligned, text_width

ACCENT = "e\N{COMBINING ACUTE ACCENT}"


@pytest.mark.parametrize(("text", "width"), [("bird", 4), ("鳥の写真", 8), (ACCENT, 1), ("\t", 1)])
def test_width(text: str, width: int) -> None:
    assert text_width(text) == width


def test_alignment() -> None:
    assert left_aligned("鳥", 4) == "鳥  "
    assert right_aligned(ACCENT, 3) == "  " + ACCENT
    assert left_aligned("long", 2) == "long"


@pytest.mark.parametrize(
    ("text", "room", "kept"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "...efg"),
        ("鳥の写真", 8, "鳥の写真"),
        ("鳥の写真", 6, "...真"),
    ],
)
def test_the_end_is_kept(text: str, room: int, kept: str) -> None:
    assert keep_end(text, room) == kept
    assert text_width(kept) <= room


def test_the_columns_of_a_table_stand_below_each_other() -> None:
    lines = aligned_table("class", [("N", 5)], [("鳥の写真", [12]), (ACCENT, [3])]).split("\n")
    assert lines == ["class       N", "鳥の写真   12", f"{ACCENT}           3"]
