"""Hints at the right place of an argument, for errors of click about its usage."""

from __future__ import annotations

import contextlib
import re
import shlex
from pathlib import Path

import click

EXTRA_ARGUMENT = re.compile(r"unexpected extra arguments? \((.*)\)")


def usage_hint(error: click.ClickException) -> str:
    """What the user has probably meant: a key in place of an option, or a run; often nothing."""
    if not isinstance(error, click.UsageError) or error.ctx is None:
        return ""
    parameters = error.ctx.command.params
    if isinstance(error, click.NoSuchOption):
        takes_keys = any(each.name == "overrides" for each in parameters)
        return _key(error.option_name) if takes_keys else ""
    extra = EXTRA_ARGUMENT.search(error.message)
    takes_runs = any("--run" in each.opts for each in parameters)
    return _run(extra[1]) if extra and takes_runs else ""


def _key(option: str) -> str:
    """A hint at the key of a configuration that has the name of an option."""
    from fashionai.config import known_keys

    name = option.lstrip("-").replace("-", "_")
    known = known_keys()
    keys = [key for key in (name, f"{name}.name") if key in known][:1]
    keys = keys or [key for key in known if key.endswith(f".{name}")]
    return f"Give a key of the configuration as {keys[0]}=VALUE" if len(keys) == 1 else ""


def _run(words: str) -> str:
    """A hint at --run for arguments of which the first ones name a run."""
    marks = ("config.yaml", "cross_validation.yaml")
    # The names of runs may have blanks, which also are between arguments.
    for path in (words, words.partition(" ")[0]):
        with contextlib.suppress(OSError, ValueError):  # many names are no path
            if any(Path(path, mark).is_file() for mark in marks):
                return f"Name a run with --run {shlex.quote(path)}"
    return ""
