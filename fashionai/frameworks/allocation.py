"""How this process allocates memory."""

from __future__ import annotations

import ctypes
import os

# Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
# The largest value: mallopt takes an int and keeps a size_t.
NEVER = -1
# With these a user sets the same options (mallopt(3), and the manual of glibc).
VARIABLES = ("MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_")
TUNABLES = ("glibc.malloc.mmap_max", "glibc.malloc.trim_threshold")


def keep_freed_memory() -> None:
    """Let malloc keep freed memory of any size for later calls, where it is glibc's.

    Otherwise glibc returns blocks of more than 32 MiB to the system at once. PyTorch allocates the
    maps of a step anew in each step on the CPU; the system then finds and clears their pages each
    time, which took up to three quarters of a training step, see docs/performance.md. The options
    of a user who has set them in the environment stay as they are.
    """
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    if any(name in os.environ for name in VARIABLES) or any(name in tunables for name in TUNABLES):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, NEVER)
