"""Which rows a step trains on, against a stream of epochs that is cut by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashionai.config import Config
from fashionai.datasets.prepared.samples import Samples
from fashionai.errors import TrainingError
from fashionai.pipeline.loader import shuffled_indices
from fashionai.training.batches.class_balance import balanced_order
from fashionai.training.batches.plan import BatchPlan
from tests.support.prepared_data import ONE, make_rows

EPOCHS = 7


def imbalanced_samples(count: int) -> Samples:
    """A third of the rows are of a rare class or two."""
    return make_rows([row % 6 // 3 for row in range(count)], [ONE])


def make_plan(rows: int, batch_size: int, devices: int = 1, **data: object) -> BatchPlan:
    config = Config.model_validate(
        {"task": "skirt", "batch_size": batch_size, "seed": 5, "data": data}
    )
    return BatchPlan(config, imbalanced_samples(rows), devices)


def stream(rows: int, sampler: str) -> list[tuple[int, int, int]]:
    """Row, epoch and earlier draws of all that would be shown, epoch after epoch."""
    drawn = []
    for epoch in range(EPOCHS + 1):
        order = (
            balanced_order(imbalanced_samples(rows), 5, epoch)
            if sampler == "balanced"
            else shuffled_indices(rows, 5, epoch)
        )
        seen: Counter[int] = Counter()
        for row in order.tolist():
            drawn.append((row, epoch, seen[row]))
            seen[row] += 1
    return drawn


def shown(plan: BatchPlan, epoch: int) -> list[tuple[int, int, int]]:
    return [tuple(values) for values in np.stack(plan.draws(epoch), axis=1).tolist()]


@given(
    rows=st.integers(1, 40),
    batch_size=st.integers(1, 50),
    sampler=st.sampled_from(["shuffle", "balanced"]),
)
@settings(max_examples=60, deadline=None)
def test_rollover_shows_every_row_of_the_stream_once(rows, batch_size, sampler) -> None:
    plan = make_plan(rows, batch_size, sampler=sampler)
    expected, batch = stream(rows, sampler), min(batch_size, rows)
    start = 0
    for epoch in range(EPOCHS):
        end = (epoch + 1) * rows // batch * batch  # the last full batch that this epoch ends
        assert shown(plan, epoch) == expected[start:end]
        assert plan.steps(epoch) == (end - start) // batch >= 1
        assert plan.first_step(epoch) == start // batch
        start = end


@given(rows=st.integers(1, 40), batch_size=st.integers(1, 50))
@settings(max_examples=30, deadline=None)
def test_discard_leaves_out_the_end_of_every_epoch(rows, batch_size) -> None:
    plan = make_plan(rows, batch_size, last_batch="discard")
    expected, batch = stream(rows, "shuffle"), min(batch_size, rows)
    for epoch in range(EPOCHS):
        start = epoch * rows
        assert shown(plan, epoch) == expected[start : start + rows // batch * batch]
        assert plan.steps(epoch) == rows // batch
        assert plan.first_step(epoch) == epoch * (rows // batch)


@pytest.mark.parametrize(
    ("rows", "batch_size", "devices", "expected"),
    [(10, 4, 1, 4), (10, 4, 2, 8), (10, 8, 2, 10), (11, 8, 2, 10), (11, 8, 4, 8), (3, 64, 3, 3)],
)
def test_every_device_has_the_same_share(rows, batch_size, devices, expected) -> None:
    assert make_plan(rows, batch_size, devices).batch_size == expected


@pytest.mark.parametrize(("rows", "devices"), [(1, 2), (2, 3)])
def test_too_few_rows_are_refused(rows: int, devices: int) -> None:
    with pytest.raises(TrainingError, match=f"found {rows}, expected at least {devices}$"):
        make_plan(rows, 8, devices)
