"""Downloads of large files over HTTP: resumed when interrupted, verified, and atomic."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import NamedTuple, Optional

import requests
from urllib3 import exceptions

from fashionai.errors import WeightsError
from fashionai.files import named_errors
from fashionai.files.counts import parse_count
from fashionai.progress import Advance
from fashionai.web.http import BROKEN, HEADERS, PART_BYTES
from fashionai.web.retries import Result, TryError, may_pass, retry

# The time that an unreachable host costs per address. As the documentation of requests recommends,
# it is slightly more than 3 s, TCP's usual time before it sends a packet again.
CONNECT_SECONDS = 3.05
READ_SECONDS = 20.0
RETRIES = 2
FIRST_PAUSE_SECONDS = 1.0
PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE = 206, 416
WEAK_ETAG = "W/"
# A file may change twice within one second. Its Last-Modified identifies a version only if it is
# older than the response by this time (RFC 7232, section 2.2.2).
LAST_MODIFIED_SECONDS = 60


class Digest(NamedTuple):
    """A published hash: hashlib's name of the algorithm, and all digits or the first ones."""

    algorithm: str
    digits: str

    def __str__(self) -> str:
        return f"{self.algorithm.upper().replace('SHA', 'SHA-')} {self.digits}"


class _Transfer:
    """The requests for one file, which add to ``partial`` what is missing of it.

    Without a digest, nothing shows later whether all parts belong to the same version of
    the file. The rest is then requested with If-Range, and only if the server has
    identified the version.
    """

    def __init__(self, url: str, partial: Path, has_digest: bool, progress: Advance) -> None:
        self._url = url
        self._partial = partial
        self._has_digest = has_digest
        self._progress = progress
        # The ETag or Last-Modified of the version that ``partial`` is of, empty if unknown.
        self._version = ""

    def request(self) -> None:
        """Send one request for the missing part. Raises TryError if it does not arrive."""
        start = self._start()
        with requests.get(
            self._url,
            headers=self._headers(start),
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            stream=True,
        ) as response:
            sent = response.headers.get("Content-Range", "")
            beyond = response.status_code == RANGE_NOT_SATISFIABLE
            resumes = response.status_code == PARTIAL_CONTENT
            if start and beyond and sent == f"bytes */{start}" and self._has_digest:
                return  # The part is complete. The caller verifies its digest.
            wrong = resumes and (not sent.startswith(f"bytes {start}-") or self._changed(response))
            if start and (beyond or wrong):
                self._partial.unlink()
                raise TryError("the kept part belongs to another file", again=True)
            _check_status(response)
            if not resumes:
                self._version = _version(response)
            _write_body(response, self._partial, "ab" if resumes else "wb", self._progress)

    def _start(self) -> int:
        """How many bytes of the file need not be requested again."""
        known = self._has_digest or self._version
        return self._partial.stat().st_size if known and self._partial.exists() else 0

    def _headers(self, start: int) -> dict[str, str]:
        if not start:
            return HEADERS
        condition = {"If-Range": self._version} if self._version else {}
        return {**HEADERS, "Range": f"bytes={start}-", **condition}

    def _changed(self, response: requests.Response) -> bool:
        """Whether a part belongs to another version: not every server observes If-Range."""
        header = "ETag" if self._version.startswith('"') else "Last-Modified"
        found = response.headers.get(header, "")
        return bool(self._version and found and found != self._version)


def download(url: str, target: Path, digest: Optional[Digest], progress: Advance) -> None:
    """Download a file. ``target`` is created only if the file is complete and has the digest.

    An incomplete file is kept beside ``target`` as ``<name>.part``; the next try or
    the next call resumes it. Without a digest each call starts from the beginning, and
    its next try resumes only what the server says is the same version of the file.
    A ``target`` that has the digest is not downloaded again.
    ``progress`` is called with the number of bytes received since its last call. Two
    processes must not download to the same target at the same time. Raises
    WeightsError with the reason of a failure.
    """
    if digest and target.exists() and has_digest(target, digest):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.part")
    if digest is None:
        partial.unlink(missing_ok=True)
    resumed = partial.exists()
    _retry(url, _Transfer(url, partial, digest is not None, progress).request)
    if digest and resumed and not has_digest(partial, digest):
        # The kept part may belong to another file.
        partial.unlink()
        _retry(url, _Transfer(url, partial, True, progress).request)
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
    return BROKEN, True


def _version(response: requests.Response) -> str:
    """What If-Range needs to identify the version of a file, empty if there is nothing.

    RFC 9110 (section 13.1.5) allows only values that change with every byte: no weak
    ETag, and no Last-Modified that is not clearly older than the response.
    """
    etag = response.headers.get("ETag", "")
    if etag:
        return "" if etag.startswith(WEAK_ETAG) else etag
    modified = response.headers.get("Last-Modified", "")
    try:
        sent = parsedate_to_datetime(response.headers.get("Date", ""))
        age = (sent - parsedate_to_datetime(modified)).total_seconds()
    except (TypeError, ValueError):  # a missing or malformed date
        return ""
    return modified if age >= LAST_MODIFIED_SECONDS else ""


def _check_status(response: requests.Response) -> None:
    if not response.ok:
        raise TryError(f"HTTP {response.status_code}", may_pass(response.status_code))


def _write_body(response: requests.Response, partial: Path, mode: str, progress: Advance) -> None:
    """Write the body to ``partial``. Raises TryError if it is shorter than announced."""
    expected = response.headers.get("Content-Length", "")
    received = 0
    with open(partial, mode) as handle:
        for part in response.iter_content(PART_BYTES):
            with named_errors(partial):
                handle.write(part)
                handle.flush()
            received += len(part)
            progress(len(part))
    # Not every release of urllib3 checks the length itself.
    if received < (parse_count(expected) or 0):
        raise TryError(BROKEN, again=True)
