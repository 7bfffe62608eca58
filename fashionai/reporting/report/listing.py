"""The images that a page lists, as compact JSON: of many the most telling ones.

A page of a few megabytes cannot list every row of a large split. Rows are listed in this order, as
far as there is room: for each run the most confident mistakes and the least certain images, then
images that only some of the runs get right, then images of every cell of the confusion matrix in
turn, and then all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fashionai.pages import as_json
from fashionai.reporting.report.explained import Explained, explain_rows
from fashionai.reporting.report.results import Result, TaskResults
from fashionai.reporting.report.thumbnails import thumbnails

# What the rows and the thumbnails of all tasks of a page may take, in characters; and the number of
# thumbnails, which take a few seconds to make.
ROW_BYTES, THUMBNAIL_BYTES, MOST_THUMBNAILS = 1_900_000, 2_400_000, 500
# What the overlays of the worst mistakes may take, in characters; and the number of these mistakes.
EXPLANATION_BYTES, WORST = 500_000, 12
# Rows that a page lists of each kind, and correct rows of each class, before all others.
GALLERY, MOST_CORRECT = 48, 12
# Classes whose probabilities are listed for each row.
TOP = 3
# JSON of a row's numbers for one run.
NUMBER_BYTES = 49
# Probabilities are whole numbers of ten-thousandths.
SCALE = 10_000


class Listing(NamedTuple):
    """The listed rows as JSON for the page's program, their number and that of thumbnails.

    ``total`` is the number of all rows. ``explained`` has, for each run, its explained mistakes.
    """

    value: dict[str, Any]
    listed: int
    pictures: int
    total: int
    explained: Sequence[Explained]


def list_rows(task: TaskResults, tasks: int) -> Listing:
    """The listing of one of ``tasks`` tasks that share a page."""
    results, rows = task.results, task.results[0].rows
    names = [str(file or image) for file, image in zip(rows.files, rows.images)]
    chosen = _that_fit(_by_priority(results), names, len(results), ROW_BYTES // tasks)
    limits = MOST_THUMBNAILS // tasks, THUMBNAIL_BYTES // tasks
    pictures = thumbnails([rows.files[at] for at in chosen], *limits)
    numbers = {position: number for number, position in enumerate(pictures)}
    split = [names[at].rpartition("/") for at in chosen]
    folders = {folder: number for number, folder in enumerate(dict.fromkeys(f for f, *_ in split))}
    mistakes = [_worst_mistakes(result, chosen) for result in results]
    most_bytes = EXPLANATION_BYTES // (tasks * len(results))
    explained = [
        explain_rows(result, [int(chosen[at]) for at in own if at in pictures], most_bytes)
        for result, own in zip(results, mistakes)
    ]
    value = {
        "classes": list(results[0].evaluation.labels),
        "folders": list(folders),
        "folder": [folders[folder] for folder, *_ in split],
        "name": [name for *_, name in split],
        "truth": results[0].truth[chosen].tolist(),
        "picture": [numbers.get(at, -1) for at in range(len(chosen))],
        "pictures": list(pictures.values()),
        "runs": [_of_run(*each, chosen) for each in zip(results, mistakes, explained)],
    }
    return Listing(value, len(chosen), len(pictures), len(names), explained)


def _worst_mistakes(result: Result, chosen: np.ndarray) -> list[int]:
    """The positions among the chosen rows of the most confident mistakes, the worst first."""
    wrong = np.flatnonzero(((result.predicted != result.truth) & ~result.accepted)[chosen])
    confidence = result.rows.probabilities[chosen[wrong]].max(axis=1)
    return wrong[np.argsort(-confidence, kind="stable")][:WORST].tolist()


def _of_run(
    result: Result, mistakes: Sequence[int], explained: Explained, chosen: np.ndarray
) -> dict[str, Any]:
    """A run's predictions of the listed rows.

    ``top`` are the most probable classes of a row and ``values`` their probabilities; ``true`` is
    that of the true class, -1 for a held-out background. ``accepted`` and ``mistakes`` are
    positions of rows: those whose predicted class is marked as MAYBE, and the worst mistakes.
    ``overlays`` has, for each of these, classes and pictures.
    """
    probabilities = result.rows.probabilities[chosen]
    top = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]
    scaled = (probabilities * SCALE).round().astype(np.int64)
    of_labels = np.pad(scaled, ((0, 0), (0, 1)), constant_values=-1)
    return {
        "name": result.subject.name,
        "predicted": result.predicted[chosen].tolist(),
        "top": top.tolist(),
        "values": np.take_along_axis(scaled, top, axis=1).tolist(),
        "true": of_labels[np.arange(len(chosen)), result.truth[chosen]].tolist(),
        "accepted": np.flatnonzero(result.accepted[chosen]).tolist(),
        "mistakes": list(mistakes),
        "overlays": [explained.overlays.get(int(chosen[at]), []) for at in mistakes],
    }


def _that_fit(rows: np.ndarray, names: Sequence[str], runs: int, most_bytes: int) -> np.ndarray:
    """The first rows whose JSON has at most so many characters."""
    texts = (as_json(names[row].rpartition("/")[2]) for row in rows.tolist())
    sizes = np.array([len(text.encode("utf-8", "replace")) for text in texts])
    return rows[np.cumsum(sizes + 14 + runs * NUMBER_BYTES) <= most_bytes]


def _by_priority(results: Sequence[Result]) -> np.ndarray:
    """The rows to list, the most telling ones first, ``(n,) int64``."""
    truth = results[0].truth
    parts = []
    correct = []
    for result in results:
        confidence = result.rows.probabilities.max(axis=1)
        right = result.predicted == truth
        mistakes = np.flatnonzero(~right)
        parts.append(mistakes[np.argsort(-confidence[mistakes], kind="stable")][:GALLERY])
        parts.append(np.argsort(confidence, kind="stable")[:GALLERY])
        correct.append(right)
    agree = np.array(correct)
    parts.append(np.flatnonzero(agree.any(axis=0) & ~agree.all(axis=0)))
    parts += [_cells_in_turn(result) for result in results]
    parts.append(np.arange(len(truth)))
    every = np.concatenate(parts)
    _, first = np.unique(every, return_index=True)
    return every[np.sort(first)]


def _cells_in_turn(result: Result) -> np.ndarray:
    """The first row of each cell of the confusion matrix, then the second of each, and so on.

    Wrong rows are ranked by falling confidence. Correct ones are ranked by rising confidence, and
    of each class at most MOST_CORRECT are returned.
    """
    truth, predicted = result.truth, result.predicted
    confidence, right = result.rows.probabilities.max(axis=1), predicted == truth
    cells = truth * len(result.evaluation.labels) + predicted
    order = np.lexsort((np.where(right, confidence, -confidence), cells))
    _, starts, counts = np.unique(cells[order], return_index=True, return_counts=True)
    rank = np.arange(len(order)) - np.repeat(starts, counts)
    kept = ~right[order] | (rank < MOST_CORRECT)
    return order[kept][np.argsort(rank[kept], kind="stable")]
