"""Which rows of several files belong together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashionai.errors import FashionAIError
from fashionai.families import find_task
from fashionai.predictions.formats import PredictedRow, write_predictions
from fashionai.scoring.rows.joining import join_files, match_rows
from fashionai.tasks import Task


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
    with pytest.raises(FashionAIError, match=r"b\.csv has no prediction for 1 row of a\.csv: x$"):
        match_rows([("x", "")], [], ("a.csv", "b.csv"), "prediction")


def test_files_are_joined_by_image_and_task_whatever_their_order(tmp_path: Path) -> None:
    """The same image may be asked for two tasks; a dict of what was written is the judge."""
    rng = np.random.default_rng(0)
    skirt, pant = find_task("skirt"), find_task("pant")
    keys = [(f"{i}.jpg", task) for i in range(7) for task in (skirt, pant)]
    written = []
    for name in ("a.csv", "b.csv", "c.csv"):
        order = rng.permutation(len(keys))
        rows = [
            PredictedRow(*keys[at], rng.dirichlet(np.ones(len(keys[at][1].classes))))
            for at in order
        ]
        write_predictions(tmp_path / name, rows)
        written.append({(row.image, row.task.name): row.probabilities for row in rows})
    first = list(written[0])

    joined = join_files([tmp_path / name for name in ("a.csv", "b.csv", "c.csv")])

    assert {part.task for part in joined} == {skirt, pant}
    assert sorted(at for part in joined for at in part.positions) == list(range(14))
    for part in joined:
        for row, (position, image) in enumerate(zip(part.positions, part.images)):
            assert first[position] == (image, part.task.name)
            for file, values in enumerate(written):
                expected = values[image, part.task.name]
                np.testing.assert_allclose(part.probabilities[file, row], expected, atol=1e-8)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("dog", "cat"), "class 0 is dog, not cat"),
        (("cat", "dog", "cow"), "class 2 is cow, not none"),
        (("cat", "fox"), "class 1 is fox, not dog"),
    ],
)
def test_tables_of_other_classes_are_refused(
    tmp_path: Path, classes: tuple[str, ...], message: str
) -> None:
    for name, of_file in (("a.csv", ("cat", "dog")), ("b.csv", classes)):
        values = np.eye(len(of_file))[0]
        row = PredictedRow("1.jpg", Task("pets", (), of_file, "own"), values)
        write_predictions(tmp_path / name, [row])
    with pytest.raises(FashionAIError, match=rf"b\.csv has other classes than .*: {message}$"):
        join_files([tmp_path / "a.csv", tmp_path / "b.csv"])
