"""fashionai predict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import click

from fashionai.cli.options import device_options, parse_gpus, prediction_options, runs_option
from fashionai.cli.progress import log_to_terminal, progress_bar
from fashionai.default_folders import DATA_FOLDER

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
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="Prediction file to write.",
)
@click.option("--data", type=click.Path(path_type=Path), default=DATA_FOLDER, help="Data folder.")
@click.option(
    "--questions",
    type=click.Path(path_type=Path),
    help="What to predict: a competition's question file, or a folder, list or CSV of images.  "
    "[default: DATA/rank/Tests/question.csv; of cactus DATA/sample_submission.csv]",
)
@click.option("--path-column", help="Name or number of the CSV's column of paths.")
@click.option("--task", "task_names", multiple=True, help="Only rows of these tasks; may repeat.")
@runs_option
@click.option(
    "--split",
    type=click.Choice(["train", "val", "test"]),
    help="Predict a prepared split instead of a question file.",
)
@click.option(
    "--format",
    "layout",
    type=click.Choice(["competition", "table"]),
    default="competition",
    help="The file that the data set's competition wants, or a column for each class.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    help="Logos prepared with --no-logo-share 0: answer no-logo where no brand's probability "
    "reaches it. Covers: is_cat where the probability exceeds it.  [default: 0.5 for covers]",
)
@prediction_options
@device_options
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
    crops: int,
    batch_size: int,
    engine: str,
    device: str,
    gpus: str,
) -> None:
    """Write the prediction file, probabilities averaged over crops (and runs).

    Rows are in the order of the question file; of a folder, by name.
    """
    from fashionai.datasets.prepared.folders import PREPARED_FOLDER
    from fashionai.families import expand_tasks
    from fashionai.predictions import plan as answers
    from fashionai.predictions.predict import images_of, runs_of
    from fashionai.predictions.run_choice import Candidates
    from fashionai.runtime import contexts
    from fashionai.tasks import prepared_tasks

    if split is not None and questions is not None:
        raise click.UsageError("--questions and --split exclude each other")
    if questions is None and path_column is not None:
        raise click.UsageError("--path-column goes with --questions")
    log_to_terminal()
    candidates = Candidates.open(run_paths)
    tasks = expand_tasks(task_names, [*candidates.tasks, *prepared_tasks(PREPARED_FOLDER)])
    form: dict[str, Any] = {"as_table": layout == "table", "threshold": threshold}
    if split is not None:
        plan = answers.plan_split(split, tasks, candidates, **form)
    else:
        file = questions or answers.question_file(data, tasks or candidates.tasks)
        plan = answers.plan_questions(
            file, data, tasks, candidates, path_column=path_column, **form
        )
    wanted = [part.question for part in plan.parts]
    for task, _, task_runs in wanted:
        _print_runs(task, task_runs)
        if task.holds_out_background and threshold is None and layout == "competition":
            click.echo(f"every answer is a brand: --threshold P answers {task.background}")
    total = sum(len(images_of(run, wanted)) for run in runs_of(wanted))
    devices = contexts(device, parse_gpus(gpus))
    with progress_bar(f"{crops} crops", total) as advance:
        settings = {"crops": crops, "batch_size": batch_size, "engine": engine}
        rows = answers.write_answers(plan, out, devices, progress=advance, **settings)
    click.echo(f"{out}: {rows:,} rows")


def _print_runs(task: Task, runs: Sequence[Run]) -> None:
    for run in runs:
        metrics = run.metrics
        score = metrics.get("tasks", {}).get(task.name, {}).get("map")
        validation = f"validation mAP {score:.4f}" if score is not None else "no validation mAP"
        weights = ", averaged weights" if metrics.get("weights") == "best_ema.params" else ""
        epoch = metrics.get("best_epoch", "?")
        click.echo(f"{task.name}: {run} ({validation}, epoch {epoch}{weights})")
