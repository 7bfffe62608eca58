"""fashionai predict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import click

from fashionai.cli.options import (
    OutputFile,
    PredictionSettings,
    left_out,
    prediction_options,
    runs_option,
    share_between_gpus,
    skip_bad_option,
)
from fashionai.cli.progress import log_to_terminal, progress_bar
from fashionai.datasets.names import SPLITS
from fashionai.errors import counted
from fashionai.files.default_folders import DATA_FOLDER

if TYPE_CHECKING:
    from fashionai.frameworks.processes import Place
    from fashionai.predictions.plan import Plan
    from fashionai.predictions.soundness import LeaveOut
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
  torchrun --nproc-per-node 4 -m -- fashionai predict --out submission.csv
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
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with the finished parts of a long prediction that was interrupted.",
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace an existing file that this command did not write, and discard finished "
    "parts of an interrupted prediction.",
)
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
    resume: bool,
    overwrite: bool,
    settings: PredictionSettings,
) -> None:
    """Write a prediction file, with probabilities averaged over crops and runs.

    The rows are in the order of the question file, or sorted by name for a folder.
    More than 1,024 images are predicted in parts, which lie beside OUT in a hidden folder
    until all are finished.
    """
    from fashionai.frameworks.processes import current_place
    from fashionai.predictions.plan import (
        WantedFile,
        open_parts_of,
        plan_file,
        without_bad_images,
        write_planned,
    )

    if split is not None and questions is not None:
        raise click.UsageError("--questions and --split exclude each other")
    if split is not None and skip_bad:
        raise click.UsageError("--skip-bad and --split exclude each other: prepare checks images")
    if questions is None and path_column is not None:
        raise click.UsageError("--path-column goes with --questions")
    if resume and overwrite:
        raise click.UsageError("--resume and --overwrite exclude each other")
    if current_place().is_first:
        log_to_terminal()
    wanted = WantedFile(
        *(out, run_paths, task_names, data, questions, path_column, split),
        as_table=layout == "table",
        threshold=threshold,
    )
    plan = plan_file(wanted, overwrite=overwrite)
    chosen = settings.chosen()
    if share_between_gpus(chosen.contexts):
        return
    options: dict[str, Any] = {**settings.options, "engine": chosen.engine}
    with open_parts_of(
        plan, out, chosen.contexts, **options, resume=resume, overwrite=overwrite
    ) as parts:
        if split is None:
            leave_out = _left_out_by(current_place()) if skip_bad else None
            plan = without_bad_images(plan, progress_bar, leave_out, parts)
        if current_place().is_first:
            _print_plan(plan, layout)
        with progress_bar(counted(settings.crops, "crop"), plan.images) as advance:
            rows = write_planned(plan, out, chosen.contexts, parts, progress=advance, **options)
    if current_place().is_first:
        click.echo(f"{out}: {counted(rows, 'row')}")


def _left_out_by(place: Place) -> LeaveOut:
    """The first process tells which images are left out."""
    return left_out if place.is_first else lambda name, reason: None


def _print_plan(plan: Plan, layout: str) -> None:
    for task, _, runs in plan.requests:
        _print_runs(task, runs)
        if task.holds_out_background and plan.threshold is None and layout == "competition":
            click.echo(
                f"every image gets one of the classes: --threshold P also predicts "
                f"{task.background}"
            )


def _print_runs(task: Task, runs: Sequence[Run]) -> None:
    for run in runs:
        metrics = run.metrics
        score = metrics.get("tasks", {}).get(task.name, {}).get("map")
        validation = f"validation mAP {score:.4f}" if score is not None else "no validation mAP"
        averaged = run.weights_file == run.folder.best_averaged_parameters
        weights = ", averaged weights" if averaged else ""
        epoch = metrics.get("best_epoch", "?")
        click.echo(f"{task.name}: {run} ({validation}, epoch {epoch}{weights})")
