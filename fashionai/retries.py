"""Requests that are tried again: after which failures, how often and after which pauses."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import requests
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

TOO_MANY_REQUESTS = 429
# A server's own wish counts up to this pause.
LONGEST_PAUSE_SECONDS = 60.0

Result = TypeVar("Result")


class TryError(Exception):
    """One try failed; ``again`` tells whether another may succeed, ``pause`` after how long."""

    def __init__(self, reason: str, again: bool = False, pause: float = 0) -> None:
        super().__init__(reason)
        self.again = again
        self.pause = pause


def retry(
    attempt: Callable[[], Result],
    retries: int,
    first_pause: float,
    sleep: Callable[[float], object] = time.sleep,
    jitter: Callable[[], float] = lambda: 1.0,
) -> Result:
    """The first result of ``attempt``, which is repeated up to ``retries`` times.

    Pauses in seconds double from ``first_pause``, each multiplied by ``jitter``, unless the
    server asks for a longer one. (urllib3's Retry would begin without a pause, draw from a
    generator of its own, and sees neither bodies that break off nor our redirects.) Raises
    the last TryError.
    """
    for tried in range(retries):
        try:
            return attempt()
        except TryError as error:
            if not error.again:
                raise
            pause = max(first_pause * 2**tried * jitter(), error.pause)
        sleep(min(pause, LONGEST_PAUSE_SECONDS))
    return attempt()


def may_pass(status: int) -> bool:
    """Whether another try may have another HTTP status: after 429 and 5xx."""
    return status == TOO_MANY_REQUESTS or status >= requests.codes.server_error


def retry_after(response: requests.Response) -> float:
    """Seconds that the server asks to wait, 0 when it does not say."""
    try:
        return Retry().get_retry_after(response.raw) or 0
    except (InvalidHeader, ValueError, OverflowError):  # the last two of dates that do not exist
        return 0
