"""Opens the engine of a side: a named one, or the fastest float32 engine on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from measuring.worker import FACTS, Settings

from fashionai.engines.choice import measure_engines
from fashionai.engines.opening import open_engine
from fashionai.frameworks.mxnet import contexts
from fashionai.runs import Run
from fashionai.runtime import compute_threads

EXACT = "exact"


def open_best(settings: Settings) -> tuple[Any, Run]:
    """Open the engine ``settings["engine"]`` for ``settings["run"]``.

    The name "exact" stands for the fastest float32 engine. Engine, number of threads and measured
    speeds become facts of the result.
    """
    run, name, devices = Run.open(Path(settings["run"])), settings["engine"], contexts("cpu")
    if name == EXACT:
        speeds, _ = measure_engines(run, devices)
        name = max(speeds, key=speeds.__getitem__)
        FACTS["engines"] = speeds
    FACTS.update(engine=name, threads=compute_threads())
    return open_engine(run, devices, name), run
