"""What commands show while they work: bars on terminals only, and the library's log lines."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator

from fashionai.progress import Advance


@contextlib.contextmanager
def progress_bar(description: str, total: int, unit: str = "images") -> Iterator[Advance]:
    """A bar for ``total`` steps; the block gets what is called with steps done.

    The unit B is for bytes, shown in larger ones.
    """
    from tqdm import tqdm

    scale = unit == "B"
    unit = unit if scale else f" {unit}"
    with tqdm(
        total=total,
        desc=description,
        disable=None,
        unit=unit,
        unit_scale=scale,
        leave=False,
    ) as bar:

        def advance(done: int) -> None:
            bar.update(done)

        yield advance


class _Terminal(logging.Handler):
    """Prints log lines on standard output without tearing a bar apart."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line."""
        from tqdm import tqdm

        tqdm.write(self.format(record))
        # Into a file or a pipe, too, each line is there when it is written.
        sys.stdout.flush()


def log_to_terminal() -> None:
    """Show the log lines of the library."""
    logger = logging.getLogger("fashionai")
    logger.setLevel(logging.INFO)
    if not logger.handlers:
        logger.addHandler(_Terminal())
