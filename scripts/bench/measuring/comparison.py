"""Runs a peer and this project in alternation and tells the ratio of their figures.

Both sides are processes of their own that set up and warm up first; then one measures while
the other waits, one after the other, as often as asked. A pair of neighbours gives a ratio: what
else the machine does changes slowly, and so it touches both alike.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Optional

from images import CACHE
from processes import cpu_seconds

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PEER_PYTHON = ROOT / ".venv-bench/bin/python"
# A side that waits and yet uses more than this share of a core disturbs the other.
IDLE_SHARE = 0.02
# Seconds after a measurement in which threads that spin for more work go to sleep.
SETTLING = 0.2


class Target(NamedTuple):
    """What the ratio ours / peer has to reach: at least ``bound``, or at most."""

    bound: float
    at_most: bool = False

    def __str__(self) -> str:
        return f"{'<=' if self.at_most else '>='} {self.bound:g}"

    def is_met(self, ratio: float) -> bool:
        """Whether a ratio is on the right side of the bound."""
        return ratio <= self.bound if self.at_most else ratio >= self.bound


class Side(NamedTuple):
    """A worker: its name for people, its script below scripts/bench, its settings.

    ``environment`` holds variables to set, None to leave one out.
    """

    name: str
    script: str
    settings: dict[str, Any]
    python: Path = Path(sys.executable)
    environment: Mapping[str, Optional[str]] = MappingProxyType({})


class Comparison(NamedTuple):
    """A row of the table; ``unit`` is that of both sides' figures."""

    title: str
    unit: str
    target: Target
    peer: Side
    ours: Side


class Summary(NamedTuple):
    """Medians of both sides, and the median, least and largest of the pairs' ratios."""

    peer: float
    ours: float
    ratio: float
    lowest: float
    highest: float


class Options(NamedTuple):
    """What every script of these takes on its command line."""

    repetitions: int
    images: int
    quick: bool
    cache: Path
    out: Optional[Path]
    peer_python: Path


def read_options(usage: Optional[str], images: int, quick_images: int) -> Options:
    """Options of the command line; ``images`` and ``quick_images`` are defaults of --images."""
    parser = argparse.ArgumentParser(
        description=usage, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, help="measurements of each side (5)")
    parser.add_argument("--images", type=int, help=f"images a repetition ({images:,})")
    parser.add_argument("--quick", action="store_true", help="tiny: figures mean nothing")
    parser.add_argument("--cache", type=Path, default=CACHE, help=f"images, runs ({CACHE})")
    parser.add_argument("--out", type=Path, help="folder for the results as JSON")
    environment = os.environ.get("BENCH_PYTHON")
    parser.add_argument("--peer-python", type=Path, default=Path(environment or PEER_PYTHON))
    given = parser.parse_args()
    return Options(
        given.repetitions or (2 if given.quick else 5),
        given.images or (quick_images if given.quick else images),
        given.quick,
        given.cache.resolve(),
        given.out,
        # Not resolved: a virtual environment is known by the link that its interpreter is.
        given.peer_python.absolute(),
    )


def run(comparisons: Iterable[Comparison], options: Options) -> None:
    """Measure the rows of this script and print them; see write_results."""
    write_results([compare(each, options) for each in comparisons], options)


def write_results(rows: Sequence[dict[str, Any]], options: Options) -> None:
    """Write ``SCRIPT.json`` below ``options.out``, when that is given and all rows are there."""
    if options.out is None:
        return
    result = {
        "rows": rows,
        "machine": machine(),
        "date": date.today().isoformat(),
        "revision": revision(),
        "quick": options.quick,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=2, default=str)
    (options.out / f"{Path(sys.argv[0]).stem}.json").write_text(text + "\n")


def compare(comparison: Comparison, options: Options) -> dict[str, Any]:
    """Measure and print one row; what is to be kept of it."""
    print(comparison.title, flush=True)
    with running(comparison.peer) as peer, running(comparison.ours) as ours:
        pairs = []
        for _ in range(options.repetitions):
            pairs.append((peer.measure_beside(ours), ours.measure_beside(peer)))
            print(f"  {pairs[-1][0]:10.4g} {pairs[-1][1]:10.4g} {comparison.unit}", flush=True)
        busy = max(peer.idle_share, ours.idle_share)
    if busy > IDLE_SHARE:
        print(f"  beware: the waiting side used {busy:.0%} of a core", flush=True)
    sides = ((comparison.peer, peer), (comparison.ours, ours))
    summary = summarize(pairs)
    return result_row(
        row_cells(comparison, summary, ours.facts.get("engine")),
        **summary._asdict(),
        unit=comparison.unit,
        pairs=pairs,
        idle_share=busy,
        sides=[{"name": side.name, "script": side.script, **w.facts} for side, w in sides],
    )


