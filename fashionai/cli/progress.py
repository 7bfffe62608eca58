"""Progress bars, which are shown on terminals only, and the log lines of the library."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator

from fashionai.progress import Advance


@contextlib.contextmanager
def progress_bar(description: str, total: int, unit: str = "images") -> Iterator[Advance]:
    """Show a progress bar of ``total`` steps. The block gets a function that advances the bar.

    The function takes the number of steps done since its last call. The unit ``B``
    stands for bytes, which are shown as kB, MB and so on.
    """
    from tqdm import tqdm

    from fashionai.frameworks.processes import place_or_alone

    scale = unit == "B"
    unit = unit if scale else f" {unit}"
    with tqdm(
        total=total,
        desc=description,
        # None: shown on terminals. Of several processes the first one shows it.
        disable=None if place_or_alone().is_first else True,
        unit=unit,
        unit_scale=scale,
        leave=False,
    ) as bar:

        def advance(done: int) -> None:
            bar.update(done)

        yield advance


class _Terminal(logging.Handler):
    """Prints log lines above a progress bar if there is one."""

    def __init__(self, on_standard_error: bool) -> None:
        super().__init__()
        self._on_standard_error = on_standard_error

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message of a record."""
        from tqdm import tqdm

        stream = sys.stderr if self._on_standard_error else sys.stdout
        tqdm.write(self.format(record), file=stream)
        # Without a flush, lines would reach a file or a pipe only in large blocks.
        stream.flush()


def log_to_terminal(package: str = "fashionai", *, on_standard_error: bool = False) -> None:
    """Print the log lines of a package of the library, on standard output by default.

    This replaces what an earlier call has set.
    """
    logger = logging.getLogger("fashionai")
    logger.setLevel(logging.INFO)
    for earlier in [each for each in logger.handlers if isinstance(each, _Terminal)]:
        logger.removeHandler(earlier)
    handler = _Terminal(on_standard_error)
    handler.addFilter(logging.Filter(package))
    logger.addHandler(handler)
