"""Progress bars, which are shown on terminals only, and the log lines of the library."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Iterator

import click

from fashionai.cli.terminal.wrapping import for_terminal
from fashionai.progress import Advance

# Without a terminal, so many seconds pass between two lines about the progress of work.
SECONDS_BETWEEN_LINES = 30


@contextlib.contextmanager
def progress_bar(description: str, total: int, unit: str = "images") -> Iterator[Advance]:
    """Show a progress bar of ``total`` steps. The block gets a function that advances the bar.

    The function takes the number of steps done since its last call. The unit ``B``
    stands for bytes, which are shown as kB, MB and so on. Without a terminal, a line on
    standard error tells the progress of long work twice a minute.
    """
    from tqdm import tqdm

    from fashionai.frameworks.processes import place_or_alone

    scale = unit == "B"
    unit = unit if scale else f" {unit}"
    if place_or_alone().is_first and not sys.stderr.isatty():
        yield _ProgressLines(description, total, "B" if scale else unit.strip()).advance
        return
    with tqdm(
        total=total,
        desc=description,
        # Of several processes the first one shows it.
        disable=not place_or_alone().is_first,
        unit=unit,
        unit_scale=scale,
        leave=False,
    ) as bar:

        def advance(done: int) -> None:
            bar.update(done)

        yield advance


class _ProgressLines:
    """Tells how far work has come where a progress bar would not be readable, as in a log file."""

    def __init__(self, description: str, total: int, unit: str) -> None:
        self._description, self._total, self._unit = description, total, unit
        self._done = 0
        self._started = self._told = time.monotonic()

    def advance(self, done: int) -> None:
        """Count steps; print a line if the last one is old enough."""
        self._done += done
        now = time.monotonic()
        if now - self._told >= SECONDS_BETWEEN_LINES:
            self._told = now
            click.echo(f"{self._description}: {self._text(now - self._started)}", err=True)

    def _text(self, seconds: float) -> str:
        from fashionai.training.speed.estimate import duration

        rate = self._done / seconds
        if self._unit == "B":
            return f"{self._done / 1e6:,.1f} MB, {rate / 1e6:.1f} MB/s"
        pace = f"{rate:.1f} {self._unit}/s"
        if not self._total:
            return f"{self._done:,} {self._unit}, {pace}"
        count = f"{self._done:,} of {self._total:,} {self._unit}, {pace}"
        if not 0 < self._done < self._total:
            return count
        return f"{count}, about {duration((self._total - self._done) / rate)} left"


class _Terminal(logging.Handler):
    """Prints log lines above a progress bar if there is one."""

    def __init__(self, on_standard_error: bool) -> None:
        super().__init__()
        self._on_standard_error = on_standard_error

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message of a record; on a terminal a long one has several lines."""
        from tqdm import tqdm

        is_warning = record.levelno >= logging.WARNING
        stream = sys.stderr if self._on_standard_error or is_warning else sys.stdout
        tqdm.write(for_terminal(self.format(record), stream), file=stream)
        # Without a flush, lines would reach a file or a pipe only in large blocks.
        stream.flush()


def log_to_terminal(package: str = "fashionai", *, on_standard_error: bool = False) -> None:
    """Print the log lines of a package of the library, on standard output by default.

    Warnings of all packages are printed on standard error. This replaces what an earlier call has
    set.
    """
    logger = logging.getLogger("fashionai")
    logger.setLevel(logging.INFO)
    for earlier in [each for each in logger.handlers if isinstance(each, _Terminal)]:
        logger.removeHandler(earlier)
    handler = _Terminal(on_standard_error)
    own = logging.Filter(package)
    handler.addFilter(lambda record: record.levelno >= logging.WARNING or bool(own.filter(record)))
    logger.addHandler(handler)
