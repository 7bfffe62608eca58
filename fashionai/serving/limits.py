"""What the server accepts."""

from __future__ import annotations

from typing import NamedTuple

# They are held in memory. The body of one request cannot be larger.
MOST_WAITING_BYTES = 1_000_000_000


class Limits(NamedTuple):
    """The most that the server accepts; whatever exceeds it is refused with a status code.

    ``request_bytes`` is the length of a request's body, ``pixels`` the size of one image,
    ``images`` their number in one request, ``queue`` the number of images that wait for an answer,
    ``seconds`` the time from the beginning of a request to its answer, and ``waiting_bytes`` the
    length of the bodies of all requests that wait for their answer.
    """

    request_bytes: int = 32_000_000
    pixels: int = 50_000_000
    images: int = 64
    queue: int = 256
    seconds: float = 30.0
    waiting_bytes: int = MOST_WAITING_BYTES
