"""Text in columns of a terminal, where a Chinese character takes two and an accent none."""

from __future__ import annotations

from wcwidth import wcswidth


def text_width(text: str) -> int:
    """The number of columns that the text takes, by Unicode's table of wide characters."""
    width: int = wcswidth(text)
    # -1 for text with control characters, whose width only the terminal knows.
    return len(text) if width < 0 else width


def left_aligned(text: str, width: int) -> str:
    """The text with blanks behind it, so that it takes ``width`` columns."""
    return text + " " * (width - text_width(text))


def right_aligned(text: str, width: int) -> str:
    """The text with blanks before it, so that it takes ``width`` columns."""
    return " " * (width - text_width(text)) + text


def keep_end(text: str, room: int) -> str:
    """The text, or its end after ``...`` if it takes more than ``room`` columns."""
    if text_width(text) <= room:
        return text
    start = len(text) - (room - 3)
    while text_width(text[start:]) > room - 3:
        start += 1
    return f"...{text[start:]}"
