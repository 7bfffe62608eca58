"""That memory which was freed is used again, and how users change that."""

from __future__ import annotations

import os
import sys

import pytest

from fashionai.frameworks.allocation import SETTINGS
from tests.support.machines import run_python

# Blocks that glibc would return to the system at once. Page faults are what this costs.
PROGRAM = """
import ctypes, resource
from fashionai.frameworks.allocation import keep_freed_memory

keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.memset.argtypes = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t
libc.free.argtypes = [ctypes.c_void_p]
size = 64 << 20

def use() -> None:
    block = libc.malloc(size)
    libc.memset(block, 1, size)
    libc.free(block)

use()
begun = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    use()
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - begun
print(faults * resource.getpagesize() / size)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it is about glibc")


def times_that_pages_were_cleared() -> float:
    return float(run_python(PROGRAM))


def test_large_blocks_are_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set(SETTINGS) & set(os.environ):
        monkeypatch.delenv(name)
    assert times_that_pages_were_cleared() < 0.1


def test_settings_of_the_user_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "65536")
    assert times_that_pages_were_cleared() > 3.9
