"""Label files of the user's own that predictions are scored with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fashionai.datasets.readers.label_list import read_label_list
from fashionai.errors import FashionAIError
from tests.support.commands import fashionai

LABELS = ("cat", "dog", "none")


@pytest.mark.parametrize(
    "text",
    [
        "path,label\na/1.jpg,dog\n2.jpg,cat\n",
        "a/1.jpg,dog\n2.jpg,cat\n",
        "\ufeffclass;note;file name\ndog;x;a/1.jpg\ncat;y;2.jpg\n",
        "a/1.jpg\t1\n2.jpg\t0\n",
        "id,has_cactus\na/1.jpg,1\n2.jpg,0\n",
    ],
)
def test_rows_are_paths_and_labels(tmp_path: Path, text: str) -> None:
    (tmp_path / "l.csv").write_text(text, encoding="utf-8")
    rows = read_label_list(tmp_path / "l.csv", LABELS, ["hascactus"])
    assert [row[:2] for row in rows] == [("a/1.jpg", 1), ("2.jpg", 0)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\na.jpg,cow\n", "l.csv:2: unknown label 'cow'"),
        ("path,label\na.jpg,3\n", "l.csv:2: unknown label '3'"),
        ("path,label\na.jpg\n", "l.csv:2: found 1 field, expected 2"),
        ("path,label\n", "l.csv: no rows below its header"),
        (
            "a.jpg,cat,x\n",
            "l.csv:1: cannot tell without a header which columns hold paths and .*: a.jpg, cat, x",
        ),
        ("a.jpg\n", "l.csv:1: found one field"),
    ],
)
def test_what_names_no_label_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "l.csv").write_text(text)
    with pytest.raises(FashionAIError, match=message):
        read_label_list(tmp_path / "l.csv", LABELS)


def test_a_table_is_scored_with_ones_own_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three of four right, counted by hand."""
    monkeypatch.chdir(tmp_path)
    Path("p.csv").write_text(
        "path,class,probability,cat,dog\n"
        "a,cat,.9,.9,.1\nb,cat,.8,.8,.2\nc,dog,.7,.3,.7\nd,dog,.6,.4,.6\n"
    )
    Path("l.csv").write_text("path,label\nd,dog\nc,dog\nb,dog\na,cat\n")
    command = ["evaluate", "--predictions", "p.csv", "--labels", "l.csv", "--json", "s.json"]
    assert fashionai(*command) == 0
    scores = json.loads(Path("s.json").read_text())
    assert (scores["accuracy"], scores["n"], list(scores["tasks"])) == (0.75, 4, ["p"])
