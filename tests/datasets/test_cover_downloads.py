"""Downloads of covers: lists of URLs, the JPEGs, the failures, and an interrupted download."""

from __future__ import annotations

import contextlib
import csv
import io
import re
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fashionai.datasets.cover_downloads import (
    DownloadReport,
    download_covers,
    file_name,
    read_urls,
)
from fashionai.errors import DataError
from fashionai.web.downloads import DownloadLimits
from tests.support.commands import run_cli
from tests.support.image_server import (
    ImageServer,
    content,
    endless,
    in_turn,
    redirect,
    respond,
    status,
)

LIMITS = DownloadLimits(allow_private=True, retries=0, seconds=5)


def smooth_image(height: int, width: int) -> np.ndarray:
    """Colours that differ at every place and have no edges."""
    y, x = np.mgrid[:height, :width]
    return np.dstack(
        [x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)]
    ).astype(np.uint8)


def encode(suffix: str, height: int = 60, width: int = 80) -> bytes:
    return cv2.imencode(suffix, smooth_image(height, width))[1].tobytes()


@contextlib.contextmanager
def no_progress(description: str, total: int) -> Iterator[Callable[[int], None]]:
    yield lambda done: None


def write_urls(folder: Path, urls: Sequence[str]) -> Path:
    path = folder / "urls.csv"
    path.write_text("".join(f"{url}\n" for url in urls))
    return path


def download(urls: Path, out: Path, **options: Any) -> DownloadReport:
    given: dict[str, Any] = {"limits": LIMITS, "progress": no_progress, **options}
    return download_covers(urls, out, rng=np.random.default_rng(0), **given)


def failed(out: Path) -> list[list[str]]:
    with open(out / "failed.csv", newline="") as handle:
        return list(csv.reader(handle))


def names(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir())


def bilinear(image: np.ndarray, size: int) -> np.ndarray:
    """Resized by the formula: pixels are squares, their centres at halves."""

    def places(length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        place = np.clip((np.arange(size) + 0.5) * length / size - 0.5, 0, length - 1)
        below = np.minimum(place.astype(int), length - 2)
        return below, below + 1, place - below

    top, bottom, down = places(image.shape[0])
    left, right, across = places(image.shape[1])
    down, across = down[:, None, None], across[None, :, None]
    image = image.astype(float)
    upper = image[top][:, left] * (1 - across) + image[top][:, right] * across
    lower = image[bottom][:, left] * (1 - across) + image[bottom][:, right] * across
    return upper * (1 - down) + lower * down


# Images.


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".tiff"])
@pytest.mark.parametrize("size", [240, 32])
def test_images_of_all_formats_become_jpegs_of_one_size(
    server: ImageServer, tmp_path: Path, suffix: str, size: int
) -> None:
    server.pages["/cat"] = content(encode(suffix, 500, 700))
    report = download(write_urls(tmp_path, [f"{server.url}/cat"]), tmp_path / "out", size=size)
    assert (report.fetched, report.present, report.failures) == (1, 0, [])
    (path,) = (tmp_path / "out").iterdir()
    with Image.open(path) as image:
        assert (image.format, image.size) == ("JPEG", (size, size))
        # Quality 100 is where every step of the quantization is 1.
        assert all(set(table) == {1} for table in image.quantization.values())
        pixels = np.asarray(image)[:, :, ::-1]
    assert np.abs(pixels - bilinear(smooth_image(500, 700), size)).mean() < 1.5


def test_failures_are_listed_and_all_else_is_there(server: ImageServer, tmp_path: Path) -> None:
    good = encode(".png")
    # A PNG whose header promises 40 billion pixels, with the checksum that belongs to it.
    header = b"IHDR" + struct.pack(">II5B", 200_000, 200_000, 8, 2, 0, 0, 0)
    bomb = good[:12] + header + struct.pack(">I", zlib.crc32(header)) + good[33:]
    pages = {
        "/good.png": (content(good), ""),
        "/page.html": (content(b"<html>no image</html>"), "not an image"),
        "/empty": (content(b""), "empty file"),
        "/truncated.jpg": (content(encode(".jpg")[:-40]), "truncated: image data are missing"),
        "/bomb.png": (content(bomb), "too large: 200000x200000 pixels"),
        "/dot.png": (content(encode(".png", 1, 1)), "too small: 1x1 pixels"),
        "/gone.jpg": (status(404), "HTTP 404"),
        "/broken.jpg": (status(500), "HTTP 500"),
        "/short.jpg": (respond(200, {}, good, length=len(good) + 9), "the connection broke off"),
        "/loop": (redirect("/loop"), "more than 5 redirects"),
        "/file": (redirect("file:///a"), "found the scheme 'file', expected http or https"),
        "/moved": (redirect("/good.png"), ""),
    }
    server.pages = {path: page for path, (page, _) in pages.items()}
    urls = write_urls(tmp_path, [server.url + path for path in pages])
    report = download(urls, tmp_path / "out")
    expected = [
        [server.url + path, str(line), reason]
        for line, (path, (_, reason)) in enumerate(pages.items(), 1)
        if reason
    ]
    assert failed(tmp_path / "out") == [["url", "line", "reason"], *expected]
    assert (report.fetched, report.present, len(report.failures)) == (2, 0, 10)
    assert len(names(tmp_path / "out")) == 3
    with pytest.raises(
        DataError, match=r"^10 of 12 images could not be fetched; see .*failed\.csv"
    ):
        report.raise_for_failures()


