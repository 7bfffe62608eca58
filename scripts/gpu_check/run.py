"""Runs the parts one after the other, each in a process of its own with a limit of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

from gpu_check.kit import Kit
from gpu_check.plan import TOTAL_LIMIT, Plan
from gpu_check.progress import BEGUN, say
from gpu_check.report import write_report
from gpu_check.worker import read_rows

ROOT = Path(__file__).resolve().parent.parent.parent
# A part for which less time is left is not begun.
LEAST_SECONDS = 10.0


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
        out.mkdir(parents=True, exist_ok=True)
        self.rows_file, self.log_file = out / "rows.jsonl", out / "check_gpu.log"
        for file in (self.rows_file, self.log_file):
            file.unlink(missing_ok=True)

    def run(self, parts: Sequence[str]) -> bool:
        """Run parts; returns whether all of them ran and found what was expected.

        The report is written after every process, so that it is there whatever happens.
        """
        passed = True
        for job in jobs_of(self.plan, parts):
            passed = self._run(job) and passed
            report = write_report(self.out, read_rows(self.rows_file), self.device, self.plan.name)
        self.rows_file.unlink(missing_ok=True)
        say(f"{'all parts passed' if passed else 'not all parts passed'}: {report}")
        return passed

    def _run(self, job: Job) -> bool:
        """Run one process; False if it fails or finds something else than expected."""
        left = TOTAL_LIMIT - (time.monotonic() - BEGUN)
        if left < LEAST_SECONDS:
            self._add(job, None, "no time was left")
            say(f"{job.part}, {job.name}: no time is left")
            return job.part == "throughput"
        say(f"{job.part}, {job.name}")
        before = len(read_rows(self.rows_file))
        reason = self._process(job, min(self.plan.limits[job.part], left))
        if reason:
            self._add(job, False, reason)
        rows = read_rows(self.rows_file)[before:]
        for row in rows:
            if row["passed"] is False:
                say(f"  FAILED {row['name']}: {row['value']} {row['note']}")
        return not any(row["passed"] is False for row in rows)

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
        with open(self.log_file, "ab") as log:
            log.write(f"--- {job.part}, {job.name}\n".encode())
            log.flush()
            begins = self.log_file.stat().st_size
            with _group(command, self._environment(), log) as process:
                try:
                    code = process.wait(limit)
                except subprocess.TimeoutExpired:
                    return f"stopped after its limit of {limit:.0f} s"
        if code == 0:
            return ""
        text = self.log_file.read_bytes()[begins:].decode(errors="replace")
        return _reason(text) or f"ended with code {code}"

    def _environment(self) -> dict[str, str]:
        """The environment of the parts: this checkout, and the threads of a small machine."""
        paths = [str(ROOT), str(ROOT / "scripts"), os.environ.get("PYTHONPATH", "")]
        variables = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        if self.device == "cpu":
            variables.setdefault("OMP_NUM_THREADS", "1")
        return variables


def jobs_of(plan: Plan, parts: Sequence[str]) -> Iterator[Job]:
    """The processes of parts in their order; each measurement of speed is one."""
    for part in parts:
        if part != "throughput":
            yield Job(part, part, {})
            continue
        for each in plan.measurements:
            yield Job(part, f"{each.side}: {each.name}", {"measurement": list(each)})


@contextlib.contextmanager
def _group(command: list[str], environment: dict[str, str], log: Any) -> Iterator[Any]:
    """A process that is killed at the end of the context, with all that it has started."""
    process = subprocess.Popen(
        command, env=environment, stdout=log, stderr=log, cwd=ROOT, start_new_session=True
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _reason(text: str) -> str:
    """The last line of a traceback in a log, which names the error."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.split(":")[0].endswith(("Error", "Exception"))]
    return (errors or lines or [""])[-1][:300]
