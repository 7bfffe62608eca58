"""fashionai evaluate."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union

import click

from fashionai.cli.options import (
    OutputFile,
    PredictionSettings,
    overwrite_option,
    prediction_options,
    share_between_gpus,
)
from fashionai.cli.progress import log_to_terminal, progress_bar
from fashionai.datasets.names import SPLITS

if TYPE_CHECKING:
    from fashionai.scoring.evaluate import TaskEvaluation

EPILOG = """
\b
Examples:
  fashionai evaluate --predictions submission.csv --labels answer.csv
  fashionai evaluate --predictions val.csv --labels data/train_valid
  fashionai evaluate --run runs/skirt --split val --confusion
  fashionai evaluate --run runs/logos --split test --threshold auto
"""

AUTO_THRESHOLD = "auto"


class Threshold(click.ParamType):
    """A number from 0 to 1, or auto."""

    name = "number or auto"

    def convert(
        self, value: Any, param: Optional[click.Parameter], ctx: Optional[click.Context]
    ) -> Union[float, str]:
        """Parse the value of the option."""
        if isinstance(value, str) and value.lower() == AUTO_THRESHOLD:
            return AUTO_THRESHOLD
        with contextlib.suppress(ValueError):
            if 0 <= float(value) <= 1:
                return float(value)
        return self.fail(f"found '{value}', expected a number from 0 to 1, or auto", param, ctx)


@click.command(epilog=EPILOG)
@click.option("--predictions", type=click.Path(path_type=Path), help="Prediction file to score.")
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Label file, answer file or prepared folder; may be repeated.",
)
@click.option(
    "--questions",
    type=click.Path(path_type=Path),
    help="Question file: score only the images that it names.",
)
@click.option("--task", "task_names", multiple=True, help="Score only this task; may be repeated.")
@click.option(
    "--run",
    "run_paths",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Run to score instead of a prediction file.",
)
@click.option("--split", type=click.Choice(SPLITS), default="val", help="Split to score --run on.")
@click.option(
    "--threshold",
    type=Threshold(),
    metavar="P|auto",
    help="With two classes or a held-out background: the probability, from 0 to 1, that decides "
    "the predicted label. With --run also auto: the best threshold on validation.",
)
@click.option("--per-class", is_flag=True, help="Print recall and precision of each class.")
@click.option(
    "--confusion",
    is_flag=True,
    help="Print the confusion matrix; for many classes the pairs that are confused.",
)
@click.option("--json", "json_file", type=OutputFile(), help="JSON file to write.")
@overwrite_option
@prediction_options
def command(
    predictions: Optional[Path],
    labels: tuple[Path, ...],
    questions: Optional[Path],
    task_names: tuple[str, ...],
    run_paths: tuple[Path, ...],
    split: str,
    threshold: Union[float, str, None],
    per_class: bool,
    confusion: bool,
    json_file: Optional[Path],
    overwrite: bool,
    settings: PredictionSettings,
) -> None:
    """Score a prediction file against labels, or a run on a prepared split.

    mAP is the competition's score. The last line is the mean over tasks. All rows of a
    label file must be predicted. With a prepared folder, a split counts if the
    prediction file has any of its rows; then all its rows must be there.
    """
    from fashionai.files import write_json
    from fashionai.files.outputs import check_output
    from fashionai.frameworks.processes import current_place
    from fashionai.scoring.evaluate import SCORES, evaluate_file, to_json

    if len(run_paths) > 1:
        raise click.UsageError("--run: give only one; predict averages several runs into a file")
    run_path = run_paths[0] if run_paths else None
    if json_file is not None:
        inputs = [file for file in (predictions, *labels, questions) if file is not None]
        check_output("--json", json_file, SCORES, inputs, overwrite)
    if run_path is not None and (questions or task_names):
        raise click.UsageError("--questions and --task go with --predictions, not with --run")
    if run_path is not None and predictions is None and not labels:
        _log_of_first()
        evaluations = _evaluate_run(run_path, split, threshold, settings)
    elif predictions is not None and labels and run_path is None:
        if isinstance(threshold, str):
            raise click.UsageError("--threshold auto goes with --run, whose validation chooses it")
        _log_of_first()
        evaluations = evaluate_file(predictions, labels, questions, task_names, threshold)
    else:
        raise click.UsageError("give --predictions FILE --labels FILE, or --run DIR")

    if current_place().is_first:
        _print_scores(evaluations)
        _print_tables(evaluations, per_class, confusion)
        if json_file is not None:
            write_json(json_file, to_json(evaluations))


def _print_tables(evaluations: list[TaskEvaluation], per_class: bool, confusion: bool) -> None:
    from fashionai.reporting.tables import class_table, confusion_table

    wanted = ((class_table, per_class), (confusion_table, confusion))
    for table in (table for table, is_wanted in wanted if is_wanted):
        for evaluation in evaluations:
            click.echo(f"\n{evaluation.name}")
            click.echo(table(evaluation.confusion, evaluation.labels))


def _log_of_first() -> None:
    """Of several processes the first one prints the log."""
    from fashionai.frameworks.processes import current_place

    if current_place().is_first:
        log_to_terminal()


def _evaluate_run(
    path: Path, split: str, threshold: Union[float, str, None], settings: PredictionSettings
) -> list[TaskEvaluation]:
    from fashionai.frameworks.processes import current_place
    from fashionai.runs import Run
    from fashionai.scoring.splits import evaluate_run, threshold_of_run

    run, chosen, place = Run.open(path), settings.chosen(), current_place()
    devices = chosen.contexts
    if share_between_gpus(devices):
        raise click.exceptions.Exit
    options: dict[str, Any] = {**settings.options, "engine": chosen.engine, "place": place}
    if isinstance(threshold, str):
        with progress_bar(f"{run}: val", 0) as advance:
            threshold = threshold_of_run(run, devices, progress=advance, **options)
    with progress_bar(f"{run}: {split}", 0) as advance:
        return evaluate_run(run, split, devices, threshold, progress=advance, **options)


def _print_scores(evaluations: list[TaskEvaluation]) -> None:
    from fashionai.metrics import overall_scores
    from fashionai.reporting.tables import balance_table, detection_table, score_table

    scored = [(e.name, e.rows_of_classes, e.scores) for e in evaluations if e.scores]
    if scored:
        mean = overall_scores([scores for _, _, scores in scored])
        scored.append(("mean", sum(rows for _, rows, _ in scored), mean))
        click.echo(score_table(scored) + "\n")
    balance = [(e.name, e.confusion, e.scores.get("roc_auc", math.nan)) for e in evaluations]
    click.echo(balance_table(balance))
    figures = [(e.name, *e.figures) for e in evaluations if e.figures]
    if figures:
        click.echo("\n" + detection_table(figures))
    for task in [e.task for e in evaluations if e.task.holds_out_background and not e.figures]:
        click.echo(f"\n{task.name}: {task.background} is left out; --threshold P includes it")