def test_private_addresses_fail_without_a_connection(server: ImageServer, tmp_path: Path) -> None:
    server.pages["/a.png"] = content(encode(".png"))
    urls = write_urls(
        tmp_path, [f"{server.url}/a.png", "ftp://covers.example/b.png", "http://[::1"]
    )
    report = download(urls, tmp_path / "out", limits=DownloadLimits(retries=0))
    assert [failure.reason for failure in report.failures] == [
        "the address 127.0.0.1 is not public",
        "found the scheme 'ftp', expected http or https",
        "not a valid URL",
    ]
    assert server.connections == 0


# Again.


def test_a_second_run_fetches_only_what_failed(server: ImageServer, tmp_path: Path) -> None:
    server.pages = {
        "/a.png": content(encode(".png")),
        "/b.jpg": content(encode(".jpg")),
        "/c.jpg": in_turn(status(404), content(encode(".jpg"))),
    }
    urls, out = write_urls(tmp_path, [server.url + path for path in server.pages]), tmp_path / "out"
    download(urls, out)
    first = {path.name: path.read_bytes() for path in out.glob("*.jpg")}
    assert (len(first), (out / "failed.csv").exists()) == (2, True)
    server.requests.clear()
    report = download(urls, out)
    assert server.paths == ["/c.jpg"]
    assert (report.fetched, report.present, report.failures) == (1, 2, [])
    assert not (out / "failed.csv").exists()
    assert {name: (out / name).read_bytes() for name in first} == first
    server.requests.clear()
    report = download(urls, out)
    assert server.paths == []
    assert (report.fetched, report.present) == (0, 3)
    assert len(names(out)) == 3


def test_files_of_another_size_or_damaged_are_fetched_again(
    server: ImageServer, tmp_path: Path
) -> None:
    server.pages["/a.png"] = content(encode(".png"))
    urls, out = write_urls(tmp_path, [f"{server.url}/a.png"]), tmp_path / "out"
    download(urls, out)
    (path,) = out.iterdir()
    whole = path.read_bytes()
    path.write_bytes(b"")
    assert download(urls, out).fetched == 1
    assert path.read_bytes() == whole
    assert download(urls, out, size=64).fetched == 1
    assert cv2.imread(str(path)).shape == (64, 64, 3)


def test_a_url_given_twice_is_fetched_once(server: ImageServer, tmp_path: Path) -> None:
    server.pages = {"/a.png": content(encode(".png")), "/b.png": status(404)}
    order = [f"{server.url}/{name}.png" for name in "abab"]
    report = download(write_urls(tmp_path, order), tmp_path / "out")
    assert sorted(server.paths) == ["/a.png", "/b.png"]
    assert [(failure.url, failure.line) for failure in report.failures] == [(order[1], 2)]


def test_the_list_of_failures_can_be_fetched_itself(server: ImageServer, tmp_path: Path) -> None:
    server.pages = {
        "/a.png": in_turn(status(404), content(encode(".png"))),
        "/b,c.png": in_turn(status(404), content(encode(".png"))),
    }
    urls = write_urls(tmp_path, [f"{server.url}/a.png", f'"{server.url}/b,c.png"'])
    out = tmp_path / "out"
    assert len(download(urls, out).failures) == 2
    assert download(out / "failed.csv", out).fetched == 2
    assert not (out / "failed.csv").exists()


# Several at a time.


@pytest.mark.parametrize("at_once", [1, 4])
def test_so_many_are_fetched_at_a_time(server: ImageServer, tmp_path: Path, at_once: int) -> None:
    """Each page waits until so many are asked for, or a moment for one more."""
    lock, full = threading.Lock(), threading.Event()
    running, most = 0, 0

    def page(handler: Any) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running > at_once:
                full.set()
        full.wait(0.15)
        with lock:
            running -= 1
        content(encode(".png"))(handler)

    server.pages = {f"/{index}.png": page for index in range(2 * at_once)}
    urls = write_urls(tmp_path, [server.url + path for path in server.pages])
    assert download(urls, tmp_path / "out", at_once=at_once).fetched == 2 * at_once
    assert most == at_once


def test_progress_counts_images_whether_they_fail_or_not(
    server: ImageServer, tmp_path: Path
) -> None:
    steps: list[int] = []
    totals: list[int] = []

    @contextlib.contextmanager
    def progress(description: str, total: int) -> Iterator[Callable[[int], None]]:
        totals.append(total)
        yield steps.append

    server.pages = {"/a.png": content(encode(".png")), "/b.png": status(404)}
    urls = write_urls(tmp_path, [server.url + path for path in server.pages])
    download(urls, tmp_path / "out", progress=progress)
    assert (totals, sum(steps)) == ([2], 2)


