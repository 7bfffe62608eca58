"""fashionai weights fetch: from the first source that works, from a URL or a file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from fashionai.conversion.published import HALF, PUBLISHED_WEIGHTS
from fashionai.models.zoo import build_network
from fashionai.weights import downloading
from fashionai.weights.pretrained import find_weights, import_file
from tests.support.commands import fashionai
from tests.support.image_server import ImageServer, content, in_turn, redirect, status
from tests.support.networks import answers, make_parameters, with_parameters, write_parameters
from tests.support.torch_files import Calling, zip_file
from tests.support.weights import (
    HUB_PATH,
    MEAN,
    MODEL,
    STD,
    in_parts,
    kept,
    publish_on_hub,
    stalling,
)


def test_the_first_source_that_works_is_taken(
    server: ImageServer,
    home: Path,
    checkpoint: bytes,
    parameters: dict[str, np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("MXNET_GLUON_REPO", "HF_ENDPOINT", "FASHIONAI_TORCHVISION_URL"):
        monkeypatch.setenv(name, server.url)
    publish_on_hub(server, checkpoint, in_turn(in_parts(checkpoint, 10**6), in_parts(checkpoint)))
    assert fashionai("weights", "fetch", MODEL) == 0
    assert server.paths[:2] == ["/gluon/models/resnet18_v1b-2d9d980c.zip", f"HEAD {HUB_PATH}"]
    assert server.requests[-1][1]["Range"].startswith("bytes=")
    name = f"{MODEL}/timm-resnet18.a1_in1k"
    assert kept(home) == [f"{name}.json", f"{name}.params"]

    images = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)
    server.requests.clear()
    found = find_weights(MODEL)
    assert server.requests == []
    expected = answers(with_parameters(MODEL, parameters, classes=3), images)
    actual = answers(build_network(MODEL, 3, 224, found.file), images)
    np.testing.assert_allclose(actual, expected, rtol=1e-4)
    assert (found.source, found.mean, found.std) == ("timm/resnet18.a1_in1k", MEAN, STD)


def refused(capsys: pytest.CaptureFixture[str], home: Path, url: str, model: str = MODEL) -> str:
    """Why a URL is refused, in one line; nothing of it is kept."""
    capsys.readouterr()
    assert fashionai("weights", "fetch", model, "--from", url) == 2
    line = capsys.readouterr().err
    assert line.startswith("Error: ")
    assert line.count("\n") == 1
    assert kept(home) == []
    return line[len("Error: ") : -1]


def test_a_url(
    server: ImageServer, home: Path, checkpoint: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    server.pages = {"/a.safetensors": redirect("/b?token=1"), "/b?token=1": content(checkpoint)}
    command = ["weights", "fetch", MODEL, "--from", f"{server.url}/a.safetensors"]
    assert fashionai(*command, "--mean", "0.5,0.5,0.5", "--std", "0.5,0.5,0.5") == 0
    assert capsys.readouterr().out.splitlines()[:2] == [
        f"{MODEL}: file/a.safetensors, 3 classes",
        "input: RGB, mean 0.5,0.5,0.5, standard deviation 0.5,0.5,0.5",
    ]
    assert find_weights(MODEL)[2:4] == (HALF, HALF)


def test_a_url_that_does_not_lead_to_weights(
    server: ImageServer,
    home: Path,
    tmp_path: Path,
    checkpoint: bytes,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(downloading, "READ_SECONDS", 0.2)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    mark = tmp_path / "mark"
    evil = zip_file({"hook": Calling(os.system, f"touch {mark}")})
    url = f"{server.url}/a.pth"
    for page, reason in (
        (status(404), "HTTP 404"),
        (status(500), "HTTP 500"),
        (in_parts(checkpoint, 0), "the connection broke off"),
        (stalling(checkpoint), "no data for 0.2 s"),
    ):
        server.pages["/a.pth"] = page
        assert refused(capsys, home, url) == f"{url}: {reason}"
    for body, reason in (
        (b"<html>log in</html>", "not a checkpoint"),
        (evil, "which a file of weights does not need; it was not run"),
        (checkpoint[:-100], "not a safetensors file, or damaged"),
    ):
        server.pages["/a.pth"] = content(body)
        line = refused(capsys, home, url)
        assert line.startswith(f"{url}: ")
        assert reason in line
    server.pages["/a.pth"] = content(checkpoint)
    assert "another network" in refused(capsys, home, url, "resnet34_v1b")
    assert not mark.exists()
    assert not list(tmp_path.glob("fashionai-*"))
    for path in ("/", "/..", "/a/"):
        server.pages[path] = content(b"text")
        assert refused(capsys, home, server.url + path).startswith(f"{server.url}{path}: not a")


def test_a_file_is_imported(
    home: Path, tmp_path: Path, checkpoint: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.pth").write_bytes(checkpoint)
    assert fashionai("weights", "fetch", MODEL, "--from", tmp_path / "a.pth") == 0
    assert capsys.readouterr().out.startswith(f"{MODEL}: file/a.pth, 3 classes\n")


def test_the_input_of_published_weights_is_known_by_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of a file that was taken out of another cache."""
    half = next(weights for weights in PUBLISHED_WEIGHTS if weights.mean == HALF)
    parameters = make_parameters(half.model)
    for name in (f"{half.name}.params", f"timm-{half.name}.params"):
        weights = import_file(write_parameters(tmp_path / name, parameters), half.model)
        assert (weights.record.mean, weights.record.std) == (HALF, HALF)
    other = write_parameters(tmp_path / "best.params", parameters)
    assert import_file(other, half.model).record.mean == MEAN
