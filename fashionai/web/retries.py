"""Retries of HTTP requests: after which failures, how often and after which pauses."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import requests
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

TOO_MANY_REQUESTS = 429
# The longest pause before a retry. The limit also applies to the Retry-After of a server.
LONGEST_PAUSE_SECONDS = 60.0

Result = TypeVar("Result")


class TryError(Exception):
    """One try failed. ``again`` says whether to retry, ``pause`` after how many seconds."""

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
    """Call ``attempt`` until it succeeds, at most 1 + ``retries`` times; return its result.

    The pauses begin with ``first_pause`` seconds and double with each try. Each is
    multiplied by ``jitter``; a longer Retry-After of the server takes precedence. Raises
    the last TryError.

    urllib3's Retry is not used, because its first retry has no pause, it draws from its
    own random generator, and it covers neither interrupted bodies nor redirects that
    are followed here.
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
    """Whether a retry may succeed after this HTTP status, which is true for 429 and 5xx."""
    return status == TOO_MANY_REQUESTS or status >= requests.codes.server_error


def retry_after(response: requests.Response) -> float:
    """The seconds in the Retry-After header, 0 without a valid one."""
    try:
        return Retry().get_retry_after(response.raw) or 0
    except (InvalidHeader, ValueError, OverflowError):  # the last two for invalid dates
        return 0
