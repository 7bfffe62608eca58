"""Scores as JSON files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fashionai.files.outputs import json_kind
from fashionai.metrics import overall_scores
from fashionai.scoring.bootstrap import Interval, mean_intervals
from fashionai.scoring.evaluate import TaskEvaluation

# What to_json gives, as a file.
SCORES = json_kind("scores", lambda value: isinstance(value, dict) and {"n", "tasks"} <= set(value))


def to_json(evaluations: Sequence[TaskEvaluation]) -> dict[str, object]:
    """Mean scores at the top level, and the scores and number of rows of each task.

    ``intervals`` has the ends of the 95 % confidence interval of each score.
    """
    scored = [evaluation for evaluation in evaluations if evaluation.scores]
    overall = overall_scores([each.scores for each in scored]) if scored else {}
    tasks = {
        e.name: {
            "n": e.rows,
            **e.scores,
            **_intervals_as_json(e.intervals),
            **({"answers": e.figures._asdict()} if e.figures else {}),
            **_calibration_as_json(e),
        }
        for e in evaluations
    }
    means = mean_intervals([e.resampled for e in scored])
    total = sum(e.rows for e in evaluations)
    return {**overall, **_intervals_as_json(means), "n": total, "tasks": tasks}


def _calibration_as_json(evaluation: TaskEvaluation) -> dict[str, object]:
    """The calibration error, and the figures before and after a run's calibration."""
    if not evaluation.scores:
        return {}
    stages = {figures.stage: figures.to_json() for figures in evaluation.before_and_after}
    error = {"calibration_error": evaluation.calibration_error}
    return {**error, **({"calibration": stages} if stages else {})}


def _intervals_as_json(intervals: Mapping[str, Interval]) -> dict[str, object]:
    ends = {key: list(ends) for key, ends in intervals.items()}
    return {"intervals": ends} if ends else {}
