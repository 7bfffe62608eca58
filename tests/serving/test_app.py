"""The server's answers: the right classes, and a proper status for everything else."""

from __future__ import annotations

import asyncio
import io
import shutil
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import requests
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.predictions.predict import predict_images
from fashionai.predictions.scaling import read_calibration
from fashionai.runs import Run
from fashionai.serving.app import create_app
from fashionai.serving.service import Service, Settings
from tests.support.calibrations import scaled, write_calibration
from tests.support.web_server import LIMITS, running

mx = import_mxnet()


@pytest.fixture
def calibrated_run(trained_cnn: Path, tmp_path: Path) -> Run:
    return Run.open(shutil.copytree(trained_cnn, tmp_path / "run"))


def post(address: str, *images: bytes, **options: Any) -> requests.Response:
    files = [("images", (f"{at}.jpg", image)) for at, image in enumerate(images)]
    return requests.post(f"{address}/predict", files=files, timeout=30, **options)


def encoded(width: int, height: int, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (90, 20, 200)).save(buffer, kind)
    return buffer.getvalue()


def expected_of(run: Run, images: list[Path]) -> np.ndarray:
    (expected,) = predict_images(images, [run], [mx.cpu()], crops=1, engine="gluon").values()
    return expected


def probabilities(run: Run, answer: dict[str, Any]) -> list[float]:
    (task,) = run.tasks
    found = {each["class"]: each["probability"] for each in answer["tasks"][task.name]}
    return [found[name] for name in task.classes]


def test_images_get_the_classes_that_predict_gives_them(
    run: Run, address: str, photographs: list[Path]
) -> None:
    response = post(address, *(path.read_bytes() for path in photographs))
    assert response.status_code == 200
    answers = response.json()["images"]
    assert [each["image"] for each in answers] == [f"{at}.jpg" for at in range(len(photographs))]
    found = [probabilities(run, each) for each in answers]
    np.testing.assert_allclose(found, expected_of(run, photographs), atol=1e-6)
    (first,) = post(address, photographs[0].read_bytes(), params={"top": 2}).json()["images"]
    (ranked,) = first["tasks"].values()
    # The sums of a batch of another size are rounded in another way.
    highest = sorted(found[0], reverse=True)[:2]
    assert [each["probability"] for each in ranked] == pytest.approx(highest, abs=1e-6)


def test_probabilities_are_calibrated_when_asked_for(
    calibrated_run: Run, photographs: list[Path]
) -> None:
    factors = write_calibration(calibrated_run)
    calibration = read_calibration(calibrated_run, crops=1)
    settings = Settings([mx.cpu()], 1, 8, "gluon", calibration)
    service = Service(calibrated_run, settings, LIMITS)
    try:
        images = [(path.name, path.read_bytes()) for path in photographs[:3]]
        answers = asyncio.run(service.answers(images, None))
    finally:
        service.close()
    assert service.description()["calibrated"] is True
    found = [probabilities(calibrated_run, each) for each in answers]
    expected = scaled(expected_of(calibrated_run, photographs[:3]), *factors)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_many_clients_at_once_get_their_own_answers_from_common_batches(
    run: Run, service: Service, address: str, photographs: list[Path]
) -> None:
    wanted, before = photographs * 4, counts_of(service)
    with ThreadPoolExecutor(24) as clients:
        responses = list(clients.map(lambda path: post(address, path.read_bytes()), wanted))
    after = counts_of(service)
    found = [probabilities(run, each.json()["images"][0]) for each in responses]
    np.testing.assert_allclose(found, np.tile(expected_of(run, photographs), (4, 1)), atol=1e-6)
    images, batches = (
        after[f"fashionai_batch_images_{name}"] - before[f"fashionai_batch_images_{name}"]
        for name in ("sum", "count")
    )
    assert images == len(wanted)
    assert batches < images


@pytest.mark.parametrize(
    ("image", "status", "reason"),
    [
        (b"a,b\n1,2\n", 415, "not an image"),
        (b"GIF89a" + bytes(40), 422, 'GIF is not read; convert it: magick "FILE[0]" OUT.png'),
        (encoded(40, 40, "JPEG")[:-200], 422, "truncated: image data are missing"),
        (encoded(40, 40)[:-60], 422, "truncated: image data are missing"),
        (b"", 422, "empty file"),
        (encoded(400, 300), 413, "too large: 400x300 pixels, expected at most 100,000"),
        (encoded(400, 3), 422, "too small: 400x3 pixels"),
    ],
)
def test_an_image_that_cannot_be_used_has_the_status_and_the_reason(
    address: str, image: bytes, status: int, reason: str
) -> None:
    response = post(address, image)
    assert response.status_code == status
    assert response.json()["detail"] == reason


