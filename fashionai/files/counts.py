"""Whole numbers in text of other people's files."""

from __future__ import annotations

from typing import Optional

# More digits are no number of anything. Python raises ValueError for 4,300 and more.
MOST_DIGITS = 18


def parse_count(text: str) -> Optional[int]:
    """The number that digits from 0 to 9 stand for; None for any other text, or too many digits."""
    is_count = len(text) <= MOST_DIGITS and text.isascii() and text.isdecimal()
    return int(text) if is_count else None
