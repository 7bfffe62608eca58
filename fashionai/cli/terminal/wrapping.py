"""Messages on a terminal: wrapped at its width, with paths and commands in one piece."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from typing import Optional, TextIO

# The width of lines on terminals, in columns, where a terminal does not tell its own.
WIDTH = 80

# A command is kept on one line so that it can be copied.
_COMMAND = re.compile(
    r"\b(?:fashionai|pip|apt-get|magick|rsvg-convert|darktable-cli|soffice) [^;]+?(?=;|\. |\.?$)"
)
# Stands for the blanks of a command while lines are wrapped.
_BLANK = "\0"


def for_terminal(text: str, stream: Optional[TextIO] = None) -> str:
    """The text as a stream shows it: wrapped if that is a terminal, else unchanged.

    The stream defaults to standard error. Programs and logs see a message on one line. Continued
    lines are indented.
    """
    stream = stream or sys.stderr
    if not stream.isatty():
        return text
    width = _width(stream)
    return "\n".join(_wrapped(line, width) for line in text.split("\n"))


def _width(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or WIDTH
    except (OSError, ValueError):
        return WIDTH


def _wrapped(line: str, width: int) -> str:
    text = line.lstrip(" ")
    indent = line[: len(line) - len(text)]
    glued = _COMMAND.sub(lambda found: found.group().replace(" ", _BLANK), text)
    return textwrap.fill(
        glued,
        max(width, 20),
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    ).replace(_BLANK, " ")
