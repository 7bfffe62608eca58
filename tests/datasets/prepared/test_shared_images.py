"""Images of several tasks that are in the training split of one and in another of another."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fashionai.datasets.prepared.samples import Samples
from fashionai.datasets.prepared.shared_images import count_shared
from fashionai.tasks import Task
from tests.support.commands import fashionai

SHAPE, COLOUR = Task("shape", (), ("a", "b"), "table"), Task("colour", (), ("c", "d"), "table")
CONFIG = """\
task: [shape, colour]
model: {name: small_cnn, pretrained: false}
data: {resize_short: 20, crop: 16}
epochs: 1
batch_size: 8
"""


def samples(head: int, path: Path, source: str) -> Samples:
    return Samples([SHAPE, COLOUR], [path], [source], np.array([head]), np.zeros((1, 4), np.int8))


def test_links_and_copies_of_other_tasks_count(tmp_path: Path) -> None:
    train, linked, copied, other = (tmp_path / name for name in ("train", "link", "copy", "other"))
    train.write_bytes(b"image")
    os.link(train, linked)
    copied.write_bytes(b"image")
    other.write_bytes(b"another")
    for head, path, source, count in (
        (1, linked, "1.png", 1),
        (1, copied, "1.png", 1),
        (1, other, "1.png", 0),  # of another data set with the same names
        (0, copied, "1.png", 0),  # of the same task: prepare tells of duplicates
    ):
        found = count_shared(samples(0, train, "1.png"), samples(head, path, source))
        assert found == count, (head, path)


def test_train_and_evaluate_tell_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    lines, random = ["path,shape,colour"], np.random.default_rng(0)
    Path("photos").mkdir()
    for number in range(40):
        pixels = random.integers(0, 256, (20, 20, 3), np.uint8)
        Image.fromarray(pixels).save(f"photos/{number}.png")
        lines.append(f"{number}.png,{'ab'[number % 2]},{'cd'[number // 20]}")
    Path("labels.csv").write_text("\n".join(lines) + "\n")
    source = ["--csv", "labels.csv", "--images", "photos", "--val-fraction", "0.3"]
    for task in ("shape", "colour"):
        assert fashionai("prepare", "--task", task, *source, "--label-column", task) == 0
    Path("c.yaml").write_text(CONFIG)
    shared = "images are training images of another task, so the scores are too high"
    capsys.readouterr()
    assert fashionai("train", "--config", "c.yaml", "--run", "run", "--device", "cpu") == 0
    assert f"of 24 {shared}" in " ".join(capsys.readouterr().out.split())
    assert fashionai("evaluate", "--run", "run", "--task", "colour", "--device", "cpu") == 0
    printed = capsys.readouterr()
    assert f"of 12 {shared}" in " ".join((printed.out + printed.err).split())
    assert "colour" in printed.out
    assert "shape" not in printed.out
