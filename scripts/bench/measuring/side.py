"""One side of a comparison, seen from the benchmark: its script and the process that runs it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Optional

from measuring.paths import BENCH, CACHE, ROOT
from measuring.processes import cpu_seconds

# Seconds to wait before a measurement: threads that spin for more work go to sleep meanwhile.
SETTLING = 0.2


class Side(NamedTuple):
    """What to measure: a title, a script below scripts/bench and the settings that it receives.

    ``environment`` holds the variables to set; the value None removes a variable.
    """

    name: str
    script: str
    settings: dict[str, Any]
    python: Path = Path(sys.executable)
    environment: Mapping[str, Optional[str]] = MappingProxyType({})


class SideProcess:
    """The running process of a side.

    ``facts`` are the versions and settings that the process reports, and ``idle_share`` is the
    largest share of one core that it used while it waited.
    """

    def __init__(self, side: Side, process: subprocess.Popen[str]) -> None:
        self._side, self._process = side, process
        self.idle_share = 0.0
        self.facts = self._reply()

    def measure(self) -> float:
        """Measure one repetition."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return float(self._reply())

    def measure_beside(self, waiting: SideProcess) -> float:
        """Measure one repetition, and record the processor time that the waiting side uses."""
        time.sleep(SETTLING)
        used, begun = cpu_seconds(waiting._process.pid), time.perf_counter()
        value = self.measure()
        used = cpu_seconds(waiting._process.pid) - used
        waiting.idle_share = max(waiting.idle_share, used / (time.perf_counter() - begun))
        return value

    def _reply(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            sys.exit(f"{self._side.script} ended with code {code}; its error is printed above")
        return json.loads(line)


@contextlib.contextmanager
def running(side: Side) -> Iterator[SideProcess]:
    """Start the process of a side, set up and warmed up; it ends with the context."""
    if not side.python.exists():
        sys.exit(f"{side.python}: interpreter not found; run scripts/bench/setup.sh first")
    process = subprocess.Popen(
        [str(side.python), str(BENCH / side.script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=_environment(side),
    )
    try:
        assert process.stdin is not None
        # Through standard input: the names of many files do not fit on a command line.
        process.stdin.write(json.dumps(side.settings, default=str) + "\n")
        process.stdin.flush()
        yield SideProcess(side, process)
        process.stdin.close()
        process.wait(timeout=60)
    finally:
        process.kill()
        process.wait()


def _environment(side: Side) -> dict[str, str]:
    """Each library chooses its own number of threads, and the user's cache stays untouched."""
    own = {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{BENCH}",
        "OMP_NUM_THREADS": None,
        "ORT_DISABLE_TELEMETRY": "1",
        "FASHIONAI_HOME": str(CACHE / "home"),
        **side.environment,
    }
    variables = {**os.environ, **own}
    return {name: value for name, value in variables.items() if value is not None}
