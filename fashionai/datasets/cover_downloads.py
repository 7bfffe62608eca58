"""Download the images of a list of URLs, several at a time, and save them as small JPEGs."""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Union
from urllib.parse import unquote

import cv2
import numpy as np

from fashionai.errors import DataError, counted, shown
from fashionai.files import atomic_path, content_hash
from fashionai.files.formats.csv_files import read_csv_rows, write_rows
from fashionai.files.outputs import check_not_lost, csv_kind, try_folder
from fashionai.pipeline.decode import decode, find_damage, read_header
from fashionai.progress import ProgressBar
from fashionai.web.downloads import DownloadLimits, fetch_image_bytes
from fashionai.web.urls import is_url

FAILED = "failed.csv"
FAILED_HEADER = ("url", "line", "reason")
JPEG_QUALITY = 100
# The most characters that a file name takes from the last part of a URL, and from its hash.
LONGEST_STEM, HASH_DIGITS = 60, 12

QUOTE_COMMAS = "Put a URL that has commas in quotes"


class ListedURL(NamedTuple):
    """A URL and its line, from 1, in the list."""

    url: str
    line: int


class Failure(NamedTuple):
    """A URL whose image could not be fetched, its line in the list, and the reason."""

    url: str
    line: int
    reason: str


@dataclass(frozen=True)
class DownloadReport:
    """The numbers of images fetched now and of images already present, and the failures."""

    folder: Path
    fetched: int
    present: int
    failures: list[Failure]

    def summary(self) -> str:
        """Return the counts as one line."""
        return (
            f"{self.folder}: {self.fetched:,} fetched, {self.present:,} already present, "
            f"{len(self.failures):,} failed"
        )

    def raise_for_failures(self) -> None:
        """Raise DataError when an image could not be fetched."""
        if self.failures:
            total = self.fetched + self.present + len(self.failures)
            raise DataError(
                f"{len(self.failures):,} of {counted(total, 'image')} could not be fetched; "
                f"see {self.folder / FAILED}",
                "Run the same command to try them again",
            )


def download_covers(
    urls_file: Path,
    out: Path,
    *,
    rng: np.random.Generator,
    size: int = 240,
    at_once: int = 8,
    limits: DownloadLimits,
    progress: ProgressBar,
) -> DownloadReport:
    """Fetch the images of a list of URLs into ``out`` as JPEGs of ``size`` x ``size`` pixels.

    A file's name depends only on its URL, and an image that is present in the right size is not
    fetched again. Failures do not stop the download; ``failed.csv`` in ``out`` lists them, and
    is removed when there are none. ``at_once`` is the number of threads, and ``rng`` varies the
    pauses between attempts. Raises DataError for a list that cannot be read, and ConfigError when
    ``failed.csv`` is a file of the user's.
    """
    _check_failures_file(out)
    lines: dict[str, int] = {}
    for listed in read_urls(urls_file):
        lines.setdefault(listed.url, listed.line)
    missing = [url for url in lines if not _is_present(out / file_name(url), size)]
    out.mkdir(parents=True, exist_ok=True)
    failures = []

    def fetch(url: str) -> bytes:
        return fetch_image_bytes(url, limits, rng)

    with progress("fetching images", len(missing)) as advance:
        for url, outcome in _fetch_all(missing, fetch, at_once):
            reason = outcome if isinstance(outcome, str) else find_damage(outcome)
            if isinstance(outcome, bytes) and not reason:
                _write_resized(out / file_name(url), outcome, size)
            else:
                failures.append(Failure(url, lines[url], reason))
            advance(1)
    failures.sort(key=lambda failure: failure.line)
    _write_failures(out / FAILED, failures)
    fetched = len(missing) - len(failures)
    return DownloadReport(out, fetched, len(lines) - len(missing), failures)


