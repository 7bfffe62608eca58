"""A data set is added with one reader, one format and one entry, and every command knows it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from fashionai.families import FAMILIES, Family, ShareOption
from fashionai.tasks import Task
from tests.support.commands import fashionai

SHAPES = Task("shapes", ("form",), ("round", "square"), "shapes")
FAMILY = Family(
    "shapes",
    (SHAPES,),
    reader="tests.support.shapes_reader",
    format="tests.support.shapes_format",
    option=ShareOption("seed_share", "shapes: share for validation"),
)
TRAIN = [
    *("model.name=small_cnn", "model.pretrained=false", "data.resize_short=36", "data.crop=32"),
    *("epochs=6", "batch_size=8", "optimizer.lr=0.05"),
]


def draw(folder: Path, name: str, label: str, rng: np.random.Generator) -> None:
    """A light shape on dark noise."""
    image = rng.integers(0, 60, (40, 40, 3), np.uint8)
    if label == "round":
        cv2.circle(image, (20, 20), 14, (230, 230, 230), -1)
    else:
        cv2.rectangle(image, (2, 2), (38, 38), (230, 230, 230), -1)
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / name), image)


@pytest.fixture
def shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The made-up family's files, and the family itself, for one test."""
    monkeypatch.setitem(FAMILIES, "shapes", FAMILY)
    monkeypatch.chdir(tmp_path)
    data, rng = Path("data"), np.random.default_rng(0)
    lines = []
    for number in range(48):
        label = SHAPES.classes[number % 2]
        draw(data / "pictures", f"{number}.png", label, rng)
        lines.append(f"{number}.png {label}")
    (data / "shapes.txt").write_text("\n".join(lines[:40]))
    wanted = [line.split()[0] for line in lines[40:]]
    (data / "wanted.txt").write_text("\n".join(["which shape", *wanted]))
    answers = (line.replace(" ", ",") for line in lines[40:])
    Path("answers.csv").write_text("\n".join(["file,label", *answers]))
    return tmp_path


def test_a_made_up_family_goes_through_every_step(
    shapes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fashionai("prepare", "--task", "form") == 0
    assert "shapes are made up" in capsys.readouterr().out
    validation = [*Path("data/train_valid/shapes/val").rglob("*.png")]
    assert len(validation) == 10, "the reader's own share"
    Path("shapes.yaml").write_text("task: form\n")
    assert fashionai("train", "--config", "shapes.yaml", *TRAIN) == 0
    assert fashionai("predict", "--out", "p.csv") == 0
    lines = Path("p.csv").read_text().splitlines()
    assert lines[0] == "picture,how_square"
    assert [line.split(",")[0] for line in lines[1:]] == [f"{n}.png" for n in range(40, 48)]
    scored = ["--predictions", "p.csv", "--labels", "answers.csv", "--json", "scores.json"]
    assert fashionai("evaluate", *scored) == 0
    assert json.loads(Path("scores.json").read_text())["accuracy"] == 1
    assert fashionai("evaluate", *scored, "--questions", "data/wanted.txt") == 0
    assert fashionai("predict", "--split", "val", "--task", "shapes", "--out", "val.csv") == 0
    labels = ["--labels", "data/train_valid/shapes"]
    assert fashionai("evaluate", "--predictions", "val.csv", *labels) == 0


def test_its_option_is_its_own(shapes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from fashionai.datasets.reading import read_data_set

    assert read_data_set(SHAPES, Path("data"), seed_share=0.5).val_fraction == 0.5
    assert fashionai("prepare", "--task", "form", "--no-logo-share", "0.5") == 2
    assert capsys.readouterr().err == (
        "Error: --no-logo-share: goes with --task logos, not with shapes\n"
    )
