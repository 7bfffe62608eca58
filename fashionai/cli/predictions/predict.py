"""fashionai predict."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import click

from fashionai.cli.arguments.options import (
    OutputFile,
    PredictionSettings,
    calibrated_option,
    column_options,
    images_option,
    left_out_by,
    prediction_options,
    runs_option,
    share_between_gpus,
    skip_bad_option,
)
from fashionai.cli.arguments.thresholds import Probability
from fashionai.cli.terminal.progress import log_to_terminal, progress_bar
from fashionai.datasets.names import SPLITS
from fashionai.errors import counted
from fashionai.files.default_folders import DATA_FOLDER

if TYPE_CHECKING:
    from fashionai.predictions.parts import Parts
    from fashionai.predictions.plan import Plan
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
@images_option("--questions")
@column_options("path")
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
    type=Probability(),
    help="With a held-out background: predict the background where no class reaches this "
    "probability. With two classes: predict the second class where its probability exceeds it.  "
    "[default: 0.5 for two classes]",
)
@calibrated_option
@skip_bad_option
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with a long prediction that was interrupted, after its finished images.",
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace an existing file that this command did not write, and discard the "
    "results of an interrupted prediction.",
)
@prediction_options
def command(
    out: Path,
    data: Path,
    questions: Optional[Path],
    images: Optional[Path],
    path_column: Optional[str],
    task_names: tuple[str, ...],
    run_paths: tuple[Path, ...],
    split: Optional[str],
    layout: str,
    threshold: Optional[float],
    calibrated: bool,
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
    from fashionai.predictions.plan import WantedFile, plan_file, without_bad_images
    from fashionai.predictions.writing import open_parts_of, write_planned

    _check_arguments(split, questions, {"--images": images, "--path-column": path_column}, skip_bad)
    if resume and overwrite:
        raise click.UsageError("--resume and --overwrite exclude each other")
    if current_place().is_first:
        log_to_terminal()
    wanted = WantedFile(
        out,
        run_paths,
        task_names,
        data,
        questions,
        path_column,
        split,
        images=images,
        as_table=layout == "table",
        threshold=threshold,
        crop=settings.image_size,
    )
    plan = plan_file(wanted, overwrite=overwrite)
    if calibrated:
        plan = plan.calibrated(settings.crops)
    chosen = settings.chosen()
    if share_between_gpus(chosen.contexts):
        return
    options: dict[str, Any] = {**settings.options, "engine": chosen.engine}
    with open_parts_of(
        plan, out, chosen.contexts, **options, resume=resume, overwrite=overwrite
    ) as parts:
        if split is None:
            leave_out = left_out_by(current_place()) if skip_bad else None
            plan = without_bad_images(plan, progress_bar, leave_out, parts)
        if current_place().is_first:
            _print_plan(plan, layout)
        bar = progress_bar(f"predicting, {counted(settings.crops, 'crop')}", plan.images)
        with _hint_at_resuming(plan, parts), bar as advance:
            rows = write_planned(plan, out, chosen.contexts, parts, progress=advance, **options)
    if current_place().is_first:
        click.echo(f"{out}: {counted(rows, 'row')}")


@contextlib.contextmanager
def _hint_at_resuming(plan: Plan, parts: Optional[Parts]) -> Iterator[None]:
    """At Ctrl-C, tell how many images are predicted and how to go on; without parts, none are."""
    try:
        yield
    except KeyboardInterrupt:
        if parts is not None and parts.place.is_first:
            done = min(parts.finished("run") * parts.size, plan.images)
            given = click.get_current_context().find_root().obj
            command = shlex.join(["fashionai", *(each for each in given if each != "--overwrite")])
            resume = "" if "--resume" in given else " --resume"
            click.echo(
                f"stopped: about {done:,} of {counted(plan.images, 'image')} are predicted. "
                f"Resume with: {command}{resume}",
                err=True,
            )
        raise


def _check_arguments(
    split: Optional[str],
    questions: Optional[Path],
    of_csv: dict[str, Any],
    skip_bad: bool,
) -> None:
    """UsageError for options that exclude each other or lack another one."""
    if split is not None and questions is not None:
        raise click.UsageError("--questions and --split exclude each other")
    if split is not None and skip_bad:
        raise click.UsageError("--skip-bad and --split exclude each other: prepare checks images")
    for option, value in of_csv.items():
        if questions is None and value is not None:
            raise click.UsageError(f"{option} goes with --questions")


def _print_plan(plan: Plan, layout: str) -> None:
    for request in plan.requests:
        task = request.task
        _print_runs(task, request.runs)
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
        click.echo(f"{task.name}: {run} ({validation}, {run.weights_origin}{weights})")