def read_urls(path: Path) -> list[ListedURL]:
    """Read a file with one URL per row, or a CSV file with a header.

    With a header, the URLs are in the column ``url`` or, if its first row holds none there, in
    the first column that holds one. Raises DataError for a file without URLs, and for a row
    whose number of fields differs from that of the first row.
    """
    rows = list(read_csv_rows(path))
    if not rows:
        raise DataError(f"{path}: is empty, expected URLs")
    header, place = rows[0]
    has_header = not any(re.search("[/.]", field) for field in header)
    if not has_header and len(header) > 1:
        raise DataError(
            f"{place}: found {counted(len(header), 'field')}, expected one URL per row or a header",
            QUOTE_COMMAS,
        )
    body = rows[1:] if has_header else rows
    if not body:
        raise DataError(f"{place}: no rows below the header, expected URLs")
    for fields, place in body:
        if len(fields) != len(header):
            raise DataError(
                f"{place}: found {counted(len(fields), 'field')}, "
                f"expected {len(header)} as in the first row",
                QUOTE_COMMAS,
            )
    column = _url_column(header, *body[0])
    return [ListedURL(fields[column], int(place.rpartition(":")[2])) for fields, place in body]


def file_name(url: str) -> str:
    """Return the file name of a URL's image: its last part in safe characters, and its hash."""
    last_part = re.split("[?#]", url)[0].rpartition("/")[2]
    stem = PurePosixPath(unquote(last_part)).stem
    safe = re.sub(r"[^A-Za-z0-9_]+", "-", stem)[:LONGEST_STEM].strip("-")
    return "-".join(filter(None, (safe, content_hash(url.encode())[:HASH_DIGITS]))) + ".jpg"


def _url_column(header: Sequence[str], fields: Sequence[str], place: str) -> int:
    """Return the position of the URLs, from the first row below the header if there is one."""
    holding = [index for index, field in enumerate(fields) if is_url(field)]
    if not holding:
        raise DataError(
            f"{place}: found '{shown(','.join(fields))}', expected a URL such as https://..."
        )
    named = [index for index in holding if header[index].lower() == "url"]
    return (named or holding)[0]


def _is_present(path: Path, size: int) -> bool:
    return path.is_file() and read_header(path.read_bytes()) == (size, size)


def _write_resized(path: Path, data: bytes, size: int) -> None:
    pixels = decode(data, None, str(path))
    resized = cv2.resize(pixels, (size, size), interpolation=cv2.INTER_LINEAR)
    jpeg = cv2.imencode(".jpg", resized, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    with atomic_path(path, durable=False) as temporary:
        temporary.write_bytes(jpeg.tobytes())


def _check_failures_file(out: Path) -> None:
    """Raise ConfigError when ``failed.csv`` in ``out`` is not an earlier list of failures."""
    place = out / FAILED
    # It is removed when nothing fails, so that no option replaces a file of the user's.
    kind = csv_kind("a list of failures", FAILED_HEADER)
    check_not_lost(str(place), place, kind, False, "Move it, or name another folder with --out")
    try_folder("--out", out)


def _write_failures(path: Path, failures: Sequence[Failure]) -> None:
    if failures:
        write_rows(path, [FAILED_HEADER, *failures])
    else:
        path.unlink(missing_ok=True)


def _fetch_all(
    urls: Sequence[str], fetch: Callable[[str], bytes], at_once: int
) -> Iterator[tuple[str, Union[bytes, str]]]:
    """Yield each URL with its bytes, or with the message of its DataError, as they arrive.

    The threads are daemons and do not touch files, so an interrupted program ends at once
    instead of waiting for servers.
    """
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    results: queue.Queue[tuple[str, Union[bytes, Exception]]] = queue.Queue(at_once)
    stopped = threading.Event()

    def work() -> None:
        while not stopped.is_set():
            try:
                url = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                results.put((url, fetch(url)))
            # Raised again where the results are read; otherwise that loop would wait for ever.
            except Exception as error:
                results.put((url, error))

    for url in urls:
        waiting.put(url)
    for _ in range(min(at_once, len(urls))):
        threading.Thread(target=work, daemon=True).start()
    try:
        for _ in urls:
            url, outcome = results.get()
            yield url, _bytes_or_reason(url, outcome)
    finally:
        stopped.set()
        # Make room for the last result of each thread, so that all threads can end.
        while not results.empty():
            results.get_nowait()


def _bytes_or_reason(url: str, outcome: Union[bytes, Exception]) -> Union[bytes, str]:
    if isinstance(outcome, DataError):
        return str(outcome).removeprefix(f"{url}: ")
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
