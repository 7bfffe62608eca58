"""Large files over HTTP: resumed after breaks, checked, complete or not there at all."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Optional

import requests

from fashionai import __version__
from fashionai.errors import WeightsError

CONNECT_SECONDS, READ_SECONDS = 10.0, 60.0
TRIES = 3
FIRST_PAUSE_SECONDS = 1.0
PART_BYTES = 2**20
PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE, TOO_MANY_REQUESTS = 206, 416, 429
# Compressed transfers could not be resumed.
HEADERS = {"User-Agent": f"fashionai/{__version__}", "Accept-Encoding": "identity"}

# Called with the number of bytes that came since the last call.
Progress = Callable[[int], None]


class Digest(NamedTuple):
    """A published hash: its algorithm, as hashlib names it, and the digits or the first of them."""

    algorithm: str
    digits: str


class _BrokenError(Exception):
    """A try failed, and another may succeed."""


def download(url: str, target: Path, digest: Optional[Digest], progress: Progress) -> None:
    """Fetch a file; ``target`` exists only when all of it came and has the digest.

    What came of it stays beside ``target`` as ``<name>.part``, from where the
    next try or the next call goes on; without a digest calls begin anew. Raises
    WeightsError with the reason.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.part")
    if digest is None:
        partial.unlink(missing_ok=True)
    resumed = partial.exists()
    _transfer_with_retries(url, partial, progress)
    if digest and resumed and not has_digest(partial, digest):
        # What was there before may have been of another file.
        partial.unlink()
        _transfer_with_retries(url, partial, progress)
    if digest and not has_digest(partial, digest):
        partial.unlink()
        raise WeightsError(
            f"{url}: {digest.algorithm.upper()} is not {digest.digits}; nothing was kept"
        )
    partial.replace(target)


def has_digest(file: Path, digest: Digest) -> bool:
    """Whether a file's hash begins with the published digits."""
    state = hashlib.new(digest.algorithm)
    with open(file, "rb") as handle:
        for part in iter(lambda: handle.read(PART_BYTES), b""):
            state.update(part)
    return state.hexdigest().startswith(digest.digits.lower())


def short_reason(error: requests.RequestException) -> str:
    """Why a request failed, in a few words."""
    if isinstance(error, requests.Timeout):
        return "timed out"
    if isinstance(error, requests.ConnectionError):
        return "cannot connect"
    return str(error) or type(error).__name__


def _transfer_with_retries(url: str, partial: Path, progress: Progress) -> None:
    pause = FIRST_PAUSE_SECONDS
    for last in (False,) * (TRIES - 1) + (True,):
        try:
            _transfer(url, partial, progress)
            return
        except _BrokenError as error:
            if last:
                raise WeightsError(f"{url}: {error}") from None
        except requests.RequestException as error:
            if last:
                raise WeightsError(f"{url}: {short_reason(error)}") from None
        time.sleep(pause)
        pause *= 2


def _transfer(url: str, partial: Path, progress: Progress) -> None:
    """One request for what is missing of the file."""
    start = partial.stat().st_size if partial.exists() else 0
    headers = {**HEADERS, "Range": f"bytes={start}-"} if start else HEADERS
    timeout = CONNECT_SECONDS, READ_SECONDS
    with requests.get(url, headers=headers, timeout=timeout, stream=True) as response:
        if response.status_code == RANGE_NOT_SATISFIABLE and start:
            # All of it is there already, which its digest will tell, or it is of another file.
            if response.headers.get("Content-Range", "").endswith(f"/{start}"):
                return
            partial.unlink()
            raise _BrokenError("what came before is not of this file")
        if response.status_code >= 500 or response.status_code == TOO_MANY_REQUESTS:
            raise _BrokenError(f"HTTP {response.status_code}")
        if not response.ok:
            raise WeightsError(f"{url}: HTTP {response.status_code}")
        resumes = response.status_code == PARTIAL_CONTENT
        if resumes and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            partial.unlink()
            raise _BrokenError("the server sent another part than was asked for")
        expected = response.headers.get("Content-Length")
        received = 0
        with open(partial, "ab" if resumes else "wb") as handle:
            for part in response.iter_content(PART_BYTES):
                handle.write(part)
                received += len(part)
                progress(len(part))
    if expected is not None and received != int(expected):
        raise _BrokenError(f"only {received:,} of {int(expected):,} bytes came")
