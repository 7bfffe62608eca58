"""The command line within this process, as the kinds of inputs use it."""

from __future__ import annotations

import contextlib
import io
import unicodedata
from typing import Any, Callable, NamedTuple

from fashionai.cli import main
from fashionai.errors import FashionAIError, printable

MOST_CHARACTERS = 100_000


class Attempt(NamedTuple):
    """How a call ended: "accepted" with its result, or "refused" with the text of the error."""

    word: str
    result: Any


class Finished(NamedTuple):
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str


def run_command(*arguments: str) -> Finished:
    """Run ``fashionai`` with these arguments; its streams encode as the program sets them up."""
    out, err = (
        io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
        for _ in range(2)
    )
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    texts = []
    for stream in (out, err):
        stream.flush()
        stream.seek(0)
        texts.append(stream.read())
    return Finished(code, *texts)


def verdict(finished: Finished) -> str:
    """ "accepted" or "refused"; AssertionError for a command that ended in another way."""
    if finished.code == 0:
        return "accepted"
    assert finished.code == 2, f"exit code {finished.code}: {finished.err[:300]}"
    assert finished.err.strip(), "refused without a word"
    assert "Traceback" not in finished.err, finished.err[-300:]
    assert len(finished.err) <= MOST_CHARACTERS, f"a message of {len(finished.err):,} characters"
    assert_printable(finished.err)
    return "refused"


def assert_printable(text: str) -> None:
    """AssertionError for what controls a terminal: colours, directions, halves of characters."""
    kinds = {each: unicodedata.category(each) for each in text if each != "\n"}
    controls = [each for each, kind in kinds.items() if kind in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert not controls, f"the message holds {controls[:3]!r}: {text[:300]!r}"


def attempt(call: Callable[..., Any], *arguments: Any, **options: Any) -> Attempt:
    """Call a function of the library; its own errors are the only ones that it may raise."""
    try:
        return Attempt("accepted", call(*arguments, **options))
    except FashionAIError as error:
        text = printable(str(error))
        assert text.strip(), "refused without a word"
        assert len(text) <= MOST_CHARACTERS, f"a message of {len(text):,} characters"
        return Attempt("refused", text)
