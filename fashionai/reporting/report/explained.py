"""Grad-CAM of mistakes: which pixels speak for the predicted and for the true class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from fashionai.datasets.prepared.samples import read_samples
from fashionai.errors import ConfigError, FashionAIError
from fashionai.reporting.report.results import Result
from fashionai.reporting.report.subjects import Subject
from fashionai.reporting.report.thumbnails import encoded
from fashionai.runs import Run


class Overlay(NamedTuple):
    """An image with colours where pixels speak for a class, as a base64 JPEG."""

    class_index: int
    picture: str


class Explained(NamedTuple):
    """The overlays of rows, by the row. ``problem`` says why there are none, or is empty."""

    overlays: dict[int, list[Overlay]]
    problem: str = ""


def explain_rows(result: Result, rows: Sequence[int], most_bytes: int) -> Explained:
    """Explain the predicted and the true class of rows whose images can be read.

    The first rows are explained, as far as their overlays have at most so many characters in all.
    Each row of a cross-validation is explained by the run that was trained without it. Networks
    that cannot be explained, and weights that cannot be loaded, are a problem and no error.
    """
    rows = [row for row in rows if result.rows.files[row] is not None]
    try:
        found = dict(_explain(result, rows)) if rows else {}
    except FashionAIError as error:
        return Explained({}, error.message)
    except OSError as error:
        return Explained({}, str(error))
    kept: dict[int, list[Overlay]] = {}
    size = 0
    for row in rows:
        size += sum(len(each.picture) for each in found[row])
        if size > most_bytes:
            break
        kept[row] = found[row]
    return Explained(kept)


def _explain(result: Result, rows: Sequence[int]) -> Iterator[tuple[int, list[Overlay]]]:
    # MXNet, which computes the gradients, takes seconds to import.
    from fashionai.predictions.explain import explain_outputs
    from fashionai.reporting.explanations import overlay

    task = result.rows.task
    files = {row: file for row, file in enumerate(result.rows.files) if file is not None}
    for run, own in _by_run(result, rows):
        first = run.columns[list(run.tasks).index(task)].start
        classes = [_classes(result, row) for row in own]
        outputs = [[first + index for index in each] for each in classes]
        explained = explain_outputs(run, [files[row] for row in own], outputs)
        for row, indices, (view, heat) in zip(own, classes, explained):
            pictures = [encoded(overlay(view, each)[..., ::-1]) for each in heat]
            yield row, [Overlay(*pair) for pair in zip(indices, pictures)]


def _classes(result: Result, row: int) -> list[int]:
    """The most probable class and the true one; a held-out background is none."""
    rows = result.rows
    best, truth = int(rows.probabilities[row].argmax()), int(result.truth[row])
    return list(dict.fromkeys([best, truth] if truth < len(rows.task.classes) else [best]))


def _by_run(result: Result, rows: Sequence[int]) -> Iterator[tuple[Run, list[int]]]:
    """The runs with the rows that each of them explains."""
    subject = result.subject
    if not subject.is_cross_validation:
        yield subject.runs[0], list(rows)
        return
    fold_of = _folds(subject)
    folds = {row: fold_of.get(str(result.rows.files[row])) for row in rows}
    if None in folds.values():
        raise ConfigError("the images are not those of the folds")
    for number, run in enumerate(subject.runs):
        own = [row for row in rows if folds[row] == number]
        if own:
            yield run, own


def _folds(subject: Subject) -> dict[str, int]:
    """The number of the fold that validates each file."""
    return {
        str(path): number
        for number, run in enumerate(subject.runs)
        for path in read_samples(run.config, "val").paths
    }
