"""Prediction files: what is written, and what is read of any format."""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fashionai.errors import FashionAIError
from fashionai.families import CACTUS, COVERS, FASHIONAI_TASKS, LOGOS, find_task
from fashionai.files.formats.text_files import RARE_LETTERS
from fashionai.predictions.formats import (
    TABLE,
    PredictedRow,
    format_of,
    image_names,
    read_predicted_labels,
    read_predictions,
    source_names,
    write_predictions,
)
from fashionai.scoring.rows.labels import task_in
from fashionai.tasks import Task

SKIRT, PANT = find_task("skirt"), find_task("pant")
# One's own names: anything that people type, as files strip blanks at both ends. A file that has
# rare letters alone is taken for Chinese, which has the same bytes, and a line tells that.
LETTERS = st.characters(exclude_categories=["C", "Z"], exclude_characters=RARE_LETTERS)
NAMES = st.text(LETTERS | st.sampled_from(' ,;"'), min_size=1)
NAMES = NAMES.map(str.strip).filter(bool)


@st.composite
def probabilities(draw: st.DrawFn, classes: int) -> np.ndarray:
    """Probabilities on a coarse grid, so that ties and thirds occur."""
    counts = draw(st.lists(st.integers(0, 3), min_size=classes, max_size=classes).filter(any))
    return np.array(counts) / sum(counts)


@st.composite
def tables(draw: st.DrawFn) -> list[PredictedRow]:
    classes = draw(st.lists(NAMES, min_size=2, max_size=5, unique=True))
    task = Task("flowers", ("f",), tuple(classes), "own")
    images = draw(st.lists(NAMES, min_size=1, max_size=6, unique=True))
    return [PredictedRow(image, task, draw(probabilities(len(classes)))) for image in images]


@st.composite
def submissions(draw: st.DrawFn) -> list[PredictedRow]:
    keys = draw(
        st.lists(st.tuples(NAMES, st.sampled_from(FASHIONAI_TASKS)), min_size=1, unique=True)
    )
    return [PredictedRow(*key, draw(probabilities(len(key[1].classes)))) for key in keys]


@st.composite
def answers_of_two_classes(draw: st.DrawFn) -> list[PredictedRow]:
    task = draw(st.sampled_from([CACTUS, COVERS]))
    images = draw(st.lists(NAMES, min_size=1, max_size=6, unique=True))
    return [PredictedRow(image, task, draw(probabilities(2))) for image in images]


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(tables() | submissions() | answers_of_two_classes())
def test_what_is_written_is_read_back_to_eight_digits(
    tmp_path: Path, rows: list[PredictedRow]
) -> None:
    write_predictions(tmp_path / "p.csv", rows)
    back = read_predictions(tmp_path / "p.csv")
    assert [row.image for row in back] == [row.image for row in rows]
    assert [row.task.classes for row in back] == [row.task.classes for row in rows]
    for written, read in zip(rows, back):
        assert read.task == task_in(format_of(written.task), written.task)
        assert read.task.name == ("" if written.task.family == "own" else written.task.name)
        for before, after in zip(written.probabilities.tolist(), read.probabilities.tolist()):
            assert math.isclose(before, after, abs_tol=5.1e-9)
    write_predictions(tmp_path / "again.csv", back)
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "p.csv").read_bytes()


def test_the_competitions_file_is_as_the_competition_wants_it(tmp_path: Path) -> None:
    rows = [
        PredictedRow("Images/s/a.jpg", SKIRT, np.array([0.5, 0.25, 0.125, 0.125, 0, 0])),
        PredictedRow("Images/p/b.jpg", PANT, np.array([0, 0, 0, 0, 1 / 3, 2 / 3])),
    ]
    write_predictions(tmp_path / "s.csv", rows)
    assert (tmp_path / "s.csv").read_bytes().decode() == (
        "Images/s/a.jpg,skirt_length_labels,"
        "0.50000000;0.25000000;0.12500000;0.12500000;0.00000000;0.00000000\n"
        "Images/p/b.jpg,pant_length_labels,"
        "0.00000000;0.00000000;0.00000000;0.00000000;0.33333333;0.66666667\n"
    )


