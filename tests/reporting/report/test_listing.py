"""Which images a page lists, and that it stays small."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fashionai.pages import as_json
from fashionai.reporting.report.listing import GALLERY, MOST_CORRECT, ROW_BYTES, WORST, list_rows
from fashionai.tasks import Task
from tests.support.report_pages import make_results

TASK = Task("four", (), tuple("abcd"), "table")


def test_all_mistakes_are_listed_where_there_is_room(tmp_path: Path) -> None:
    results = make_results(tmp_path, TASK, 500, [0.7, 0.5])
    listing = list_rows(results, 1)
    value = listing.value
    rows = [int(name.removesuffix(".jpg")) for name in value["name"]]
    assert len(set(rows)) == len(rows) == listing.listed
    for found, result in zip(value["runs"], results.results):
        probabilities, truth = result.rows.probabilities, result.rows.marks.argmax(axis=1)
        wrong = np.flatnonzero(probabilities.argmax(axis=1) != truth)
        assert set(wrong) <= set(rows)
        assert set(np.argsort(probabilities.max(axis=1), kind="stable")[:GALLERY]) <= set(rows)
        top = np.array(found["top"])
        np.testing.assert_array_equal(top[:, 0], probabilities[rows].argmax(axis=1))
        np.testing.assert_array_equal(found["predicted"], top[:, 0])
        worst = wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")]
        assert [rows[at] for at in found["mistakes"]] == worst[:WORST].tolist()
        expected = np.sort(probabilities[rows], axis=1)[:, ::-1][:, : top.shape[1]]
        np.testing.assert_allclose(np.array(found["values"]) / 10_000, expected, atol=5.1e-5)
        np.testing.assert_array_equal(
            found["true"], (probabilities[rows, truth[rows]] * 10_000).round()
        )
    np.testing.assert_array_equal(value["truth"], truth[rows])


def test_correct_images_of_each_class_come_before_all_others(tmp_path: Path) -> None:
    value = list_rows(make_results(tmp_path, TASK, 2000, [1.0]), 1).value
    first = np.bincount(value["truth"][: 4 * MOST_CORRECT + GALLERY], minlength=4)
    assert (first >= MOST_CORRECT).all()
    assert len(value["name"]) == 2000


def test_every_cell_has_an_image_before_any_has_many(tmp_path: Path) -> None:
    # Names so long that few rows fit.
    names = [f"{row:06d}{'x' * 4000}.jpg" for row in range(4000)]
    listing = list_rows(make_results(tmp_path, TASK, 4000, [0.5], names), 1)
    assert listing.listed < 2000
    predicted = np.array(listing.value["runs"][0]["top"])[:, 0]
    cells = set(zip(listing.value["truth"], predicted.tolist()))
    assert len(cells) == 16
    assert len(as_json(listing.value["name"])) < ROW_BYTES
