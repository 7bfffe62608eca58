"""fashionai review as a server: who is answered, what is sent, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import requests

from fashionai.inspection.images import read_images
from fashionai.reviewing.application import Review, create_app
from fashionai.reviewing.decisions import Decisions
from fashionai.reviewing.items import items_of_all
from tests.support.commands import files_of_at_most, run_in
from tests.support.data_trees import write_table
from tests.support.web_server import running

TOKEN = "t0ken"


@pytest.fixture(scope="module")
def owls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_table(tmp_path_factory.mktemp("owls"), per_class=10)
    run_in(folder, ["prepare", "--task", "birds", "--csv", "labels.csv", "--images", "images"])
    return folder


@pytest.fixture(scope="module")
def address(owls: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = owls / "data/train_valid/birds"
    images = read_images(folder)
    decisions = Decisions(tmp_path_factory.mktemp("made") / "c.csv", images.task, folder)
    with running(create_app(Review(images, items_of_all(images), decisions), TOKEN)) as origin:
        yield f"{origin}/{TOKEN}/"


def test_only_an_address_with_the_token_is_answered(address: str) -> None:
    origin = address[: -len(f"/{TOKEN}/")]
    for path in ("/", "/docs", "/openapi.json", "/images/0", f"/{TOKEN[:-1]}/", "/x/images/0"):
        assert requests.get(origin + path, timeout=10).status_code == 404
    answer = requests.get(address, timeout=10)
    assert answer.status_code == 200
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "connect-src 'self'" in answer.text


def test_another_name_of_this_machine_is_refused(address: str) -> None:
    answer = requests.get(address, headers={"Host": "attacker.example"}, timeout=10)
    assert answer.status_code == 421


def test_images_of_the_prepared_folder_are_sent_and_no_other_file(address: str) -> None:
    answer = requests.get(f"{address}images/0", timeout=10)
    assert answer.headers["Content-Type"] == "image/jpeg"
    pixels = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert pixels.shape == (16, 16, 3)
    for path in ("30", "-1", "..%2f..%2flabels.csv", "../../labels.csv", "%2fetc%2fpasswd"):
        assert requests.get(f"{address}images/{path}", timeout=10).status_code in (404, 422)


def test_items_come_in_pages_and_wrong_decisions_are_refused(address: str) -> None:
    pages = [requests.get(f"{address}items/{page}", timeout=10).json() for page in range(2)]
    assert [len(page) for page in pages] == [24, 6]
    assert requests.get(f"{address}items/2", timeout=10).status_code == 404
    wrong = {"item": 0, "action": "correct", "new_label": "owll"}
    answer = requests.post(f"{address}decisions", json=wrong, timeout=10)
    assert answer.status_code == 400
    assert answer.json()["detail"] == "new_label: found 'owll'. Did you mean 'owl'?"
    wrong = {"item": 30, "action": "drop"}
    assert requests.post(f"{address}decisions", json=wrong, timeout=10).status_code == 404


def test_the_reason_is_told_when_a_decision_cannot_be_saved_or_undone(address: str) -> None:
    decision = {"item": 0, "action": "drop"}
    assert requests.post(f"{address}decisions", json=decision, timeout=10).json()["decided"] == 1
    with files_of_at_most(20):
        refused = [
            requests.post(f"{address}decisions", json={**decision, "item": 1}, timeout=10),
            requests.post(f"{address}undo", timeout=10),
        ]
    assert [each.status_code for each in refused] == [400, 400]
    assert all("File too large" in each.json()["detail"] for each in refused)
    answer = requests.post(f"{address}undo", timeout=10).json()
    assert (answer["item"]["item"], answer["decided"]) == (0, 0)


def test_the_command_says_its_address_and_ends_politely(owls: Path) -> None:
    command = [sys.executable, "-m", "fashionai", "review", "--task", "birds"]
    with subprocess.Popen(
        command,
        cwd=owls,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "30 images to review; open in a browser:\n"
        address = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{20,}/", address)
        decision = {"item": 3, "action": "drop"}
        answer = requests.post(f"{address}decisions", json=decision, timeout=30).json()
        assert answer["decided"] == 1
        second = subprocess.run(
            command, cwd=owls, capture_output=True, text=True, timeout=60, check=False
        )
        assert second.returncode == 2
        assert "corrections.csv: another review writes it" in second.stderr
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert "corrections.csv: 1 decision\nNext: " in rest
