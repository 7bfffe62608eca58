"""Counts in messages agree with their noun: 1 image, 2 images."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import ROOT

# A number in a text, then up to two words, then what it counts.
NOUNS = (
    "images|files|rows|classes|fields|epochs|steps|runs|folds|processes|tasks|columns|bytes|pixels|"
    "threads|values|numbers|labels|names|letters|questions|errors|parts|devices|GPUs|machines|"
    "parameters|layers|weights|probabilities|views|crops|duplicates|groups|lines|entries|"
    "characters|samples|batches|cores|keys|arrays|predictions|tensors|copies|days"
)
COUNTED = re.compile(rf" (?:[\w-]+ ){{0,2}}?(?:{NOUNS})\b(?!/)")
# What is written in a text is a number: a length, or a value with a separator of thousands.
IS_COUNT = re.compile(r"\blen\(|\b(?:count|total|number|amount)s?$")


def counts_without_helper(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of f-strings that count without ``counted``.

    Constants are written in capitals: their value is known not to be 1.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            for value, after in zip(node.values, node.values[1:]):
                if (
                    isinstance(value, ast.FormattedValue)
                    and isinstance(after, ast.Constant)
                    and COUNTED.match(str(after.value))
                    and _is_count(value)
                ):
                    yield value.lineno, f"{{{ast.unparse(value.value)}}}{after.value}"


def _is_count(value: ast.FormattedValue) -> bool:
    text = ast.unparse(value.value)
    if text.isupper() or text.startswith("counted("):
        return False
    spec = ast.unparse(value.format_spec) if value.format_spec else ""
    return bool(IS_COUNT.search(text)) or "," in spec


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("f'{len(rows)} rows'", True),
        ("f'found {count} training images'", True),
        ("f'{left:,} files removed'", True),
        ("f'{counted(len(rows), \"row\")} in files'", False),
        ("f'at most {MOST_ROWS:,} rows'", False),
        ("f'{path}: the rows'", False),
        ("f'{speed:.1f} images/s'", False),
    ],
)
def test_the_search_finds_counts_without_the_helper(source: str, found: bool) -> None:
    assert bool(list(counts_without_helper(source))) is found


@pytest.mark.parametrize(
    "path", sorted((ROOT / "fashionai").rglob("*.py")), ids=lambda p: p.relative_to(ROOT).as_posix()
)
def test_counts_are_written_with_the_helper(path: Path) -> None:
    assert list(counts_without_helper(path.read_text(encoding="utf-8"))) == []
