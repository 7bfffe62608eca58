"""Downloads of large files over HTTP: resumed when interrupted, verified, and atomic."""

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
from fashionai.web.retries import Result, TryError, may_pass, retry

# The time that an unreachable host costs per address. As the documentation of requests recommends,
# it is slightly more than 3 s, TCP's usual time before it sends a packet again.
CONNECT_SECONDS = 3.05
READ_SECONDS = 20.0
RETRIES = 2
FIRST_PAUSE_SECONDS = 1.0
# The size of the parts that are written. An interruption loses the last, incomplete part.
PART_BYTES = 2**16
PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE = 206, 416
# A compressed transfer cannot be resumed, so uncompressed content is requested.
HEADERS = {"User-Agent": f"fashionai/{__version__}", "Accept-Encoding": "identity"}


class Digest(NamedTuple):
    """A published hash: hashlib's name of the algorithm, and all digits or the first ones."""

    algorithm: str
    digits: str

    def __str__(self) -> str:
        return f"{self.algorithm.upper().replace('SHA', 'SHA-')} {self.digits}"


def download(url: str, target: Path, digest: Optional[Digest], progress: Advance) -> None:
    """Download a file. ``target`` is created only if the file is complete and has the digest.

    An incomplete file is kept beside ``target`` as ``<name>.part``; the next try or
    the next call resumes it. Without a digest each call starts from the beginning.
    ``progress`` is called with the number of bytes received since its last call. Two
    processes must not download to the same target at the same time. Raises
    WeightsError with the reason of a failure.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.part")
    if digest is None:
        partial.unlink(missing_ok=True)
    resumed = partial.exists()
    _retry(url, lambda: _transfer(url, partial, progress))
    if digest and resumed and not has_digest(partial, digest):
        # The kept part may belong to another file.
        partial.unlink()
        _retry(url, lambda: _transfer(url, partial, progress))
    if digest and not has_digest(partial, digest):
        partial.unlink()
        raise WeightsError(f"{url}: does not have {digest}; the file was deleted")
    partial.replace(target)


def request_headers(url: str) -> requests.Response:
    """The response to a HEAD request, without following redirects. Raises WeightsError."""

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
    """The result of the first successful attempt. An unreachable host is tried only once."""

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
    """The reason of a failed request, and whether another try may succeed."""
    cause = error.args[0] if error.args else None
    cause = getattr(cause, "reason", cause)
    if isinstance(error, requests.exceptions.SSLError):
        return "no trusted TLS connection", False
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy does not connect", False
    if isinstance(cause, (exceptions.ConnectTimeoutError, exceptions.NewConnectionError)):
        return "cannot connect", False
    if isinstance(error, requests.Timeout) or isinstance(cause, exceptions.ReadTimeoutError):
        return f"no data for {READ_SECONDS:g} s", True
    if isinstance(error, ValueError):  # requests' errors for malformed URLs are ValueErrors
        return "not a valid URL", False
    if isinstance(error, requests.TooManyRedirects):
        return "too many redirects", False
    return "the connection broke off", True


def _transfer(url: str, partial: Path, progress: Advance) -> None:
    """Send one request for the missing part of the file."""
    start = partial.stat().st_size if partial.exists() else 0
    headers = {**HEADERS, "Range": f"bytes={start}-"} if start else HEADERS
    timeout = CONNECT_SECONDS, READ_SECONDS
    with requests.get(url, headers=headers, timeout=timeout, stream=True) as response:
        sent = response.headers.get("Content-Range", "")
        beyond = response.status_code == RANGE_NOT_SATISFIABLE
        resumes = response.status_code == PARTIAL_CONTENT
        if start and beyond and sent == f"bytes */{start}":
            return  # The part is complete. The caller verifies its digest.
        if start and (beyond or (resumes and not sent.startswith(f"bytes {start}-"))):
            partial.unlink()
            raise TryError("the kept part belongs to another file", again=True)
        _check_status(response)
        _write_body(response, partial, "ab" if resumes else "wb", progress)


def _check_status(response: requests.Response) -> None:
    if not response.ok:
        raise TryError(f"HTTP {response.status_code}", may_pass(response.status_code))


def _write_body(response: requests.Response, partial: Path, mode: str, progress: Advance) -> None:
    """Write the body to ``partial``. Raises TryError if it is shorter than announced."""
    expected = response.headers.get("Content-Length", "")
    received = 0
    with open(partial, mode) as handle:
        for part in response.iter_content(PART_BYTES):
            handle.write(part)
            received += len(part)
            progress(len(part))
    # Not every release of urllib3 checks the length itself.
    if expected.isdigit() and received < int(expected):
        raise TryError("the connection broke off", again=True)