def test_a_defect_ends_it_instead_of_waiting_for_ever(
    server: ImageServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*arguments: object) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr("fashionai.datasets.cover_downloads.fetch_image_bytes", defect)
    urls = write_urls(tmp_path, [f"http://covers.example/{index}" for index in range(50)])
    with pytest.raises(ZeroDivisionError):
        download(urls, tmp_path / "out", at_once=4)


# Lists.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://a/1\nhttps://a/2\n", [("http://a/1", 1), ("https://a/2", 2)]),
        ("\n  \nhttp://a/1\n\n\nhttp://a/2", [("http://a/1", 3), ("http://a/2", 6)]),
        ("\ufeffHTTP://a/1\r\n", [("HTTP://a/1", 1)]),
        ("url\nhttp://a/1\n", [("http://a/1", 2)]),
        ("id,Link\n7,http://a/1\n8,http://a/2\n", [("http://a/1", 2), ("http://a/2", 3)]),
        ("id,page,URL\n7,http://a/,http://a/1\n", [("http://a/1", 2)]),
        ("id,page,image\n7,http://a/,http://a/1\n", [("http://a/", 2)]),
        ('"http://a/w_1,h_1/1"\n', [("http://a/w_1,h_1/1", 1)]),
        ("http://a/1\nnone\n", [("http://a/1", 1), ("none", 2)]),
    ],
)
def test_lists_are_read(tmp_path: Path, text: str, expected: list[tuple[str, int]]) -> None:
    (tmp_path / "urls.csv").write_bytes(text.encode())
    assert read_urls(tmp_path / "urls.csv") == expected


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(), min_size=1, unique=True))
def test_names_are_safe_and_differ(urls: list[str]) -> None:
    found = [file_name(url) for url in urls]
    assert len(set(found)) == len(found)
    for name in found:
        assert re.fullmatch(r"([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?-)?[0-9a-f]{12}\.jpg", name)
        assert len(name) <= 100


def test_names_tell_of_the_url_and_stay() -> None:
    """The hashes are SHA-256 by sha256sum: names of another run must be found again."""
    assert file_name("http://a.example/cats/Tom%20Cat.png?w=1") == "Tom-Cat-a1545af23e0b.jpg"
    assert file_name("http://a.example/") == "217fbabc0e7a.jpg"
    assert file_name("http://a.example/%2E%2E%2F..") == "7ee36578767b.jpg"


# The command.


def test_the_summary_of_the_command_fits_into_80_columns(
    server: ImageServer, tmp_path: Path
) -> None:
    server.pages = {"/a.png": content(encode(".png")), "/b.png": status(404)}
    write_urls(tmp_path, [f"{server.url}/a.png"])
    arguments = ("covers", "download", "--urls", "urls.csv", "--out", "out")
    done = run_cli(*arguments, "--allow-private", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "out: 1 fetched, 0 already present, 0 failed\n"
    write_urls(tmp_path, [f"{server.url}/a.png", f"{server.url}/b.png"])
    done = run_cli(*arguments, "--allow-private", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == "out: 0 fetched, 1 already present, 1 failed\n"
    assert done.stderr == (
        "Error: 1 of 2 images could not be fetched; see out/failed.csv. "
        "Run the same command to try them again\n"
    )
    done = run_cli("covers", "download", "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_an_interruption_is_prompt_and_leaves_whole_images(
    server: ImageServer, tmp_path: Path, end: signal.Signals
) -> None:
    """Some servers have answered, the others never will."""
    image = encode(".png", 400, 400)
    server.pages = {f"/{index}.png": content(image) for index in range(40)}
    server.pages |= {f"/slow{index}.png": endless(part=b"x", every=0.05) for index in range(40)}
    paths = [
        path for pair in zip(list(server.pages)[:40], list(server.pages)[40:]) for path in pair
    ]
    write_urls(tmp_path, [server.url + path for path in paths])
    command = [sys.executable, "-m", "fashionai", "covers", "download", "--urls", "urls.csv"]
    options = ["--out", "out", "--allow-private", "--at-once", "8"]
    process = subprocess.Popen(
        [*command, *options],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs, such as this test may be, ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 20
    while len(list(tmp_path.glob("out/*.jpg"))) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(end)
    begun = time.monotonic()
    errors = process.communicate(timeout=20)[1]
    assert time.monotonic() - begun < 3
    if end == signal.SIGINT:
        assert (process.returncode, errors.strip()) == (130, "Interrupted.")
    written = list((tmp_path / "out").glob("*.jpg"))
    assert len(written) >= 4
    for path in written:
        with Image.open(io.BytesIO(path.read_bytes())) as found:
            found.load()
            assert found.size == (240, 240)
    if end == signal.SIGINT:
        assert sorted((tmp_path / "out").iterdir()) == sorted(written)
