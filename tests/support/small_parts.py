"""fashionai with parts of at least 4 images, in one of several processes.

Writes the number of the process to ``pid-RANK`` in the current folder. Stops itself with SIGSTOP
when it has written $PAUSE_AFTER parts of probabilities.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from fashionai.cli import main
from fashionai.predictions import in_parts
from fashionai.predictions.parts import Parts

PART_IMAGES = 4


def pause_after(parts: int) -> None:
    """Let this process stop itself after so many parts."""
    left, write = [parts], Parts.write

    def write_and_pause(self: Parts, name: str, values: Any) -> None:
        write(self, name, values)
        left[0] -= name.startswith("run")
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGSTOP)

    Parts.write = write_and_pause  # type: ignore[method-assign]


if __name__ == "__main__":
    in_parts.PART_IMAGES = PART_IMAGES
    rank = os.environ.get("RANK", "0")
    Path(f"pid-{rank}").write_text(str(os.getpid()))
    if "PAUSE_AFTER" in os.environ and rank == os.environ.get("PAUSE_RANK", rank):
        pause_after(int(os.environ["PAUSE_AFTER"]))
    main(sys.argv[1:])
