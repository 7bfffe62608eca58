"""Trainings that are stopped at a chosen moment, and how two runs end."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.training.trainer import Trainer

mx = import_mxnet()


def parameters(path: Path) -> dict[str, np.ndarray]:
    return {name: value.asnumpy() for name, value in mx.nd.load(str(path)).items()}


def history(run: Path) -> list[list[str]]:
    """The rows of history.csv without the columns that tell time."""
    lines = [line.split(",") for line in (run / "history.csv").read_text().splitlines()]
    timeless = [
        i for i, name in enumerate(lines[0]) if name not in ("images_per_second", "seconds")
    ]
    return [[line[i] for i in timeless] for line in lines]


def assert_same_end(one: Path, other: Path) -> None:
    files, others = ({file.name for file in run.glob("*.params")} for run in (one, other))
    assert {"best.params", "last.params"} <= files == others
    for file in files:
        first, second = parameters(one / file), parameters(other / file)
        assert first.keys() == second.keys()
        for name in first:
            assert np.array_equal(first[name], second[name]), f"{file}: {name}"
    assert history(one) == history(other)
    ends = [json.loads((run / "metrics.json").read_text()) for run in (one, other)]
    assert ends[0] | {"seconds": 0} == ends[1] | {"seconds": 0}


class Moment:
    """Sends this process SIGTERM, once, when it has been told ``number`` times to."""

    def __init__(self, number: int) -> None:
        self.left = number

    def pass_by(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGTERM)


def stop_in_step(trainer: Trainer, moment: Moment) -> None:
    step = trainer.learner.step

    def step_and_stop(*arguments: Any) -> Any:
        moment.pass_by()
        return step(*arguments)

    trainer.learner.step = step_and_stop


def stop_in_validation(trainer: Trainer, moment: Moment) -> None:
    """At a batch of a validation: each has two of plain and then two of averaged weights."""
    scores = trainer.learner.scores

    def scores_until_stopped(rows: Any, check: Callable[[], None]) -> dict[str, float]:
        def check_and_stop() -> None:
            moment.pass_by()
            check()

        return scores(rows, check_and_stop)

    trainer.learner.scores = scores_until_stopped
