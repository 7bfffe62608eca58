"""Large files over HTTP: resumed after breaks, checked, complete or not there at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Optional

import requests
from urllib3 import exceptions

from fashionai import __version__
from fashionai.errors import WeightsError
from fashionai.progress import Advance
from fashionai.retries import Result, TryError, may_pass, retry

# A host that does not answer costs so many seconds for each of its addresses.
CONNECT_SECONDS = 3.05  # a second try of the connection falls into it
READ_SECONDS = 20.0
RETRIES = 2
FIRST_PAUSE_SECONDS = 1.0
# When a transfer breaks, the last part that came is lost.
PART_BYTES = 2**16
PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE = 206, 416
# Compressed transfers could not be resumed.
HEADERS = {"User-Agent": f"fashionai/{__version__}", "Accept-Encoding": "identity"}


class Digest(NamedTuple):
    """A published hash: its algorithm, as hashlib names it, and the digits or the first of them."""

    algorithm: str
    digits: str

    def __str__(self) -> str:
        return f"{self.algorithm.upper().replace('SHA', 'SHA-')} {self.digits}"


def download(url: str, target: Path, digest: Optional[Digest], progress: Advance) -> None:
    """Fetch a file; ``target`` exists only when all of it came and has the digest.

    What came of it stays beside ``target`` as ``<name>.part``, from where the
    next try or the next call goes on; without a digest calls begin anew. Two
    processes must not fetch to one target at a time. Raises WeightsError with the reason.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.part")
    if digest is None:
        partial.unlink(missing_ok=True)
    resumed = partial.exists()
    _retry(url, lambda: _transfer(url, partial, progress))
    if digest and resumed and not has_digest(partial, digest):
        # What was there before may have been of another file.
        partial.unlink()
        _retry(url, lambda: _transfer(url, partial, progress))
    if digest and not has_digest(partial, digest):
        partial.unlink()
        raise WeightsError(f"{url}: does not have {digest}; nothing was kept")
    partial.replace(target)


def ask_headers(url: str) -> requests.Response:
    """The answer to a HEAD request, a redirect if it is one; WeightsError when there is none."""

    def ask() -> requests.Response:
        timeout = CONNECT_SECONDS, READ_SECONDS
        response = requests.head(url, headers=HEADERS, timeout=timeout, allow_redirects=False)
        _check_status(response)
        return response

    return _retry(url, ask)


def has_digest(file: Path, digest: Digest) -> bool:
    """Whether a file's hash begins with the published digits."""
    state = hashlib.new(digest.algorithm)
    with open(file, "rb") as handle:
        for part in iter(lambda: handle.read(PART_BYTES), b""):
            state.update(part)
    return state.hexdigest().startswith(digest.digits.lower())


def _retry(url: str, attempt: Callable[[], Result]) -> Result:
    """The first result of a few attempts; a host that cannot be reached is not tried again."""

    def described() -> Result:
        try:
            return attempt()
        except requests.RequestException as error:
            raise TryError(*_describe(error)) from None

    try:
        return retry(described, RETRIES, FIRST_PAUSE_SECONDS)
    except TryError as error:
        raise WeightsError(f"{url}: {error}") from None


def _describe(error: requests.RequestException) -> tuple[str, bool]:
    """Why a request failed, in a few words, and whether another may succeed."""
    cause = error.args[0] if error.args else None
    cause = getattr(cause, "reason", cause)
    if isinstance(error, requests.exceptions.SSLError):
        return "no trusted TLS connection", False
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy does not connect", False
    if isinstance(cause, (exceptions.ConnectTimeoutError, exceptions.NewConnectionError)):
        return "cannot connect", False
    if isinstance(error, requests.Timeout) or isinstance(cause, exceptions.ReadTimeoutError):
        return f"sent nothing for {READ_SECONDS:g} s", True
    if isinstance(error, ValueError):  # as requests' errors for malformed URLs are
        return "not a valid URL", False
    if isinstance(error, requests.TooManyRedirects):
        return "redirects without end", False
    return "the connection broke off", True


def _transfer(url: str, partial: Path, progress: Advance) -> None:
    """One request for what is missing of the file."""
    start = partial.stat().st_size if partial.exists() else 0
    headers = {**HEADERS, "Range": f"bytes={start}-"} if start else HEADERS
    timeout = CONNECT_SECONDS, READ_SECONDS
    with requests.get(url, headers=headers, timeout=timeout, stream=True) as response:
        sent = response.headers.get("Content-Range", "")
        beyond = response.status_code == RANGE_NOT_SATISFIABLE
        resumes = response.status_code == PARTIAL_CONTENT
        if start and beyond and sent == f"bytes */{start}":
            return  # All of it is there already, which its digest will tell.
        if start and (beyond or (resumes and not sent.startswith(f"bytes {start}-"))):
            partial.unlink()
            raise TryError("what came before is not of this file", again=True)
        _check_status(response)
        _write_body(response, partial, "ab" if resumes else "wb", progress)


def _check_status(response: requests.Response) -> None:
    if not response.ok:
        raise TryError(f"HTTP {response.status_code}", may_pass(response.status_code))


def _write_body(response: requests.Response, partial: Path, mode: str, progress: Advance) -> None:
    """What comes, to the end of the file; TryError when it is less than was announced."""
    expected = response.headers.get("Content-Length", "")
    received = 0
    with open(partial, mode) as handle:
        for part in response.iter_content(PART_BYTES):
            handle.write(part)
            received += len(part)
            progress(len(part))
    # Not every release of urllib3 counts for itself.
    if expected.isdigit() and received < int(expected):
        raise TryError("the connection broke off", again=True)
