"""Computes planned predictions, at once or in parts, and writes their file."""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np

from fashionai.frameworks.processes import current_place, is_restarted
from fashionai.predictions.formats import PredictedRow, stream_predictions
from fashionai.predictions.in_parts import (
    compute_parts,
    describe,
    images_per_part,
    is_long,
    wait_for_parts,
)
from fashionai.predictions.parts import Parts, open_parts, parts_folder
from fashionai.predictions.plan import Plan, TaskRows
from fashionai.predictions.predict import predict


def write_planned(
    plan: Plan, out: Path, contexts: list[Any], parts: Optional[Parts] = None, **options: Any
) -> int:
    """Predict all images of a plan and write the prediction file; returns its number of rows.

    With ``parts`` each process computes its own ones, and the first process writes the file when
    all are finished. ``options`` are those of fashionai.predictions.predict.predict.
    """
    count = sum(len(part.positions) for part in plan.parts)
    if parts is None:
        predicted: Sequence[Iterable[np.ndarray]] = predict(plan.requests, contexts, **options)
    else:
        predicted = compute_parts(plan.requests, contexts, parts, **options)
        if not parts.place.is_first:
            return count
        wait_for_parts(parts)
    rows = (_rows(part, values) for part, values in zip(plan.parts, predicted))
    in_order = (row for _, row in heapq.merge(*rows, key=lambda placed: placed[0]))
    tasks = [request.task for request in plan.requests]
    stream_predictions(out, in_order, tasks, plan.format, plan.threshold)
    if parts is not None:
        parts.remove()
    return count


def _rows(
    part: TaskRows, probabilities: Iterable[np.ndarray]
) -> Iterator[tuple[int, PredictedRow]]:
    """The rows of a task with their positions in the file."""
    for position, name, values in zip(part.positions, part.names, probabilities):
        yield position, PredictedRow(name, part.request.task, values)


@contextlib.contextmanager
def open_parts_of(
    plan: Plan,
    out: Path,
    contexts: Sequence[Any],
    *,
    crops: int,
    batch_size: int,
    engine: str,
    resume: bool = False,
    overwrite: bool = False,
) -> Iterator[Optional[Parts]]:
    """The parts of a plan, beside ``out``; None where one process computes a single part.

    Errors as for open_parts, for ``resume`` and, to discard parts, ``overwrite``. Processes that
    their launcher has started again go on: ``overwrite`` then discards other predictions alone.
    """
    resume = resume or is_restarted()
    place, whole_batch = current_place(), batch_size * len(contexts)
    folder = parts_folder(out)
    if place.count == 1 and not is_long(plan.requests, whole_batch):
        yield None
        return
    description = describe(
        plan.requests,
        [part.names for part in plan.parts],
        crops=crops,
        batch_size=whole_batch,
        engine=engine,
    )
    size = images_per_part(whole_batch)
    with open_parts(
        folder, description, place, size=size, resume=resume, discard=overwrite
    ) as parts:
        yield parts
