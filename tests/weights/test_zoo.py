"""The zoo's weights: its mirror, and every way in which a download goes wrong."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from fashionai.errors import FashionAIError
from fashionai.weights.sources import Fetched, Zoo
from tests.support.image_server import ImageServer, content, in_turn, status
from tests.support.weights import in_parts

NAME = "mobilenet0.25"
CONTENT = b"parameters of a network"
SHA1 = hashlib.sha1(CONTENT).hexdigest()
FILE = f"{NAME}-9f83e440"  # the zoo names it after the published hash


def archive(member: str, content: bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as handle:
        handle.writestr(member, content)
    return buffer.getvalue()


GOOD = archive(f"{FILE}.params", CONTENT)
PACKED = archive(f"{FILE}.params", bytes(1000), zipfile.ZIP_DEFLATED)


@pytest.fixture
def mirror(server: ImageServer, monkeypatch: pytest.MonkeyPatch) -> ImageServer:
    from mxnet.gluon.model_zoo import model_store

    monkeypatch.setenv("MXNET_GLUON_REPO", server.url)
    monkeypatch.setitem(model_store._model_sha1, NAME, SHA1)
    return server


def zoo_weights(tmp_path: Path) -> Fetched:
    return Zoo().fetch(NAME, tmp_path / "cache", lambda received: None)


def cached(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache").rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "page",
    [
        content(GOOD),
        in_turn(in_parts(GOOD, 20), in_parts(GOOD, 30), in_parts(GOOD)),
        in_turn(status(502), content(GOOD)),
    ],
)
def test_a_download_is_verified_and_unpacked(mirror: ImageServer, tmp_path: Path, page) -> None:
    mirror.pages[f"/gluon/models/{FILE}.zip"] = page
    fetched = zoo_weights(tmp_path)
    assert fetched.file.read_bytes() == CONTENT
    assert fetched.source == f"zoo/{FILE}"
    assert cached(tmp_path) == [f"{FILE}.params"]


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (status(404), "HTTP 404"),
        (content(b"<html>moved</html>"), "not the expected archive"),
        (content(GOOD[:-30]), "not the expected archive"),
        (content(PACKED[:60] + b"\xff\xff" + PACKED[62:]), "not the expected archive"),
        (content(archive("other.params", CONTENT)), "not the expected archive"),
        (
            content(archive(f"{FILE}.params", CONTENT + b"!")),
            f"{FILE}.params does not have SHA-1 {SHA1}; the file was deleted",
        ),
    ],
)
def test_what_is_not_right_is_named_and_leaves_nothing(
    mirror: ImageServer, tmp_path: Path, page, reason: str
) -> None:
    mirror.pages[f"/gluon/models/{FILE}.zip"] = page
    with pytest.raises(FashionAIError) as error:
        zoo_weights(tmp_path)
    assert str(error.value) == f"{mirror.url}/gluon/models/{FILE}.zip: {reason}"
    assert cached(tmp_path) == []


def test_an_archive_that_would_fill_the_disk(mirror: ImageServer, tmp_path: Path) -> None:
    bomb = archive(f"{FILE}.params", bytes(2**22), zipfile.ZIP_DEFLATED)
    mirror.pages[f"/gluon/models/{FILE}.zip"] = content(bomb)
    with pytest.raises(FashionAIError, match=r"mobilenet0.25-.* would unpack to 4,194,304 bytes$"):
        zoo_weights(tmp_path)
    assert cached(tmp_path) == []


def test_an_unpacked_file_is_not_downloaded_again(mirror: ImageServer, tmp_path: Path) -> None:
    """Killed between the download and the import."""
    (tmp_path / "cache").mkdir()
    (tmp_path / f"cache/{FILE}.params").write_bytes(CONTENT)
    assert zoo_weights(tmp_path).file.read_bytes() == CONTENT
    assert mirror.requests == []


def test_without_a_host_the_error_names_the_address(tmp_path: Path) -> None:
    with pytest.raises(
        FashionAIError, match=r"^http://127.0.0.1:9/gluon/models/.*: cannot connect"
    ):
        zoo_weights(tmp_path)


def test_a_network_without_published_weights_is_refused(tmp_path: Path) -> None:
    assert Zoo().offers("small_cnn") == ""
    with pytest.raises(FashionAIError, match="no pretrained weights of small_cnn were published"):
        Zoo().fetch("small_cnn", tmp_path, lambda received: None)
