"""The progress bar of commands: shown on terminals only."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress_bar(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar for ``total`` steps; the block gets what is called with steps done."""
    from tqdm import tqdm

    with tqdm(total=total, desc=description, disable=None, unit=" images", leave=False) as bar:
        yield lambda done: bar.update(done) and None
