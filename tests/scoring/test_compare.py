"""Two prediction files side by side, against loops, a worked example and SciPy."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from fashionai.cli.scoring.compare import command
from fashionai.errors import FashionAIError
from fashionai.scoring.compare import (
    Outcomes,
    TaskComparison,
    compare_tasks,
    mcnemar_p_value,
    write_differences,
)
from fashionai.scoring.rows.joining import join_files
from fashionai.scoring.rows.labels import LabelFiles, read_labels
from fashionai.tasks import Task
from tests.support.prepared_data import write_prepared

# Image, A's answer, B's answer, true class; probabilities are 0.6 for the answer, 0.4 for another.
ROWS = [
    ("1.jpg", "cat", "cat", "cat"),
    ("2.jpg", "cat", "cat", "dog"),
    ("3.jpg", "cat", "dog", "cat"),
    ("4.jpg", "dog", "cat", "cow"),
    ("5.jpg", "cow", "dog", "dog"),
    ("6.jpg", "dog", "cow", "cow"),
    ("7.jpg", "dog", "dog", "dog"),
    ("8.jpg", "cow", "cat", "cat"),
]
CLASSES = ["cat", "dog", "cow"]


def write_table(path: Path, answers: list[tuple[str, str]]) -> None:
    lines = ["path,class,probability,cat,dog,cow"]
    for image, answer in answers:
        values = ["0", "0", "0"]
        values[CLASSES.index(answer)] = "0.6"
        values[CLASSES.index(answer) - 1] = "0.4"
        lines.append(",".join([image, answer, "0.6", *values]))
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """a.csv, b.csv with its rows in another order, and prepared labels of all rows but one."""
    write_table(tmp_path / "a.csv", [(image, a) for image, a, _, _ in ROWS])
    write_table(tmp_path / "b.csv", [(image, b) for image, _, b, _ in ROWS[::-1]])
    labelled = [("val", image, CLASSES.index(true), true) for image, _, _, true in ROWS[:-1]]
    write_prepared(tmp_path / "pets", Task("pets", (), tuple(CLASSES), "own"), labelled)
    return tmp_path


def compare(folder: Path, *labels: str) -> TaskComparison:
    joined = join_files([folder / "a.csv", folder / "b.csv"])
    names = "a.csv", ", ".join(labels)
    (compared,) = compare_tasks(
        joined, read_labels(LabelFiles([folder / name for name in labels])), names
    )
    return compared


def test_the_worked_example(pets: Path) -> None:
    compared = compare(pets, "pets")
    assert compared.name == "pets"
    assert compared.differs.tolist() == [a != b for _, a, b, _ in ROWS]
    # A says cat to 1, 2, 3; B to 1, 2, 4, 8. A says dog to 4, 6, 7; B to 3, 5, 7.
    assert [compared.count_predicted(index) for index in range(3)] == [
        (3, 4, 2),
        (3, 3, 1),
        (2, 1, 0),
    ]
    # Right: 1 and 7 both; 3 only A; 5 and 6 only B; 2 and 4 neither; 8 is not labelled.
    assert compared.outcomes() == Outcomes(both=2, only_a=1, only_b=2, neither=2)
    assert compared.outcomes(0) == Outcomes(both=1, only_a=1, only_b=0, neither=0)
    assert compared.outcomes(1) == Outcomes(both=1, only_a=0, only_b=1, neither=1)
    assert compared.outcomes(2) == Outcomes(both=0, only_a=0, only_b=1, neither=1)
    # Of answers that differ by one class: .6 and .4 move, |.6-.4| + |0-.6| + |.4-0| = 1.2.
    assert compared.mean_difference == pytest.approx(5 * 1.2 / (8 * 3))


def test_without_labels_no_prediction_is_correct(pets: Path) -> None:
    compared = compare(pets)
    assert compared.name == "predictions"
    assert compared.outcomes().rows == 0
    assert compared.differs.sum() == 5


def test_a_file_does_not_differ_from_itself_in_another_order(pets: Path) -> None:
    write_table(pets / "b.csv", [(image, a) for image, a, _, _ in ROWS[::-1]])
    compared = compare(pets, "pets")
    assert not compared.differs.any()
    assert compared.mean_difference == 0
    assert compared.outcomes().p_value == 1


def test_the_rows_that_differ_are_written_in_the_order_of_the_first_file(pets: Path) -> None:
    assert write_differences(pets / "d.csv", [compare(pets, "pets")]) == 5
    with open(pets / "d.csv", newline="") as handle:
        written = list(csv.DictReader(handle))
    expected = [(image, a, b, true) for image, a, b, true in ROWS if a != b]
    expected[-1] = (*expected[-1][:3], "")  # 8.jpg has no label
    keys = ("image", "class_a", "class_b", "true_class")
    assert [tuple(row[key] for key in keys) for row in written] == expected
    assert {row["task"] for row in written} == {"pets"}
    assert {row["probability_a"] for row in written} == {"0.60000000"}


def test_labels_of_none_of_the_rows_are_refused(pets: Path) -> None:
    (pets / "label.csv").write_text("Images/a.jpg,skirt_length_labels,ynnnnn\n")
    with pytest.raises(FashionAIError, match=r"^label\.csv has no label for any row of a\.csv, "):
        compare(pets, "label.csv")


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_p_value_is_that_of_the_binomial_test(only_a: int, only_b: int) -> None:
    expected = 1.0
    if only_a + only_b:
        expected = scipy.stats.binomtest(only_a, only_a + only_b, 0.5).pvalue
    assert mcnemar_p_value(only_a, only_b) == pytest.approx(expected, rel=1e-9)


def test_the_p_value_of_many_rows_is_exact() -> None:
    expected = scipy.stats.binomtest(4900, 10_000, 0.5).pvalue
    assert mcnemar_p_value(4900, 5100) == pytest.approx(expected, rel=1e-9)
    expected = scipy.stats.binomtest(49_000, 100_000, 0.5).pvalue
    assert mcnemar_p_value(51_000, 49_000) == pytest.approx(expected, rel=1e-9)
    assert mcnemar_p_value(50_000, 50_000) == 1
    assert mcnemar_p_value(0, 5000) == 0


def write_submission(path: Path, seed: int, rows: list[tuple[str, str]]) -> None:
    rng = np.random.default_rng(seed)
    lines = []
    for image, task in rows:
        values = rng.dirichlet(np.ones(6))
        lines.append(f"{image},{task},{';'.join(f'{value:.8f}' for value in values)}")
    path.write_text("\n".join(lines) + "\n")


def test_the_tables_fit_and_count_what_a_spreadsheet_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [
        (f"Images/{i}.jpg", f"{kind}_length_labels")
        for i in range(40)
        for kind in ("skirt", "pant")
    ]
    write_submission(Path("a.csv"), 1, rows)
    write_submission(Path("b.csv"), 2, rows)
    rng = np.random.default_rng(3)
    truth = rng.integers(6, size=80)
    labels = ["".join("y" if c == true else "n" for c in range(6)) for true in truth]
    Path("l.csv").write_text(
        "".join(f"{image},{task},{label}\n" for (image, task), label in zip(rows, labels))
    )
    done = CliRunner().invoke(
        command, ["a.csv", "b.csv", "--labels", "l.csv", "--out", "d.csv"], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert all(len(line) <= 80 for line in lines)

    answers = []
    for name in ("a.csv", "b.csv"):
        with open(name, newline="") as handle:
            values = [list(map(float, row[2].split(";"))) for row in csv.reader(handle)]
        answers.append([row.index(max(row)) for row in values])
    a_right, b_right = ([x == y for x, y in zip(given, truth)] for given in answers)
    differing = sum(x != y for x, y in zip(*answers))
    counts = [
        sum(pair == wanted for pair in zip(a_right, b_right))
        for wanted in ((True, True), (True, False), (False, True), (False, False))
    ]
    p_value = scipy.stats.binomtest(counts[1], counts[1] + counts[2]).pvalue
    totals = [line.split() for line in lines if line.startswith("all ")]
    assert totals[0] == ["all", "80", str(differing), f"{100 * differing / 80:.2f}%"]
    assert totals[1] == ["all", "80", *map(str, counts), f"{p_value:.4f}"]
    assert f"d.csv: {differing} rows" in lines
    headings = [" ".join(line.split()) for line in lines]
    assert "correct labelled both correct only A only B neither p" in headings
    with open("d.csv", newline="") as handle:
        assert len(list(csv.DictReader(handle))) == differing
