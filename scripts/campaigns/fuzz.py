#!/usr/bin/env python
"""Give the program many odd inputs: no traceback, no hang, no wrong value, bounded memory.

    python scripts/campaigns/fuzz.py yaml overrides --cases 3000 --seed 7
    python scripts/campaigns/fuzz.py yaml --seed 7 --case 1234     # one case again, with its input

A kind of input is one file in scripts/campaigns/kinds/ with two functions:

    make(rng)             a case, of any type, from a random.Random and nothing else
    check(case, folder)   gives the case to the program in an empty folder, which is the current
                          one; returns "accepted", "refused" or another word for the table

Whatever else ``check`` raises is a failure: AssertionError says that a sound input was read wrong,
MemoryError that the bound was passed, everything else is a traceback that a user would see. Each
case runs in a process of its own, forked after the kind's module was imported, so what the module
imports costs no time. MXNet too outlives a fork, as long as nothing was computed before it.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib.util
import json
import os
import random
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KINDS = Path(__file__).resolve().parent / "kinds"
FAILURES = ("traceback", "wrong", "memory", "hang", "died")
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Kind:
    """A kind of input: its file's name and the two functions of that file."""

    name: str
    make: Callable[[random.Random], Any]
    check: Callable[[Any, Path], str]


@dataclass(frozen=True)
class Limits:
    """What one case may take: seconds, and MiB beyond what the process had before."""

    seconds: float = 10.0
    memory: int = 512


@dataclass(frozen=True)
class Outcome:
    """How a case ended: a word of ``check`` or of FAILURES; details of a failure; seconds, MiB."""

    word: str
    detail: str
    seconds: float
    peak: float


@dataclass
class Summary:
    """The row of a kind in the table."""

    kind: str
    words: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    peak: float = 0.0
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, number: int, outcome: Outcome) -> None:
        """Count the outcome of a case."""
        self.words[outcome.word] += 1
        self.slowest = max(self.slowest, outcome.seconds)
        self.peak = max(self.peak, outcome.peak)
        if outcome.word in FAILURES:
            self.failures.append(f"{self.kind} case {number}: {outcome.word}: {outcome.detail}")


def load_kind(name: str, folder: Path = KINDS) -> Kind:
    """The kind that a file of the folder defines."""
    spec = importlib.util.spec_from_file_location(f"kind_{name}", folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Kind(name, module.make, module.check)


def make_case(kind: Kind, seed: int, number: int) -> Any:
    """The case of that number: a function of kind, seed and number alone."""
    return kind.make(random.Random(f"{kind.name} {seed} {number}"))


def run_case(kind: Kind, case: Any, limits: Limits) -> Outcome:
    """Check a case in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        reading, writing = os.pipe()
        start = time.monotonic()
        process = os.fork()
        if process == 0:
            os.close(reading)
            _work(kind, case, Path(folder), writing, limits)
        os.close(writing)
        sent = _read_until(reading, start + limits.seconds)
        if sent is None:
            os.kill(process, signal.SIGKILL)
        _, status, usage = os.wait4(process, 0)
        seconds, peak = time.monotonic() - start, usage.ru_maxrss / 1024
    if sent is None:
        return Outcome("hang", f"more than {limits.seconds:g} s", seconds, peak)
    if not sent:
        code = os.waitstatus_to_exitcode(status)
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return Outcome("died", how, seconds, peak)
    word, detail = json.loads(sent)
    return Outcome(word, detail, seconds, peak)


def run_kind(
    kind: Kind, seed: int, numbers: Sequence[int], limits: Limits, deadline: float
) -> Summary:
    """Check cases until all are done, or the deadline by time.monotonic() has passed."""
    summary, start = Summary(kind.name), time.monotonic()
    for number in numbers:
        if time.monotonic() > deadline:
            break
        summary.add(number, run_case(kind, make_case(kind, seed, number), limits))
    summary.seconds = time.monotonic() - start
    return summary


def table(summaries: Sequence[Summary]) -> str:
    """A line for each kind: the numbers of cases by outcome, the slowest one, the peak."""
    lines = [
        f"{'kind':<18}{'cases':>7}{'accepted':>10}{'refused':>9}{'other':>7}{'failed':>8}"
        f"{'slowest':>10}{'peak':>10}{'time':>9}"
    ]
    for each in summaries:
        failed, cases = sum(each.words[word] for word in FAILURES), sum(each.words.values())
        other = cases - each.words["accepted"] - each.words["refused"] - failed
        lines.append(
            f"{each.kind:<18}{cases:>7}{each.words['accepted']:>10}"
            f"{each.words['refused']:>9}{other:>7}{failed:>8}{each.slowest:>8.2f} s"
            f"{each.peak:>6.0f} MiB{each.seconds:>7.0f} s"
        )
    return "\n".join(lines)


def _work(kind: Kind, case: Any, folder: Path, writing: int, limits: Limits) -> None:
    """In the process of the case: check it and send how it ended. Never returns."""
    silent = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(silent, stream)
    os.chdir(folder)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + limits.memory * MEBIBYTE,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        result = kind.check(case, folder), ""
    except AssertionError as error:
        result = "wrong", _place(error)
    except MemoryError as error:
        result = "memory", f"more than {limits.memory} MiB, {_place(error)}"
    except BaseException as error:
        result = "traceback", _place(error)
    with contextlib.suppress(BrokenPipeError):
        os.write(writing, json.dumps(result).encode())
    os._exit(0)


def _place(error: BaseException) -> str:
    """The error and the lines that raised it, innermost first, in at most 1,000 characters."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    places = ", ".join(f"{Path(each.filename).name}:{each.lineno}" for each in reversed(frames))
    text = ascii(str(error))[1:-1]
    return f"{type(error).__name__}: {text[:700]} ({places})"[:1000]


def _read_until(reading: int, deadline: float) -> bytes | None:
    """All that is written to a pipe until it is closed; None when the deadline passes before."""
    parts: list[bytes] = []
    try:
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([reading], [], [], left)[0]:
                return None
            part = os.read(reading, 65536)
            if not part:
                return b"".join(parts)
            parts.append(part)
    finally:
        os.close(reading)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kinds", nargs="*", help="names of files in the folder of kinds; all")
    parser.add_argument("--cases", type=int, default=1000, help="number of cases of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="run this case alone and print its input")
    parser.add_argument("--seconds", type=float, default=10, help="bound of time per case")
    parser.add_argument("--memory", type=int, default=512, help="bound of memory per case, MiB")
    parser.add_argument("--minutes", type=float, default=60, help="bound of time of everything")
    parser.add_argument("--folder", type=Path, default=KINDS, help="folder of kinds")
    return parser.parse_args()


def main() -> int:
    """Run the kinds and print the table; 1 if a case failed."""
    options = _arguments()
    names = options.kinds or sorted(file.stem for file in options.folder.glob("[!_]*.py"))
    limits = Limits(options.seconds, options.memory)
    deadline = time.monotonic() + 60 * options.minutes
    numbers = range(options.cases) if options.case is None else [options.case]
    summaries = []
    for name in names:
        kind = load_kind(name, options.folder)
        gc.freeze()  # what is imported stays shared between the processes
        if options.case is not None:
            print(ascii(make_case(kind, options.seed, options.case)))
        summaries.append(run_kind(kind, options.seed, numbers, limits, deadline))
        for failure in summaries[-1].failures[:20]:
            print(failure, flush=True)
    print(f"seed {options.seed}, at most {limits.seconds:g} s and {limits.memory} MiB per case")
    print(table(summaries))
    return 1 if any(each.failures for each in summaries) else 0


if __name__ == "__main__":
    sys.exit(main())