def test_a_table_has_a_column_for_each_class(tmp_path: Path) -> None:
    task = find_task("fashion-mnist")
    values = np.full((2, 10), 0.05)
    values[0, 3] = values[1, 0] = 0.55
    rows = [PredictedRow(image, task, row) for image, row in zip(("a.png", "b.png"), values)]
    write_predictions(tmp_path / "t.csv", rows)
    with open(tmp_path / "t.csv", newline="") as handle:
        read = list(csv.DictReader(handle))
    assert list(read[0]) == ["path", "class", "probability", *task.classes]
    assert [row["class"] for row in read] == ["Dress", "T-shirt/top"]
    assert [float(row["probability"]) for row in read] == [0.55, 0.55]
    assert float(read[1]["Bag"]) == 0.05


def test_the_class_of_a_table_is_the_first_of_those_that_rounding_made_equal(
    tmp_path: Path,
) -> None:
    """Else a spreadsheet that looks for the largest column would find another class."""
    task = Task("pets", (), ("cat", "dog"), "own")
    values = np.array([0.5 - 1e-10, 0.5 + 1e-10])
    write_predictions(tmp_path / "t.csv", [PredictedRow("a.jpg", task, values)])
    assert "a.jpg,cat,0.50000000,0.50000000,0.50000000" in (tmp_path / "t.csv").read_text()


def test_a_threshold_decides_the_class_of_a_table(tmp_path: Path) -> None:
    task = Task("pets", (), ("cat", "dog"), "own")
    rows = [
        PredictedRow(f"{dog}.jpg", task, np.array([1 - dog, dog])) for dog in (0.1, 0.3, 0.31, 0.9)
    ]
    write_predictions(tmp_path / "t.csv", rows, threshold=0.3)
    with open(tmp_path / "t.csv", newline="") as handle:
        written = list(csv.DictReader(handle))
    assert [row["class"] for row in written] == ["cat", "cat", "dog", "dog"]
    assert [row["probability"] for row in written] == [row[row["class"]] for row in written]
    # Only a decision that the probabilities do not show is kept apart from them.
    assert [row.class_index for row in read_predictions(tmp_path / "t.csv")] == [
        None,
        None,
        1,
        None,
    ]


def test_a_table_holds_one_task(tmp_path: Path) -> None:
    half = np.array([0.5, 0.5])
    rows = [PredictedRow("a", Task(name, (), ("x", "y"), "own"), half) for name in ("one", "two")]
    with pytest.raises(FashionAIError, match="the rows of one task, found one, two"):
        write_predictions(tmp_path / "t.csv", rows)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,class,probability,cat,dog\n", "no rows below its header"),
        (
            "path,class,probability,cat\na,cat,1,1\n",
            "1: found columns path,class,probability,cat, ",
        ),
        ("path,class,probability,cat,cat\na,cat,1,1,0\n", "two or more distinct classes"),
        ("path,class,probability,cat,\na,cat,1,1,0\n", "two or more distinct classes"),
        ("path,class,probability,cat,dog\na,cat,1,1\n", "2: found 4 fields, expected 5"),
        (
            "path,class,probability,cat,dog\na,dog,1,1,0\n",
            "2: probability is .1., but .* 0",
        ),
        ("path,class,probability,cat,dog\na,cow,1,1,0\n", "2: class is 'cow', but .* of 'cat'"),
        ("path,class,probability,cat,dog\na,cat,.9,.8,.2\n", "2: probability is '.9', but .* 0.8"),
        ("path,class,probability,cat,dog\na,cat,x,.8,.2\n", "2: probability is 'x', but .* 0.8"),
        ("path,class,probability,cat,dog\na,cat,nan,.8,.2\n", "2: probability is 'nan', but"),
        ("path,class,probability,cat,dog\na,cat,.8,.8,.3\n", "2: probabilities sum to 1.1"),
        ("path,class,probability,cat,dog\na,cat,2,2,-1\n", "2: found 2;-1, expected prob"),
        ("path,class,probability,cat,dog\na,cat,.8,.8,\n", "2: found .8;, expected numbers"),
        ("path,class,probability,cat,dog\n,cat,.8,.8,.2\n", "2: no image path"),
        (
            "path,class,probability,cat,dog\na,cat,1,1,0\n\na,dog,1,0,1\n",
            r"4: a was already predicted at .*t\.csv:2",
        ),
        (
            "image,label\na.jpg,cat\n",
            "1: not a prediction file, expected one of: a header path,class,p.*; rows image,task",
        ),
        ("a.jpg,skirt,0.5;0.5;0\n", "1: found 3 probabilities, expected 6"),
        ("a.jpg,0.5;0.5;0;0;0;0\n", "1: found 2 fields, expected image,task,p0;p1;..."),
        ("id,has_cactus\n", "no rows below its header"),
        ("id,has_cactus\na.jpg\n", "2: found 1 field, expected id,has_cactus"),
        ("id,has_cactus\na.jpg,1.1\n", "2: found 1.1, expected probabilities from 0 to 1"),
        ("id,has_cactus\na.jpg,nan\n", "2: found nan, expected probabilities from 0 to 1"),
        ("id,has_cactus\na.jpg,yes\n", "2: found yes, expected numbers"),
        ("file,probability,is_cat\na.jpg,.4\n", "2: found 2 fields, expected file,probability"),
        ("file,probability,is_cat\na.jpg,.4,no\n", "2: is_cat is 'no', expected 0 or 1"),
        (
            "file,probability,is_cat\na,.4,0\nb,.6,1\nc,.3,1\n",
            r"4: is_cat is 0 where the probability of 1 is 0.4 \(.*:2\) and 1 .* 0.3 \(.*:4\)",
        ),
        (
            "1234,adidas,0.5\n",
            "holds one class per row, not the probabilities of all classes. .* --format table",
        ),
    ],
)
def test_a_malformed_file_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(FashionAIError, match=message):
        read_predictions(tmp_path / "t.csv")


