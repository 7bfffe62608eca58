"""Runs the parts one after the other, each in a process of its own with a limit of its own."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, Optional

from gpu_check.kit import Kit
from gpu_check.plan import TOGETHER, TOTAL_LIMIT, Plan
from gpu_check.progress import BEGUN, say
from gpu_check.report import write_report
from gpu_check.worker import read_rows

ROOT = Path(__file__).resolve().parent.parent.parent
# A part for which less time is left is not begun.
LEAST_SECONDS = 10.0
# The last line of a traceback.
ERROR_LINE = re.compile(r"[\w.]+(Error|Exception|Interrupt)(:|$)")


class Job(NamedTuple):
    """A process to run: its part, what it is called, and its settings."""

    part: str
    name: str
    settings: dict[str, Any]


class Check:
    """A check that runs, with its files in the folder ``out``."""

    def __init__(self, kit: Kit, device: str, out: Path) -> None:
        self.kit, self.device, self.out = kit, device, out
        self.plan: Plan = kit.plan()
        self._running: set[subprocess.Popen[bytes]] = set()
        out.mkdir(parents=True, exist_ok=True)
        self.rows_file, self.log_file = out / "rows.jsonl", out / "check_gpu.log"
        for file in (self.rows_file, self.log_file):
            file.unlink(missing_ok=True)

    def run(self, parts: Sequence[str]) -> bool:
        """Run parts; returns whether all of them ran and found what was expected.

        The report is written after every step, so that it is there whatever happens.
        """
        passed = True
        for jobs in jobs_of(self.plan, parts):
            passed = self._run_together(jobs) and passed
            report = write_report(self.out, read_rows(self.rows_file), self.device, self.plan.name)
        self.rows_file.unlink(missing_ok=True)
        say(f"{'all parts passed' if passed else 'not all parts passed'}: {report}")
        return passed

    def _run_together(self, jobs: Sequence[Job]) -> bool:
        """Run processes at the same time; Ctrl-C ends them."""
        with ThreadPoolExecutor(len(jobs)) as pool:
            futures = [pool.submit(self._run, job) for job in jobs]
            try:
                passed = [future.result() for future in futures]
            except KeyboardInterrupt:
                for process in list(self._running):
                    _kill(process)
                raise
        return all(passed)

    def _run(self, job: Job) -> bool:
        """Run one process; False if it fails or finds something else than expected."""
        left = TOTAL_LIMIT - (time.monotonic() - BEGUN)
        if left < LEAST_SECONDS:
            self._add(job, None, "no time was left")
            say(f"{job.name}: no time is left")
            return job.part in self.plan.speeds
        say(f"{job.name} begins")
        before = len(self._rows(job))
        reason = self._process(job, min(self.plan.limits[job.part], left))
        if reason:
            self._add(job, False, reason)
        failed = [row for row in self._rows(job)[before:] if row["passed"] is False]
        for row in failed:
            say(f"{job.name}: FAILED {row['name']}: {row['value']} {row['note']}")
        say(f"{job.name} ends")
        return not failed

    def _rows(self, job: Job) -> list[dict[str, Any]]:
        return [row for row in read_rows(self.rows_file) if row["part"] == job.part]

    def _add(self, job: Job, passed: Optional[bool], note: str) -> None:
        row = {"part": job.part, "name": job.name, "value": None, "unit": "", "expected": ""}
        with open(self.rows_file, "a", encoding="utf-8") as handle:
            handle.write(json.dumps({**row, "passed": passed, "note": note}) + "\n")

    def _process(self, job: Job, limit: float) -> str:
        """Run the process of a job; returns why it failed, or an empty text."""
        argument = {
            "kit": str(self.kit.folder.resolve()),
            "device": self.device,
            "part": job.part,
            "rows": str(self.rows_file.resolve()),
            "settings": job.settings,
        }
        command = [sys.executable, "-m", "gpu_check.worker", json.dumps(argument)]
        with tempfile.TemporaryFile() as log:
            with self._started(command, log) as process:
                try:
                    code = process.wait(limit)
                except subprocess.TimeoutExpired:
                    code = None
            log.seek(0)
            text = log.read().decode(errors="replace")
        with open(self.log_file, "a", encoding="utf-8") as whole:
            whole.write(f"--- {job.name}\n{text}")
        if code is None:
            return f"stopped after its limit of {limit:.0f} s"
        return "" if code == 0 else reason_of(text) or f"ended with code {code}"

    @contextlib.contextmanager
    def _started(self, command: list[str], log: Any) -> Iterator[subprocess.Popen[bytes]]:
        """A process that is killed at the end of the context, with all that it has started."""
        process = subprocess.Popen(
            command,
            env=self._environment(),
            stdout=log,
            stderr=log,
            cwd=ROOT,
            start_new_session=True,
        )
        self._running.add(process)
        try:
            yield process
        finally:
            _kill(process)
            process.wait()
            self._running.discard(process)

    def _environment(self) -> dict[str, str]:
        """The environment of the parts: this checkout, and the threads of a small machine."""
        paths = [str(ROOT), str(ROOT / "scripts"), os.environ.get("PYTHONPATH", "")]
        variables = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        if self.device == "cpu":
            variables.setdefault("OMP_NUM_THREADS", "1")
        return variables


def jobs_of(plan: Plan, parts: Sequence[str]) -> Iterator[list[Job]]:
    """The processes of parts in their order, as lists of those that run at the same time."""
    for together, group in itertools.groupby(parts, lambda part: part in TOGETHER):
        names = list(group)
        if together:
            yield [Job(part, part, {}) for part in names]
            continue
        for part in names:
            for measurements in plan.speeds.get(part, ()):
                name = f"{part}, {measurements[0].side}: {'; '.join(m.name for m in measurements)}"
                settings = {"module": "throughput", "measurements": [*map(list, measurements)]}
                yield [Job(part, name, settings)]
            if part not in plan.speeds:
                yield [Job(part, part, {})]


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def reason_of(text: str) -> str:
    """The line of a log that names the error: the first one, as later ones follow from it."""
    lines = [re.sub(r"^\[rank\d+\]: ", "", line).rstrip() for line in text.splitlines()]
    errors = [line for line in lines if ERROR_LINE.match(line) and "ChildFailed" not in line]
    return (errors or [line for line in lines if line] or [""])[0 if errors else -1][:300]