def result_row(cells: Sequence[str], **figures: Any) -> dict[str, Any]:
    """A row of the table with its figures; it is printed."""
    row = markdown_row(cells)
    print(row, flush=True)
    return {"row": row, **figures}


def summarize(pairs: Sequence[tuple[float, float]]) -> Summary:
    """Figures of (peer, ours) that were measured one after the other."""
    ratios = [ours / peer for peer, ours in pairs]
    medians = [statistics.median(side) for side in zip(*pairs)]
    return Summary(medians[0], medians[1], statistics.median(ratios), min(ratios), max(ratios))


HEADER = ("what", "peer", "peer's median", "ours", "ratio", "spread", "target", "met")


def markdown_row(cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def markdown_header(names: Sequence[str]) -> str:
    """The first two lines of a Markdown table."""
    return markdown_row(names) + "\n" + markdown_row(["---"] * len(names))


def row_cells(comparison: Comparison, summary: Summary, engine: Optional[str] = None) -> list[str]:
    """The cells of a row, as in HEADER; ``engine`` is the one that computed ours."""
    peer, ours = (f"{value:.4g} {comparison.unit}" for value in (summary.peer, summary.ours))
    return [
        *(comparison.title, comparison.peer.name, peer),
        ours if engine is None else f"{ours}, engine {engine}",
        *(f"{summary.ratio:.3g}", f"{summary.lowest:.3g} to {summary.highest:.3g}"),
        *(str(comparison.target), "yes" if comparison.target.is_met(summary.ratio) else "no"),
    ]


class Worker:
    """A side's process."""

    def __init__(self, side: Side, process: subprocess.Popen[str]) -> None:
        self._side, self._process = side, process
        self.idle_share = 0.0
        self.facts = self._answer()

    def measure(self) -> float:
        """One repetition."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return float(self._answer())

    def measure_beside(self, waiting: Worker) -> float:
        """One repetition, while another worker waits, whose use of the processor is noted."""
        time.sleep(SETTLING)
        used, begun = cpu_seconds(waiting._process.pid), time.perf_counter()
        value = self.measure()
        used = cpu_seconds(waiting._process.pid) - used
        waiting.idle_share = max(waiting.idle_share, used / (time.perf_counter() - begun))
        return value

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            sys.exit(f"{self._side.script} ended with code {code}, its error is above")
        return json.loads(line)


@contextlib.contextmanager
def running(side: Side) -> Iterator[Worker]:
    """The worker of a side, set up and warm; it ends with the context."""
    if not side.python.exists():
        sys.exit(f"{side.python}: no such interpreter; run scripts/bench/setup.sh first")
    path = f"{ROOT}{os.pathsep}{HERE}"
    # Each side has the threads that it takes by itself, and leaves the user's cache alone.
    own = {
        "PYTHONPATH": path,
        "OMP_NUM_THREADS": None,
        "ORT_DISABLE_TELEMETRY": "1",
        "FASHIONAI_HOME": str(CACHE / "home"),
        **side.environment,
    }
    environment = {**os.environ, **own}
    process = subprocess.Popen(
        [str(side.python), str(HERE / side.script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={name: value for name, value in environment.items() if value is not None},
    )
    try:
        assert process.stdin is not None
        # Not on the command line, which is too short for the names of many files.
        process.stdin.write(json.dumps(side.settings, default=str) + "\n")
        process.stdin.flush()
        yield Worker(side, process)
        process.stdin.close()
        process.wait(timeout=60)
    finally:
        process.kill()
        process.wait()


def machine() -> dict[str, Any]:
    """Processor, cores, memory and system, for whoever reads the figures."""
    text = Path("/proc/cpuinfo").read_text()
    model = next((line for line in text.splitlines() if line.startswith("model name")), ":")
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": model.split(":")[1].strip(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(pages / 2**30, 1),
        "system": platform.platform(),
    }


def revision() -> str:
    """The commit that is measured, with what is changed since then named; empty without Git."""
    words = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(words, capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:
        return ""