def test_cacti_get_the_probability_of_class_one(tmp_path: Path) -> None:
    rows = [PredictedRow("b.jpg", CACTUS, np.array([0.25, 0.75]))]
    rows.append(PredictedRow("a.jpg", CACTUS, np.array([2 / 3, 1 / 3])))
    write_predictions(tmp_path / "c.csv", rows)
    assert (tmp_path / "c.csv").read_text() == (
        "id,has_cactus\nb.jpg,0.75000000\na.jpg,0.33333333\n"
    )


@pytest.mark.parametrize(("threshold", "answers"), [(None, "011"), (0.5, "011"), (0.75, "001")])
def test_a_cover_is_a_cat_above_the_threshold(
    tmp_path: Path, threshold: float | None, answers: str
) -> None:
    """Above, not at it: DATASETS' rule is that the probability exceeds 0.5."""
    values = (0.5, 0.75, 0.9)
    rows = [PredictedRow(f"{v}.jpg", COVERS, np.array([1 - v, v])) for v in values]
    write_predictions(tmp_path / "c.csv", rows, threshold=threshold)
    lines = [f"{v}.jpg,{v:.8f},{answer}\n" for v, answer in zip(values, answers)]
    assert (tmp_path / "c.csv").read_text() == "file,probability,is_cat\n" + "".join(lines)


BRANDS = Task("logos", (), LOGOS.classes[:-1], "flickrlogos", "no-logo")


def logo_rows(task: Task, *bests: tuple[str, float]) -> list[PredictedRow]:
    """A row whose best class has that probability, the others sharing the rest."""
    rows = []
    for number, (label, best) in enumerate(bests):
        values = np.full(len(task.classes), (1 - best) / (len(task.classes) - 1))
        values[task.classes.index(label)] = best
        rows.append(PredictedRow(str(number), task, values))
    return rows


def test_logos_get_one_class_in_lower_case(tmp_path: Path) -> None:
    write_predictions(tmp_path / "l.csv", logo_rows(LOGOS, ("HP", 0.5), ("no-logo", 0.9)))
    assert (tmp_path / "l.csv").read_text() == "0,hp,0.50000000\n1,no-logo,0.90000000\n"
    rows = read_predicted_labels(tmp_path / "l.csv")
    assert rows is not None
    assert [(row.image, row.label, row.confidence) for row in rows] == [
        ("0", "HP", 0.5),
        ("1", "no-logo", 0.9),
    ]


