"""One side of a comparison: a process that measures whenever the harness says go.

Standard library alone: the peers run it in an environment of their own.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
from collections.abc import Callable
from typing import Any

Settings = dict[str, Any]
# What a result should tell beside versions: set_up may add to it.
FACTS: dict[str, Any] = {}


def serve(set_up: Callable[[Settings], Callable[[], float]], *packages: str) -> None:
    """Set up and warm up with the settings in the first line of input, measure at every "go".

    ``set_up`` returns what measures one repetition; its figure is in the unit of the
    comparison. What else is printed goes to standard error. ``packages`` are those whose
    versions the result tells.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def answer(value: Any) -> None:
        print(json.dumps(value), file=answers, flush=True)

    measure = set_up(json.loads(sys.stdin.readline()))
    versions = {name: _version(name) for name in packages}
    answer({"python": sys.version.split()[0], **versions, **FACTS})
    for line in sys.stdin:
        if line.strip() == "go":
            answer(measure())


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "none"
