"""Names that look like HTML reach files and the terminal as they are: no HTML is written."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.commands import fashionai, run_in
from tests.support.data_trees import put
from tests.support.images import encode
from tests.support.trained_runs import write_config

CLASSES = ["<script>alert(1)</script>", "<b>&amp;\"'"]
RUN = "runs/<b>birds"
IMAGE = "<img src=x onerror=alert(1)>-{}.jpg"


@pytest.fixture
def trained_on_markup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = [["path", "label"]]
    for number in range(16):
        put(tmp_path / "images" / IMAGE.format(number), encode(number % 2, rng, side=40))
        rows.append([IMAGE.format(number), CLASSES[number % 2]])
    with open("labels.csv", "w", newline="") as handle:
        csv.writer(handle).writerows(rows)
    config = write_config(tmp_path, epochs=1)
    run_in(
        tmp_path,
        ("prepare", "--task", "birds", "--csv", "labels.csv", "--images", "images"),
        ("train", "--config", config, "task=birds", "--run", RUN),
    )
    return tmp_path


def test_classes_and_files_named_like_html_stay_as_they_are(
    trained_on_markup: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {f"images/{IMAGE.format(number)}" for number in range(16)}
    outputs = ("--csv", "classes.csv", "--json", "classes.json")
    assert fashionai("classify", "--run", RUN, "--crops", "1", *outputs, "images") == 0
    printed = capsys.readouterr().out
    assert all(text in printed for text in (*CLASSES, *names))
    with open("classes.csv", newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert {row["image"] for row in rows} == names
    assert {row["class"] for row in rows} == set(CLASSES)
    results = json.loads(Path("classes.json").read_text(encoding="utf-8"))
    assert {result["image"] for result in results} == names
    assert {each["class"] for result in results for each in result["tasks"]["birds"]} == set(
        CLASSES
    )

    assert fashionai("evaluate", "--run", RUN, "--confusion", "--crops", "1") == 0
    assert CLASSES[0] in capsys.readouterr().out
    prediction = ("predict", "--run", RUN, "--crops", "1", "--out", "table.csv")
    assert fashionai(*prediction, "--questions", "images") == 0
    with open("table.csv", newline="", encoding="utf-8") as handle:
        header, *table = csv.reader(handle)
    assert sorted(header[3:]) == sorted(CLASSES)
    assert {f"images/{row[0]}" for row in table} == names
    assert f"-> {RUN}\n" in Path(RUN, "train.log").read_text(encoding="utf-8")
    for file in (*Path().glob("*.csv"), Path("classes.json"), Path(RUN, "train.log")):
        assert "&lt;" not in file.read_text(encoding="utf-8")
    assert not list(Path().rglob("*.html"))
