"""Progress on standard error, with the seconds since the check began."""

from __future__ import annotations

import sys
import time

BEGUN = time.monotonic()


def say(text: str) -> None:
    """Print one line."""
    print(f"[{time.monotonic() - BEGUN:4.0f} s] {text}", file=sys.stderr, flush=True)
