"""The report as an HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

from fashionai.errors import counted
from fashionai.files import atomic_path
from fashionai.files.outputs import Kind
from fashionai.metrics import SCORE_NAMES, overall_scores
from fashionai.pages import render
from fashionai.reporting.report import meanings
from fashionai.reporting.report.class_figures import class_figures
from fashionai.reporting.report.confusion import confused_pairs, shown_matrix
from fashionai.reporting.report.curves import (
    precision_plot,
    reliability_plot,
    size_plot,
    training_plots,
)
from fashionai.reporting.report.data_set import DataSet, describe_data_set
from fashionai.reporting.report.differences import outcomes, score_differences
from fashionai.reporting.report.listing import list_rows
from fashionai.reporting.report.plot import FRAME
from fashionai.reporting.report.reproduction import environment, reproduction
from fashionai.reporting.report.results import Result, Source, TaskResults
from fashionai.reporting.report.subjects import Subject
from fashionai.scoring.bootstrap import Interval, mean_intervals

# What the first kilobyte of a report has and other pages do not.
MARK = b'<meta name="generator" content="fashionai report">'


def _is_own(path: Path) -> bool:
    try:
        with open(path, "rb") as handle:
            return MARK in handle.read(1024)
    except OSError:
        return False


REPORT = Kind("a report", _is_own)


class OverallScore(NamedTuple):
    """One line of the summary: a task or the mean of all, a run, its rows, mAP and accuracy."""

    task: str
    run: str
    rows: int
    scores: dict[str, float]
    intervals: dict[str, Interval]


def write_report(
    out: Path,
    subjects: Sequence[Subject],
    tasks: Sequence[TaskResults],
    source: Source,
    crops: int,
    command: str,
) -> None:
    """Write the report on these results atomically.

    ``crops`` is the number of views per image, and ``command`` the command line of the report.
    """
    listings = [list_rows(task, len(tasks)) for task in tasks]
    summary = overall(tasks)
    # Of several runs, none stands for all.
    lead = summary[-1] if len(summary) == 1 or not summary[-1].run else None
    page = render(
        "report.html",
        title=f"Report: {', '.join(subject.name for subject in subjects)}",
        mark=MARK.decode(),
        score_names=SCORE_NAMES,
        meanings=meanings,
        summary=summary,
        lead=lead,
        tasks=[_task_values(task, listing) for task, listing in zip(tasks, listings)],
        data=[listing.value for listing in listings],
        training=[(subject, training_plots(subject)) for subject in subjects],
        data_sets=[_data_set_values(task) for task in tasks],
        reproductions=[
            (each, reproduction(each, source, crops, _tasks_of(each, tasks))) for each in subjects
        ],
        changed=[subject for subject in subjects if subject.data_has_changed],
        environment=environment(),
        command=command,
        counted=counted,
        frame=FRAME,
    )
    with atomic_path(out) as temporary:
        # Names of files that are not UTF-8 get escapes, which JSON has as well.
        temporary.write_bytes(page.encode("utf-8", "backslashreplace"))


def _tasks_of(subject: Subject, tasks: Sequence[TaskResults]) -> list[str]:
    """The names of the tasks that the report shows of a run."""
    shown = [(each.task.name, result.subject) for each in tasks for result in each.results]
    return [name for name, each in shown if each.path == subject.path]


def overall(tasks: Sequence[TaskResults]) -> list[OverallScore]:
    """A line for each task and run, and the means over tasks of runs that have several.

    Runs of one task each, such as those of a competition's prediction file, have one mean.
    """
    lines = [_line(task.task.name, result) for task in tasks for result in task.results]
    if len(tasks) == 1:
        return lines
    if all(len(task.results) == 1 for task in tasks):
        return [*lines, _mean([task.results[0] for task in tasks], "")]
    by_run: dict[str, list[Result]] = {}
    for result in (result for task in tasks for result in task.results):
        by_run.setdefault(result.subject.name, []).append(result)
    means = [_mean(found, run) for run, found in by_run.items() if len(found) == len(tasks)]
    return [*lines, *means]


def _line(task: str, result: Result) -> OverallScore:
    found, name = result.evaluation, result.subject.name
    return OverallScore(task, name, found.rows_of_classes, found.scores, found.intervals)


def _mean(results: Sequence[Result], run: str) -> OverallScore:
    found = [result.evaluation for result in results]
    return OverallScore(
        "mean of the tasks",
        run,
        sum(each.rows_of_classes for each in found),
        overall_scores([each.scores for each in found]),
        mean_intervals([each.resampled for each in found]),
    )


def _task_values(task: TaskResults, listing: Any) -> dict[str, Any]:
    """What the template shows of one task."""
    first = task.results[0]
    return {
        "task": task.task,
        "results": [_result_values(result) for result in task.results],
        "precision": precision_plot(task.results),
        "comparisons": [
            {
                "first": first.subject.name,
                "second": other.subject.name,
                "number": number,
                "differences": score_differences(first, other),
                "outcomes": outcomes(first, other),
            }
            for number, other in enumerate(task.results[1:], start=1)
        ],
        "listing": listing,
    }


def _result_values(result: Result) -> dict[str, Any]:
    return {
        "name": result.subject.name,
        "origin": result.origin,
        "evaluation": result.evaluation,
        "threshold": result.threshold,
        "matrix": shown_matrix(result.evaluation.confusion, result.evaluation.labels),
        "pairs": confused_pairs(result.evaluation.confusion),
        "classes": class_figures(result.evaluation),
        "reliability": reliability_plot(result),
    }


def _data_set_values(task: TaskResults) -> dict[str, Any]:
    """The prepared folder of the first run of a task."""
    folder = Path(task.results[0].subject.runs[0].config.data.folder) / task.task.name
    found = describe_data_set(folder, task.task)
    return {"task": task.task, "found": found, "sizes": _size_plot(found)}


def _size_plot(found: DataSet) -> Optional[Any]:
    """The plot of sizes; None where all images have one size, or none is known."""
    sizes = {size for counts in found.sizes.values() for size in counts}
    return size_plot({k: v for k, v in found.sizes.items() if v}) if len(sizes) > 1 else None