def test_a_bad_image_does_not_cost_the_others(address: str, photographs: list[Path]) -> None:
    sound = photographs[0].read_bytes()
    response = post(address, sound, sound[: len(sound) // 2], sound)
    assert response.status_code == 200
    first, second, third = response.json()["images"]
    assert first["tasks"] == third["tasks"]
    assert second["error"]["status"] == 422


def test_a_name_that_is_no_text_gets_an_answer(address: str, photographs: list[Path]) -> None:
    """The character set of the form makes a lone surrogate of the name, which no JSON can hold."""
    head = b'--X\r\nContent-Disposition: form-data; name="i"; filename="\\ud800.png"\r\n\r\n'
    body = head + photographs[0].read_bytes() + b"\r\n--X--\r\n"
    kind = "multipart/form-data; boundary=X; charset=unicode_escape"
    answer = requests.post(
        f"{address}/predict", data=body, headers={"Content-Type": kind}, timeout=60
    )
    assert answer.status_code == 200
    assert answer.json()["images"][0]["tasks"]


def test_requests_beyond_the_limits_are_refused(address: str, photographs: list[Path]) -> None:
    sound = photographs[0].read_bytes()
    for response, status, reason in (
        (post(address, bytes(3_000_000)), 413, "the body is longer than 2,000,000 bytes"),
        (post(address, *[sound] * 21), 413, "expected at most 20 images"),
        (post(address, sound, params={"top": 0}), 422, "top: Input should be greater than"),
        (post(address, sound, params={"top": "x"}), 422, "top: Input should be a valid integer"),
    ):
        assert response.status_code == status
        assert response.json()["detail"].startswith(reason)
    # Without a stated length.
    body = (bytes(100_000) for _ in range(30))
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    response = requests.post(f"{address}/predict", data=body, headers=headers, timeout=9)
    assert response.status_code in (400, 413)


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "application/json"}, b"{}", 415),
        ({}, b"", 415),
        ({"Content-Type": "multipart/form-data"}, b"x", 400),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"no form", 400),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"--x--\r\n", 422),
        (
            {"Content-Type": "multipart/form-data; boundary=x"},
            b'--x\r\nContent-Disposition: form-data; name="images"\r\n\r\ntext\r\n--x--\r\n',
            422,
        ),
    ],
)
def test_a_body_that_holds_no_images_is_refused(
    address: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    response = requests.post(f"{address}/predict", data=body, headers=headers, timeout=9)
    assert response.status_code == status, response.text
    assert response.json()["detail"]


def test_a_full_queue_refuses_with_the_time_to_try_again(
    service: Service, address: str, photographs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = photographs[0].read_bytes()
    monkeypatch.setattr(service, "limits", LIMITS._replace(queue=2))
    response = post(address, *[sound] * 3)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert post(address, *[sound] * 2).status_code == 200


def test_no_more_bodies_are_read_than_memory_is_granted(
    service: Service, address: str, photographs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a client states counts from the beginning, until its request ends in any way."""
    monkeypatch.setattr(service, "limits", LIMITS._replace(waiting_bytes=3_000_000))
    sound, large = photographs[0].read_bytes(), bytes(1_500_000)
    place = urlsplit(address)
    with socket.create_connection((place.hostname, place.port)) as connection:
        connection.sendall(
            b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2000000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x"
        )
        refused = wait_for_status(503, lambda: post(address, large))
        assert refused.headers["Retry-After"] == "1"
        assert refused.json() == {"detail": "2,000,000 bytes waiting already"}
        without_length = requests.post(f"{address}/predict", data=iter([b"x"]), timeout=9)
        assert without_length.status_code == 503
        assert post(address, sound).status_code == 200
    wait_for_status(415, lambda: post(address, large))
    for _ in range(3):  # each releases what it took
        assert post(address, large).status_code == 415


def wait_for_status(status: int, request: Callable[[], requests.Response]) -> requests.Response:
    """The first answer with this status, which comes within seconds."""
    end = time.monotonic() + 20
    while (response := request()).status_code != status:
        assert time.monotonic() < end, response.text
        time.sleep(0.05)
    return response


def test_an_answer_that_takes_too_long_is_given_up(
    service: Service, address: str, photographs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "limits", LIMITS._replace(seconds=1e-6))
    response = post(address, photographs[0].read_bytes())
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert response.json() == {"detail": "not answered within 1e-06 s"}
    monkeypatch.undo()
    assert post(address, photographs[0].read_bytes()).status_code == 200


def test_a_server_that_stops_refuses_images(
    service: Service, address: str, photographs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert requests.get(f"{address}/health", timeout=9).json() == {"status": "ok"}
    monkeypatch.setattr(service, "stopping", False)  # what stop changes is undone at the end
    service.stop()
    health = requests.get(f"{address}/health", timeout=9)
    assert (health.status_code, health.json()) == (503, {"status": "stopping"})
    assert post(address, photographs[0].read_bytes()).status_code == 503


def test_the_token_is_asked_for(service: Service, photographs: list[Path]) -> None:
    sound = photographs[0].read_bytes()
    with running(create_app(service, token="sesame/7")) as address:
        for path in ("/model", "/metrics"):
            response = requests.get(f"{address}{path}", timeout=9)
            assert response.status_code == 401
            assert response.headers["WWW-Authenticate"] == "Bearer"
        assert post(address, sound).status_code == 401
        for given, status in (("wrong", 401), ("", 401), ("sesame/7", 200)):
            headers = {"Authorization": f"Bearer {given}"}
            assert post(address, sound, headers=headers).status_code == status
        for path in ("/", "/health", "/openapi.json"):
            assert requests.get(f"{address}{path}", timeout=9).ok
        described = requests.get(f"{address}/openapi.json", timeout=9).json()
        assert "401" in described["paths"]["/predict"]["post"]["responses"]


def test_requests_under_a_foreign_name_are_refused(address: str) -> None:
    """As a page of another site makes them once its name leads to this machine."""
    for name, status in (("evil.example", 421), ("evil.example:8000", 421), ("127.0.0.1:1", 200)):
        response = requests.get(f"{address}/health", headers={"Host": name}, timeout=9)
        assert response.status_code == status


def test_a_client_that_leaves_costs_nothing(address: str) -> None:
    place = urlsplit(address)
    with socket.create_connection((place.hostname, place.port)) as connection:
        connection.sendall(
            b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x"
        )
    assert requests.get(f"{address}/health", timeout=9).ok


def test_answers_keep_to_the_description(address: str, photographs: list[Path]) -> None:
    described = requests.get(f"{address}/openapi.json", timeout=9).json()
    assert set(described["paths"]) == {"/", "/predict", "/model", "/health", "/metrics"}
    responses = described["paths"]["/predict"]["post"]["responses"]
    assert set(responses) == {"200", "400", "413", "415", "422", "500", "503"}
    ranked = described["components"]["schemas"]["RankedClass"]
    (answer,) = post(address, photographs[0].read_bytes()).json()["images"]
    (task,) = answer["tasks"]
    assert set(answer["tasks"][task][0]) == set(ranked["properties"]) == {"class", "probability"}


def test_the_page_loads_nothing_from_elsewhere(address: str) -> None:
    response = requests.get(address, timeout=9)
    assert "http" not in response.text.replace('http-equiv="Content-Security-Policy"', "")
    assert response.headers["content-security-policy"] == "frame-ancestors 'none'"


def counts_of(service: Service) -> dict[str, float]:
    families = text_string_to_metric_families(service.metrics.text().decode())
    return {
        " ".join([each.name, *each.labels.values()]): each.value
        for family in families
        for each in family.samples
    }


def test_requests_and_images_are_counted(
    service: Service, address: str, photographs: list[Path]
) -> None:
    names = [
        *("fashionai_requests_total /predict 200", "fashionai_requests_total other 404"),
        *("fashionai_images_total 200", "fashionai_images_total 415"),
    ]
    before = counts_of(service)
    post(address, photographs[0].read_bytes(), b"no image")
    requests.get(f"{address}/no-such-page", timeout=9)
    response = requests.get(f"{address}/metrics", timeout=9)
    after = counts_of(service)
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert [after[name] - before.get(name, 0) for name in names] == [1, 1, 1, 1]
    assert after["fashionai_waiting_images"] == 0
