"""What a command needs to be killed and repeated, and what is compared afterwards."""

from __future__ import annotations

import csv
import fnmatch
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# Places that a folder's comparison leaves out: what every program may leave in a temporary
# folder, and the campaign's own files.
NOT_COMPARED = ("tmp", "tmp/*", "campaign-*")
# Columns and keys that tell the time.
TIMES = ("seconds", "images_per_second")


@dataclass(frozen=True)
class Scenario:
    """A command that is killed, and the one that goes on afterwards.

    ``again`` defaults to the same command. ``remains`` are patterns of files that a kill may
    leave, as docs/reliability.md says; ``volatile`` of files whose content tells the time, such
    as a log. ``environment`` is added to the process's.
    """

    name: str
    command: Sequence[str]
    again: Sequence[str] = ()
    remains: Sequence[str] = ()
    volatile: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[Path], None] = lambda folder: None

    @property
    def repeated(self) -> Sequence[str]:
        """The command after a kill."""
        return self.again or self.command


def content_of(folder: Path, scenario: Scenario) -> dict[str, str]:
    """The hash of every file below a folder by its relative path, '/' for an empty folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if matches(name, NOT_COMPARED):
            continue
        if path.is_dir():
            if not any(path.iterdir()):
                found[name] = "/"
        elif path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        else:
            volatile = matches(name, scenario.volatile)
            found[name] = "" if volatile else hashlib.sha256(_timeless(path)).hexdigest()
    return found


def differences(
    actual: Mapping[str, str], expected: Mapping[str, str], remains: Sequence[str]
) -> list[str]:
    """What a repeated command ended with that an uninterrupted one does not, one line each."""
    missing = [f"missing: {name}" for name in expected.keys() - actual.keys()]
    left = [
        f"left behind: {name}"
        for name in actual.keys() - expected.keys()
        if not matches(name, remains)
    ]
    changed = [
        f"differs: {name}" for name in expected.keys() & actual.keys()
        if expected[name] != actual[name]
    ]  # fmt: skip
    return sorted(missing + left + changed)


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a relative path, with any number of folders, matches one of the patterns."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _timeless(path: Path) -> bytes:
    """The content of a file without what tells the time."""
    if path.name in ("history.csv", "trials.csv"):
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
        return json.dumps([_without_times(row) for row in rows]).encode()
    if path.name == "metrics.json":
        return json.dumps(_without_times(json.loads(path.read_text(encoding="utf-8")))).encode()
    return path.read_bytes()


def _without_times(values: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in values.items() if key not in TIMES}
