"""What the server accepts."""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """The most that the server accepts; whatever exceeds it is refused with a status code.

    ``request_bytes`` is the length of a request's body, ``pixels`` the size of one image,
    ``images`` their number in one request, ``queue`` the number of images that wait for an answer,
    and ``seconds`` the time from the beginning of a request to its answer.
    """

    request_bytes: int = 32_000_000
    pixels: int = 50_000_000
    images: int = 64
    queue: int = 256
    seconds: float = 30.0