def test_below_the_threshold_there_is_no_logo(tmp_path: Path) -> None:
    """At it there is a brand: the threshold is the least that a brand needs."""
    rows = logo_rows(BRANDS, ("HP", 0.5), ("aldi", 0.25), ("ups", 0.125))
    write_predictions(tmp_path / "l.csv", rows, threshold=0.25)
    assert (tmp_path / "l.csv").read_text() == (
        "0,hp,0.50000000\n1,aldi,0.25000000\n2,no-logo,0.87500000\n"
    )
    write_predictions(tmp_path / "l.csv", rows)
    assert "no-logo" not in (tmp_path / "l.csv").read_text()


@pytest.mark.parametrize(
    ("task", "as_table", "message"),
    [
        (LOGOS, False, "logos learns 33 classes, expected two classes or a held-out background"),
        (SKIRT, False, "skirt_length_labels learns 6 classes, expected two classes"),
        (CACTUS, False, "has no effect, because this prediction file holds probabilities"),
        (BRANDS, True, "has no effect, because this prediction file holds probabilities"),
    ],
)
def test_a_threshold_that_decides_nothing_is_refused(
    tmp_path: Path, task: Task, as_table: bool, message: str
) -> None:
    values = np.full(len(task.classes), 1 / len(task.classes))
    with pytest.raises(FashionAIError, match=f"--threshold: {message}"):
        write_predictions(
            tmp_path / "t.csv",
            [PredictedRow("a", task, values)],
            TABLE if as_table else None,
            threshold=0.5,
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,adidsa,0.5", "2: unknown class 'adidsa'. Did you mean 'adidas'"),
        ("1,adidas,2", "2: found 2, expected probabilities from 0 to 1"),
        ("1,adidas", "2: found 2 fields, expected file,class,confidence"),
        ("0,aldi,0.5", r"2: 0 was already predicted at .*l\.csv:1"),
    ],
)
def test_a_malformed_row_of_predicted_labels_is_refused(
    tmp_path: Path, line: str, message: str
) -> None:
    (tmp_path / "l.csv").write_text(f"0,adidas,0.5\n{line}\n")
    with pytest.raises(FashionAIError, match=message):
        read_predicted_labels(tmp_path / "l.csv")


@pytest.mark.parametrize("decimals", [2, 3, 5])
@pytest.mark.parametrize("classes", [2, 6, 40])
def test_what_rounding_explains_is_accepted(tmp_path: Path, decimals: int, classes: int) -> None:
    rng = np.random.default_rng(classes)
    path = tmp_path / "p.csv"
    names = [f"c{number}" for number in range(classes)]
    for _ in range(50):
        values = rng.dirichlet(np.ones(classes)).round(decimals)
        best = int(values.argmax())
        numbers = ",".join(f"{value:.{decimals}f}" for value in values)
        header = f"path,class,probability,{','.join(names)}"
        path.write_text(f"{header}\na,{names[best]},{values[best]:.2f},{numbers}\n")
        assert np.array_equal(read_predictions(path)[0].probabilities, values)


@pytest.mark.parametrize("values", ["0.33,0.33,0.32", "0.340,0.340,0.322", "1,0,1", "0.5,0.4,0.3"])
def test_what_rounding_does_not_explain_is_refused(tmp_path: Path, values: str) -> None:
    best = max(values.split(","), key=float)
    path = tmp_path / "p.csv"
    path.write_text(f"path,class,probability,a,b,c\nx,a,{best},{values}\n")
    with pytest.raises(FashionAIError, match="probabilities sum to"):
        read_predictions(path)


@pytest.mark.parametrize("other", [" a\u0301.jpg", "\xe1.jpg "])
def test_names_that_readers_do_not_tell_apart_are_refused(other: str) -> None:
    task = Task("flowers", (), ("a", "b"), "own")
    for names in (image_names, source_names):
        with pytest.raises(FashionAIError, match="have the same name in prediction files"):
            names(TABLE, task, ["\xe1.jpg", "b.jpg", other])


def test_names_that_are_not_text_are_refused_before_a_file_is_written() -> None:
    name = os.fsdecode(b"\xb9\xb7.jpg")
    task = Task("flowers", (), ("a", "b"), "own")
    for names in (image_names, source_names):
        with pytest.raises(FashionAIError) as caught:
            names(TABLE, task, ["a.jpg", name])
        assert str(caught.value) == (
            r"flowers: the name of \xb9\xb7.jpg is not UTF-8 text. Rename it"
        )
