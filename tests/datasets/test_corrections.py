"""Corrections: what they do to labels, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from fashionai.datasets.corrections import (
    Correction,
    corrected,
    read_corrections,
    write_corrections,
)
from fashionai.datasets.records import DataSet, LabelledImage
from fashionai.errors import DataError
from fashionai.families import find_task
from fashionai.tasks import Task
from tests.support.data_trees import put

TASK = Task("birds", (), ("owl", "tit", "wren"), "table")
HEADER = "path,action,old_label,new_label,reason,date\n"


def data_set(task: Task = TASK, *rows: tuple[str, int, str]) -> DataSet:
    rows = rows or (("a.jpg", 0, "owl"), ("b.jpg", 1, "tit"), ("c.jpg", 2, "wren"))
    images = [LabelledImage(name, Path(name), None, index, text, "") for name, index, text in rows]
    return DataSet(task, images, [])


def labels(of: DataSet) -> list[tuple[str, int, str]]:
    return [(image.source, image.class_index, image.label) for image in of.images]


def test_labels_are_corrected_dropped_and_kept(tmp_path: Path) -> None:
    rows = [
        Correction("b.jpg", "correct", "tit", "wren", "beak, tail", "2030-01-02"),
        Correction("a.jpg", "drop", "owl", "", "", "2030-01-02"),
        Correction("c.jpg", "keep", "wren", "", "", "2030-01-02"),
    ]
    write_corrections(tmp_path / "c.csv", rows)
    placed = read_corrections(tmp_path / "c.csv", TASK)
    assert [each.correction for each in placed] == rows
    assert labels(corrected(data_set(), placed)) == [("b.jpg", 2, "wren"), ("c.jpg", 2, "wren")]


def test_a_label_with_marks_keeps_its_other_marks(tmp_path: Path) -> None:
    task = find_task("skirt")
    row = f"a.jpg,correct,{task.classes[1]},{task.classes[2]},,\n"
    placed = read_corrections(put(tmp_path / "c.csv", HEADER + row), task)
    done = corrected(data_set(task, ("a.jpg", 1, "mynnmn")), placed)
    assert labels(done) == [("a.jpg", 2, "mnynmn")]


def test_of_two_rows_of_an_image_the_one_with_the_old_label_is_corrected(tmp_path: Path) -> None:
    rows = ("a.jpg", 0, "owl"), ("a.jpg", 1, "tit")
    placed = read_corrections(put(tmp_path / "c.csv", f"{HEADER}a.jpg,drop,tit,,,\n"), TASK)
    assert labels(corrected(data_set(TASK, *rows), placed)) == [("a.jpg", 0, "owl")]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.jpg,correct,owl,wern,,", "c.csv:2: new_label is 'wern', which is no class of birds. "
         "Did you mean 'wren'?"),
        ("a.jpg,drop,crow,,,", "c.csv:2: old_label is 'crow', which is no class of birds. "
         "Choose from: owl, tit, wren"),
        ("a.jpg,remove,owl,,,", "c.csv:2: action is 'remove'. Choose from: correct, drop, keep"),
        ("a.jpg,drop,owl,tit,,", "c.csv:2: new_label is 'tit', expected none with the action drop"),
        ("a.jpg,correct,owl,owl,,", "c.csv:2: old_label and new_label are both 'owl'"),
        ("a.jpg,drop,owl", "c.csv:2: found 'a.jpg,drop,owl', expected "
         "path,action,old_label,new_label,reason,date"),
        ("a.jpg,drop,owl,,,\na.jpg,keep,owl,,,",
         "c.csv:3: a.jpg is listed twice, first at c.csv:2"),
        ("d.jpg,drop,owl,,,", "c.csv:2: d.jpg is not an image of birds"),
        ("a.jpg,drop,tit,,,", "c.csv:2: a.jpg has the label 'owl', and old_label is 'tit'. "
         "The label file has changed since: remove this row"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    row: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    put(Path("c.csv"), f"{HEADER}{row}\n")
    with pytest.raises(DataError) as refused:
        corrected(data_set(), read_corrections(Path("c.csv"), TASK))
    assert str(refused.value) == message
