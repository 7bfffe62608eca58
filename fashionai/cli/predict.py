"""fashionai predict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import click

from fashionai.cli.options import (
    OutputFile,
    PredictionSettings,
    left_out,
    overwrite_option,
    prediction_options,
    runs_option,
    skip_bad_option,
)
from fashionai.cli.progress import log_to_terminal, progress_bar
from fashionai.datasets.names import SPLITS
from fashionai.errors import counted
from fashionai.files.default_folders import DATA_FOLDER

if TYPE_CHECKING:
    from fashionai.runs import Run
    from fashionai.tasks import Task

EPILOG = """
\b
Examples:
  fashionai predict --out submission.csv
  fashionai predict --out b.csv --questions data/z_rank/Tests/question.csv
  fashionai predict --out s.csv --task skirt --run runs/a --run runs/b
  fashionai predict --out val.csv --run runs/skirt --split val
  fashionai predict --out cacti.csv --task cactus --data data/cactus
  fashionai predict --out birds.csv --run runs/birds --questions photos
"""


@click.command(epilog=EPILOG)
@click.option(
    "--out",
    type=OutputFile(),
    required=True,
    help="Prediction file to write.",
)
@click.option("--data", type=click.Path(path_type=Path), default=DATA_FOLDER, help="Data folder.")
@click.option(
    "--questions",
    type=click.Path(path_type=Path),
    help="Images to predict: a competition's question file, or a folder, list or CSV of images.  "
    "[default: the competition's file below DATA, such as DATA/rank/Tests/question.csv]",
)
@click.option("--path-column", help="Name or number of the column of paths in a CSV.")
@click.option(
    "--task", "task_names", multiple=True, help="Predict only this task; may be repeated."
)
@runs_option
@click.option(
    "--split",
    type=click.Choice(SPLITS),
    help="Predict a prepared split instead of a question file.",
)
@click.option(
    "--format",
    "layout",
    type=click.Choice(["competition", "table"]),
    default="competition",
    help="competition: the file that the data set's competition wants. "
    "table: one column per class.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    help="With a held-out background: predict the background where no class reaches this "
    "probability. With two classes: predict the second class where its probability exceeds it.  "
    "[default: 0.5 for two classes]",
)
@skip_bad_option
@overwrite_option
@prediction_options
def command(
    out: Path,
    data: Path,
    questions: Optional[Path],
    path_column: Optional[str],
    task_names: tuple[str, ...],
    run_paths: tuple[Path, ...],
    split: Optional[str],
    layout: str,
    threshold: Optional[float],
    skip_bad: bool,
    overwrite: bool,
    settings: PredictionSettings,
) -> None:
    """Write a prediction file, with probabilities averaged over crops and runs.

    The rows are in the order of the question file, or sorted by name for a folder.
    """
    from fashionai.predictions.plan import WantedFile, plan_file, write_planned

    if split is not None and questions is not None:
        raise click.UsageError("--questions and --split exclude each other")
    if split is not None and skip_bad:
        raise click.UsageError("--skip-bad and --split exclude each other: prepare checks images")
    if questions is None and path_column is not None:
        raise click.UsageError("--path-column goes with --questions")
    log_to_terminal()
    wanted = WantedFile(
        *(out, run_paths, task_names, data, questions, path_column, split),
        as_table=layout == "table",
        threshold=threshold,
    )
    leave_out = left_out if skip_bad else None
    plan = plan_file(wanted, progress_bar, overwrite=overwrite, leave_out=leave_out)
    for task, _, runs in (part.request for part in plan.parts):
        _print_runs(task, runs)
        if task.holds_out_background and threshold is None and layout == "competition":
            click.echo(
                f"every image gets one of the classes: --threshold P also predicts "
                f"{task.background}"
            )
    devices = settings.contexts()
    with progress_bar(f"{settings.crops} crops", plan.images) as advance:
        rows = write_planned(plan, out, devices, progress=advance, **settings.options)
    click.echo(f"{out}: {counted(rows, 'row')}")


def _print_runs(task: Task, runs: Sequence[Run]) -> None:
    for run in runs:
        metrics = run.metrics
        score = metrics.get("tasks", {}).get(task.name, {}).get("map")
        validation = f"validation mAP {score:.4f}" if score is not None else "no validation mAP"
        averaged = run.weights_file == run.folder.best_averaged_parameters
        weights = ", averaged weights" if averaged else ""
        epoch = metrics.get("best_epoch", "?")
        click.echo(f"{task.name}: {run} ({validation}, epoch {epoch}{weights})")
