"""The processes that were started together find each other, whatever an earlier attempt has left.

torchrun starts processes again after a failure and keeps its store, with the addresses of the
processes that have ended. Machines count their restarts each for itself, so the processes draw a
number instead.
"""

from __future__ import annotations

import secrets
import time
from datetime import timedelta

from torch.distributed import PrefixStore, Store

# How often the first process looks for the others.
PAUSE_SECONDS = 0.05


def store_of_attempt(store: Store, rank: int, count: int, patience: timedelta) -> Store:
    """A part of a store that is empty, and the same for all processes of this attempt.

    Each process shows a number that it has drawn, and takes part when the first process answers
    it. Raises RuntimeError when processes are missing.
    """
    if rank == 0:
        attempt = _gather(store, count, patience)
    else:
        own = secrets.token_hex(8)
        store.set(_number(rank), own)
        attempt = store.get(_answer(own)).decode()
        store.set(_joined(attempt, rank), "")
    return PrefixStore(attempt, store)


def _gather(store: Store, count: int, patience: timedelta) -> str:
    """Answer the other processes until all of them have joined; returns the attempt's name."""
    attempt = secrets.token_hex(8)
    missing = list(range(1, count))
    deadline = time.monotonic() + patience.total_seconds()
    while missing:
        for rank in missing:
            # This may be left from an earlier attempt: then nobody reads the answer.
            if store.check([_number(rank)]):
                store.set(_answer(store.get(_number(rank)).decode()), attempt)
        missing = [rank for rank in missing if not store.check([_joined(attempt, rank)])]
        if missing and time.monotonic() > deadline:
            raise RuntimeError(f"waited {patience} for rank {', '.join(map(str, missing))}")
        time.sleep(PAUSE_SECONDS)
    return attempt


def _number(rank: int) -> str:
    return f"number/{rank}"


def _answer(number: str) -> str:
    return f"answer/{number}"


def _joined(attempt: str, rank: int) -> str:
    return f"{attempt}/joined/{rank}"
