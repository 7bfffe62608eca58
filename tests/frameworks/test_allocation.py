"""That memory which was freed is used again, and how users change that."""

from __future__ import annotations

import ctypes

import pytest

from fashionai.frameworks.allocation import VARIABLES
from tests.support.machines import run_python

# Blocks that glibc would return to the system at once. Page faults are what this costs, of small
# pages, whatever the system's setting of large ones.
PROGRAM = """
import ctypes, resource
from fashionai.frameworks.allocation import keep_freed_memory

libc = ctypes.CDLL(None)
PR_SET_THP_DISABLE = 41  # of linux/prctl.h
assert libc.prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0
keep_freed_memory()
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

pytestmark = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library is not glibc"
)


@pytest.fixture(autouse=True)
def without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)


def times_that_pages_were_cleared() -> float:
    return float(run_python(PROGRAM))


@pytest.mark.parametrize("tunables", ["", "glibc.malloc.arena_max=4"])
def test_large_blocks_are_used_again(monkeypatch: pytest.MonkeyPatch, tunables: str) -> None:
    monkeypatch.setenv("GLIBC_TUNABLES", tunables)
    assert times_that_pages_were_cleared() < 0.1


@pytest.mark.parametrize(
    ("name", "value"),
    [("MALLOC_MMAP_MAX_", "65536"), ("GLIBC_TUNABLES", "glibc.malloc.mmap_max=65536")],
)
def test_settings_of_the_user_stay(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert times_that_pages_were_cleared() > 3.9
