"""The engine of a side: a named one, or the fastest exact one on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from worker import FACTS, Settings

from fashionai.engines.choice import measure_engines
from fashionai.engines.opening import open_engine
from fashionai.runs import Run
from fashionai.runtime import compute_threads, contexts

EXACT = "exact"


def open_best(settings: Settings) -> tuple[Any, Run]:
    """The engine of ``settings["run"]`` that ``settings["engine"]`` says, noted in the result."""
    run, name, devices = Run.open(Path(settings["run"])), settings["engine"], contexts("cpu")
    if name == EXACT:
        speeds, _ = measure_engines(run, devices)
        name = max(speeds, key=speeds.__getitem__)
        FACTS["engines"] = speeds
    FACTS.update(engine=name, threads=compute_threads())
    return open_engine(run, devices, name), run
