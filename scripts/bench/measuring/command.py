"""A side that runs a command and measures its duration in seconds or its peak memory in MB."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable

from measuring.processes import peak_memory
from measuring.worker import Settings, serve


def set_up(settings: Settings) -> Callable[[], float]:
    """Measure seconds or memory of ``command``, as the setting ``measure`` says.

    The folders in ``remove`` are deleted before each run. The warm-up runs ``warm_up`` once, or
    the command itself where that is not given.
    """
    command = settings["command"]

    def measure() -> float:
        for path in settings.get("remove", []):
            shutil.rmtree(path, ignore_errors=True)
        if settings["measure"] == "memory":
            return peak_memory(command, stdout=sys.stderr)
        begun = time.perf_counter()
        subprocess.run(command, check=True, stdout=sys.stderr)
        return time.perf_counter() - begun

    if "warm_up" in settings:
        subprocess.run(settings["warm_up"], check=True, stdout=sys.stderr)
    else:
        measure()
    return measure


if __name__ == "__main__":
    serve(set_up)
