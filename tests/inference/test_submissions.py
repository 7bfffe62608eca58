"""Prediction files: what is written, what is read, which rows belong together."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashionai.errors import FashionAIError
from fashionai.inference.submissions import (
    PredictedRow,
    match_rows,
    read_fashionai,
    write_fashionai,
    write_table,
)
from fashionai.tasks import find_task

SKIRT, PANT = find_task("skirt"), find_task("pant")


def test_the_competitions_file_is_as_the_competition_wants_it(tmp_path: Path) -> None:
    rows = [
        PredictedRow("Images/s/a.jpg", SKIRT, np.array([0.5, 0.25, 0.125, 0.125, 0, 0])),
        PredictedRow("Images/p/b.jpg", PANT, np.array([0, 0, 0, 0, 1 / 3, 2 / 3])),
    ]
    write_fashionai(tmp_path / "s.csv", rows)
    assert (tmp_path / "s.csv").read_bytes().decode() == (
        "Images/s/a.jpg,skirt_length_labels,"
        "0.50000000;0.25000000;0.12500000;0.12500000;0.00000000;0.00000000\n"
        "Images/p/b.jpg,pant_length_labels,"
        "0.00000000;0.00000000;0.00000000;0.00000000;0.33333333;0.66666667\n"
    )
    back = read_fashionai(tmp_path / "s.csv")
    assert [row[:2] for row in back] == [row[:2] for row in rows]
    for written, read in zip(rows, back):
        np.testing.assert_allclose(read.probabilities, written.probabilities, atol=5e-9)


def test_a_table_has_a_column_for_each_class(tmp_path: Path) -> None:
    task = find_task("fashion-mnist")
    probabilities = np.full((2, 10), 0.05)
    probabilities[0, 3] = probabilities[1, 0] = 0.55
    write_table(tmp_path / "t.csv", ["a.png", "b.png"], task, probabilities)
    with open(tmp_path / "t.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert list(rows[0]) == ["path", "class", "probability", *task.classes]
    assert [row["class"] for row in rows] == ["Dress", "T-shirt/top"]
    assert [float(row["probability"]) for row in rows] == [0.55, 0.55]
    assert float(rows[1]["Bag"]) == 0.05


@given(st.permutations([(f"{i}.jpg", "skirt_length_labels") for i in range(6)]))
def test_rows_are_matched_by_identity_not_position(predicted: list[tuple[str, str]]) -> None:
    expected = sorted(predicted)
    positions = match_rows(predicted, expected, ("p.csv", "l.csv"))
    assert [predicted[position] for position in positions] == expected


def test_missing_and_extra_rows_are_counted_and_the_first_listed() -> None:
    rows = [(f"{i}.jpg", "skirt_length_labels") for i in range(9)]
    with pytest.raises(FashionAIError) as error:
        match_rows(rows[:2], rows, ("p.csv", "l.csv"))
    assert str(error.value) == (
        "p.csv has no prediction for 7 rows of l.csv: 2.jpg (skirt_length_labels), "
        "3.jpg (skirt_length_labels), 4.jpg (skirt_length_labels) and 4 more"
    )
    with pytest.raises(FashionAIError, match=r"l\.csv has no label for 1 row of p\.csv: 8\.jpg"):
        match_rows(rows, rows[:8], ("p.csv", "l.csv"))
