"""The process of one side: sets up once, then measures each time the benchmark asks for it.

Uses the standard library alone, because the peers run it in an environment of their own.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
from collections.abc import Callable
from typing import Any

Settings = dict[str, Any]
# What the results report beside the versions; ``set_up`` may add to it.
FACTS: dict[str, Any] = {}


def serve(set_up: Callable[[Settings], Callable[[], float]], *packages: str) -> None:
    """Set up with the settings in the first line of input, then measure once per line "go".

    ``set_up`` also warms up, and returns a function that measures one repetition in the unit of
    the comparison. The results report the versions of ``packages``. Other output goes to standard
    error.
    """
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def reply(value: Any) -> None:
        print(json.dumps(value), file=replies, flush=True)

    measure = set_up(json.loads(sys.stdin.readline()))
    versions = {name: _version(name) for name in packages}
    reply({"python": sys.version.split()[0], **versions, **FACTS})
    for line in sys.stdin:
        if line.strip() == "go":
            reply(measure())


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "none"
