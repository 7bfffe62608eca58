"""fashionai predict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import click

from fashionai.cli.options import crop_options, device_options, parse_gpus
from fashionai.cli.progress import progress_bar

if TYPE_CHECKING:
    from fashionai.runs import RunFolder
    from fashionai.tasks import Task

EPILOG = """
\b
Examples:
  fashionai predict --out submission.csv
  fashionai predict --out b.csv --questions data/z_rank/Tests/question.csv
  fashionai predict --out s.csv --task skirt --run runs/a --run runs/b
  fashionai predict --out val.csv --run runs/skirt --split val
"""


@click.command(epilog=EPILOG)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Prediction file to write."
)
@click.option("--data", type=click.Path(path_type=Path), default=Path("data"), help="Data folder.")
@click.option(
    "--questions",
    type=click.Path(path_type=Path),
    help="Question file.  [default: DATA/rank/Tests/question.csv]",
)
@click.option("--task", "task_names", multiple=True, help="Only rows of these tasks; may repeat.")
@click.option(
    "--run",
    "run_paths",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Run to use; several of one task are averaged.  "
    "[default: for each task the finished run below runs/ with the best mAP]",
)
@click.option(
    "--split",
    type=click.Choice(["train", "val", "test"]),
    help="Predict a prepared split instead of a question file.",
)
@crop_options
@device_options
def command(
    out: Path,
    data: Path,
    questions: Optional[Path],
    task_names: tuple[str, ...],
    run_paths: tuple[Path, ...],
    split: Optional[str],
    crops: int,
    batch_size: int,
    device: str,
    gpus: str,
) -> None:
    """Write the prediction file, probabilities averaged over crops (and runs)."""
    from fashionai.datasets.fashionai_csv import TEST_QUESTIONS
    from fashionai.inference import answers
    from fashionai.inference.predictor import images_of, runs_of
    from fashionai.runs import find_runs, learnt_tasks, open_runs
    from fashionai.runtime import contexts
    from fashionai.tasks import expand_tasks

    runs = open_runs(run_paths)
    tasks = expand_tasks(task_names, learnt_tasks(runs or find_runs()))
    if split is not None and questions is not None:
        raise click.UsageError("--questions and --split exclude each other")
    if split is not None:
        plan = answers.plan_split(split, tasks, runs)
    else:
        file = questions or data / TEST_QUESTIONS
        plan = answers.plan_questions(file, tasks, runs, data)
    asked = [part.question for part in plan]
    for question in asked:
        _print_runs(question.task, question.runs)
    total = sum(len(images_of(run, asked)) for run in runs_of(asked))
    devices = contexts(device, parse_gpus(gpus))
    with progress_bar(f"{crops} crops", total) as advance:
        rows = answers.write_answers(
            plan, out, devices, crops=crops, batch_size=batch_size, progress=advance
        )
    click.echo(f"{out}: {rows:,} rows")


def _print_runs(task: Task, runs: Sequence[RunFolder]) -> None:
    for run in runs:
        metrics = run.read_metrics()
        score = metrics.get("tasks", {}).get(task.name, {}).get("map")
        validation = f"validation mAP {score:.4f}" if score is not None else "no validation mAP"
        weights = ", averaged weights" if metrics.get("weights") == "best_ema.params" else ""
        epoch = metrics.get("best_epoch", "?")
        click.echo(f"{task.name}: {run} ({validation}, epoch {epoch}{weights})")
