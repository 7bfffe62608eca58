"""Kills one command again and again, repeats it, and compares how it ends."""

from __future__ import annotations

import contextlib
import functools
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from kill.data import CHECKOUT
from kill.scenario import Scenario, content_of, differences

CHILD = Path(__file__).with_name("child.py")
# The file in which an uninterrupted process writes how many file operations it made.
COUNT_FILE = "campaign-count"
# The longest that one command may take.
MOST_SECONDS = 300.0


@dataclass
class Outcome:
    """How the kills of one scenario ended."""

    scenario: Scenario
    operations: int = 0
    kills_at_operations: int = 0
    kills_at_instants: int = 0
    ended_before: int = 0
    faults: list[str] = field(default_factory=list)


class Templates:
    """Folders that scenarios begin with, each made once."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._folders: dict[Callable[[Path], None], Path] = {}

    def folder(self, scenario: Scenario) -> Path:
        """The folder that the scenario's function has prepared; it is copied for each kill."""
        if scenario.prepare not in self._folders:
            folder = self._work / f"template-{len(self._folders)}"
            folder.mkdir(parents=True)
            scenario.prepare(folder)
            self._folders[scenario.prepare] = folder
        return self._folders[scenario.prepare]


class Campaign:
    """One scenario: a template of its folder, and how it ends uninterrupted.

    ``templates`` holds those that were made before. ``seed`` draws the instants and chooses
    among the file operations.
    """

    def __init__(
        self, scenario: Scenario, work: Path, templates: Templates, port: int, seed: int
    ) -> None:
        self.scenario = scenario
        self.outcome = Outcome(scenario)
        self._work = work
        self._port = port
        self._random = random.Random(f"{seed} {scenario.name}")
        self._template = templates.folder(scenario)
        self._expected: Mapping[str, str] = {}
        self._seconds = 0.0

    def begin(self) -> None:
        """Run the command once uninterrupted."""
        self._work.mkdir(parents=True)
        folder = self._copy("uninterrupted")
        start = time.monotonic()
        done = self._run(folder, self.scenario.command)
        self._seconds = time.monotonic() - start
        if done.returncode:
            raise RuntimeError(f"{self.scenario.name}: {done.stderr}")
        self.outcome.operations = int((folder / COUNT_FILE).read_text())
        self._expected = content_of(folder, self.scenario)
        shutil.rmtree(folder)

    def operations(self) -> list[int]:
        """All file operations in a random order."""
        numbers = list(range(1, self.outcome.operations + 1))
        self._random.shuffle(numbers)
        return numbers

    def kill_before(self, number: int) -> None:
        """Let the command kill itself before a file operation, then repeat it."""
        folder = self._copy(f"operation-{number}")
        done = self._run(folder, self.scenario.command, number)
        self.outcome.kills_at_operations += 1
        self._repeat(folder, f"before file operation {number}", done.returncode, done.stderr)

    def kill_at_random(self) -> None:
        """Kill the command at a random instant of its life, then repeat it."""
        seconds = self._random.uniform(0, self._seconds)
        folder = self._copy(f"instant-{self.outcome.kills_at_instants}")
        with open(folder / "campaign-output", "w") as output:
            process = subprocess.Popen(
                self._command(folder, self.scenario.command, 0),
                cwd=folder,
                env=self._environment(folder),
                stdout=output,
                stderr=output,
            )
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
            if process.poll() is None:
                process.kill()
            code = process.wait()
        self.outcome.kills_at_instants += 1
        output = (folder / "campaign-output").read_text(encoding="utf-8", errors="replace")
        self._repeat(folder, f"after {seconds:.3f} s", code, output)

    def _repeat(self, folder: Path, moment: str, code: int, output: str) -> None:
        """Repeat a command that ended with ``code`` and printed ``output``, and compare."""
        if code == 0 or not self._differences(folder):
            self.outcome.ended_before += 1
        elif code != -signal.SIGKILL:
            self._fault(folder, f"{moment}: exit code {code}, not killed: {_last_line(output)}")
            return
        else:
            done = self._run(folder, self.scenario.repeated)
            if done.returncode:
                last = _last_line(done.stderr)
                self._fault(folder, f"{moment}: repeated, exit code {done.returncode}: {last}")
                return
        wrong = self._differences(folder)
        if wrong:
            self._fault(folder, f"{moment}: {'; '.join(wrong)}")
            return
        shutil.rmtree(folder)

    def _differences(self, folder: Path) -> list[str]:
        content = content_of(folder, self.scenario)
        return differences(content, self._expected, self.scenario.remains)

    def _fault(self, folder: Path, message: str) -> None:
        """Keep a fault and its folder."""
        self.outcome.faults.append(f"{self.scenario.name}, {message} ({folder})")

    def _copy(self, name: str) -> Path:
        folder = self._work / name
        # Prepared folders hold links to the drawn images: copied as such, they stay links.
        subprocess.run(["cp", "-a", self._template, folder], check=True)
        (folder / "tmp").mkdir()
        return folder

    def _run(
        self, folder: Path, arguments: object, number: int = 0
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._command(folder, arguments, number),
            cwd=folder,
            env=self._environment(folder),
            capture_output=True,
            text=True,
            timeout=MOST_SECONDS,
            check=False,
        )

    def _command(self, folder: Path, arguments: object, number: int) -> list[str]:
        assert isinstance(arguments, tuple)
        filled = [text.format(port=self._port, folder=folder.name) for text in arguments]
        return [sys.executable, str(CHILD), str(folder), str(number), COUNT_FILE, *filled]

    def _environment(self, folder: Path) -> dict[str, str]:
        places = {
            "FASHIONAI_HOME": str(folder / "home"),
            "MXNET_HOME": str(folder / "mxnet"),
            "TMPDIR": str(folder / "tmp"),
            **CHECKOUT,
            "NO_PROXY": "127.0.0.1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return {**os.environ, **places, **self.scenario.environment}


def _last_line(output: str) -> str:
    return (output.strip().splitlines() or [""])[-1]


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[int]:
    """A server of the files below a folder, on this machine alone; yields its port."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            """Requests of killed processes are not worth a line."""

    handler = functools.partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_port
        server.shutdown()
