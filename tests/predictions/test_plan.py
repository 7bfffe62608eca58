"""Files of answers, and tables of the same, scored as FlickrLogos-32's evaluation does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fashionai.datasets.readers.flickrlogos import read_logos
from fashionai.families import LOGOS
from fashionai.predictions.formats import TABLE, PredictedRow, format_of, write_predictions
from tests.support.commands import fashionai
from tests.support.data_trees import write_logos
from tests.support.references import official_figures

PER_BRAND = {"trainset": 2, "valset-logosonly": 3, "testset": 3}
NO_LOGO = {"valset-nologos": 4, "testset": 9}


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small tree of logos."""
    monkeypatch.chdir(tmp_path)
    return write_logos(tmp_path / "logos", PER_BRAND, NO_LOGO, ["adidas", "HP", "ups"])


def answers_of(path: str, *arguments: str) -> dict[str, float]:
    """The figures of a file against the test split; an error is None."""
    labels = ["--labels", "data/train_valid/logos", "--json", "scores.json"]
    assert fashionai("evaluate", "--predictions", path, *labels, *arguments) == 0
    scores = json.loads(Path("scores.json").read_text())
    figures: dict[str, float] = scores["tasks"]["logos"]["answers"]
    return figures


@pytest.mark.parametrize("share", ["0", "0.5"])
def test_a_file_of_predicted_labels_has_the_official_figures(work: Path, share: str) -> None:
    """Whether no-logo was learnt or not: the file does not tell, and need not."""
    prepare = ["--task", "logos", "--data", str(work), "--no-logo-share", share]
    assert fashionai("prepare", *prepare) == 0
    test = [image for image in read_logos(work).images if image.split == "test"]
    truth = [image.label for image in test]
    rng = np.random.default_rng(2)
    answers = [t if rng.random() < 0.6 else rng.choice(["hp", "ups", "no-logo"]) for t in truth]
    lines = [f"{Path(i.source).stem},{a},0.9\n" for i, a in zip(test, answers)]
    Path("answers.csv").write_text("".join(reversed(lines)))
    figures = answers_of("answers.csv")
    expected = official_figures(answers, truth)
    found = figures["precision"], figures["recall"], figures["accuracy"]
    assert found == pytest.approx(expected)
    assert 0.4 < expected[2] < 0.9


def test_a_table_at_a_threshold_scores_as_the_file_of_its_labels(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Probabilities of brands alone, for images of brands and of none."""
    assert fashionai("prepare", "--task", "logos", "--data", str(work), "--no-logo-share", "0") == 0
    source = read_logos(work, no_logo_share=0)
    rng = np.random.default_rng(3)
    rows, names = [], []
    for image in source.images:
        if image.split == "test":
            values = rng.dirichlet(np.full(32, 0.1))
            if image.class_index < 32 and rng.random() < 0.7:
                values[image.class_index] += 1
            names.append(image.source)
            rows.append(PredictedRow(image.source, source.task, values / values.sum()))
    write_predictions(Path("table.csv"), rows, TABLE)
    named = [row._replace(image=Path(row.image).stem) for row in rows]
    write_predictions(Path("answers.csv"), named, threshold=0.6)
    in_table, in_answers = answers_of("table.csv", "--threshold", "0.6"), answers_of("answers.csv")
    assert in_table.pop("threshold") == 0.6
    assert in_answers.pop("threshold") is None
    assert in_table == in_answers
    capsys.readouterr()
    without = ["--predictions", "table.csv", "--labels", "data/train_valid/logos"]
    assert fashionai("evaluate", *without) == 0
    assert "no-logo is left out; --threshold P includes it" in capsys.readouterr().out
    write_predictions(Path("answers.csv"), named[1:], threshold=0.6)
    assert fashionai("evaluate", "--predictions", "answers.csv", *without[2:]) == 2
    error = capsys.readouterr().err
    assert f"has no prediction for 1 row of data/train_valid/logos: {named[0].image}" in error


@pytest.mark.parametrize("form", ["flickrlogos", "table"])
def test_brands_alone_have_no_official_figures(
    work: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    """Without any image of no-logo, precision would be that of another problem."""
    assert fashionai("prepare", "--task", "logos", "--data", str(work), "--no-logo-share", "0") == 0
    source = read_logos(work, no_logo_share=0)
    values = np.full(32, 1 / 32)
    brands = [i for i in source.images if i.split == "test" and i.class_index < 32]
    names = [i.source if form == "table" else Path(i.source).stem for i in brands]
    rows = [PredictedRow(name, source.task, values) for name in names]
    write_predictions(Path("p.csv"), rows, TABLE if form == "table" else format_of(LOGOS))
    arguments = ["--predictions", "p.csv", "--labels", "data/train_valid"]
    threshold = ["--threshold", "0.5"] if form == "table" else []
    assert fashionai("evaluate", *arguments, *threshold) == 2
    assert capsys.readouterr().err == (
        "Error: logos: no rows of no-logo, which the official figures need. "
        "Score the test split, or probabilities without --threshold\n"
    )
