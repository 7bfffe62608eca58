"""fashionai evaluate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union

import click

from fashionai.cli.arguments.options import (
    GivenLabels,
    OutputFile,
    PredictionSettings,
    calibrated_option,
    labels_option,
    left_out_by,
    overwrite_option,
    prediction_options,
    share_between_gpus,
    skip_bad_option,
)
from fashionai.cli.arguments.thresholds import threshold_option
from fashionai.cli.terminal.progress import log_to_terminal, progress_bar
from fashionai.datasets.names import SPLITS

if TYPE_CHECKING:
    from fashionai.scoring.evaluate import TaskEvaluation
    from fashionai.scoring.labelled_images import Wanted

EPILOG = """
\b
Examples:
  fashionai evaluate --predictions submission.csv --labels answer.csv
  fashionai evaluate --predictions val.csv --labels data/train_valid
  fashionai evaluate --run runs/skirt --split val --confusion --plots plots
  fashionai evaluate --run runs/logos --split test --threshold auto
  fashionai evaluate --run runs/birds --labels new.csv --images new-photos
"""


@click.command(epilog=EPILOG)
@click.option("--predictions", type=click.Path(path_type=Path), help="Prediction file to score.")
@click.option(
    "--run",
    "run_paths",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Run to score instead of a prediction file.",
)
@labels_option(
    "Label file, answer file, class folders or prepared folder; may be repeated. With --run, its "
    "images are predicted."
)
@click.option(
    "--questions",
    type=click.Path(path_type=Path),
    help="Question file: score only the images that it names.",
)
@click.option("--task", "task_names", multiple=True, help="Score only this task; may be repeated.")
@click.option(
    "--split",
    type=click.Choice(SPLITS),
    help="Split to score --run on, of its prepared folders or of --labels.  "
    "[default: val of its prepared folders]",
)
@threshold_option("With --run also auto: the best threshold on validation.")
@calibrated_option
@click.option("--per-class", is_flag=True, help="Print recall and precision of each class.")
@click.option(
    "--confusion",
    is_flag=True,
    help="Print the confusion matrix; for many classes the pairs that are confused.",
)
@click.option("--json", "json_file", type=OutputFile(), help="JSON file to write.")
@click.option(
    "--plots",
    "plots_folder",
    type=click.Path(path_type=Path),
    help="Folder to write the confusion matrix, precision over thresholds and reliability to, as "
    "PNG.",
)
@skip_bad_option
@overwrite_option
@prediction_options
def command(
    predictions: Optional[Path],
    run_paths: tuple[Path, ...],
    labels: GivenLabels,
    questions: Optional[Path],
    task_names: tuple[str, ...],
    split: Optional[str],
    threshold: Union[float, str, None],
    calibrated: bool,
    per_class: bool,
    confusion: bool,
    json_file: Optional[Path],
    plots_folder: Optional[Path],
    skip_bad: bool,
    overwrite: bool,
    settings: PredictionSettings,
) -> None:
    """Score a prediction file against labels, or a run on labelled images.

    mAP is the competition's score. Of several tasks the last line is the mean. The lines
    "95 % from" and "to" are the ends of a confidence interval: 95 of 100 such
    intervals contain the score on all images of this kind. The calibration error is the
    mean difference between the largest probability and the accuracy (15 bins).

    The probabilities of a run are means over ten crops per image, see --crops. train
    scores one crop, so that its scores differ a little.

    All rows of a label file must be predicted. Of a prepared folder, the tasks
    and splits in the prediction file are scored; all rows of such a split must
    be predicted.
    """
    from fashionai.files import write_json
    from fashionai.files.outputs import check_output
    from fashionai.frameworks.processes import current_place
    from fashionai.scoring.bootstrap import RESAMPLES
    from fashionai.scoring.evaluate import evaluate_file
    from fashionai.scoring.score_files import SCORES, to_json

    files = labels.files
    _check_arguments(
        (predictions, run_paths, questions),
        files.paths,
        split,
        threshold,
        skip_bad,
        settings.image_size,
        calibrated,
    )
    inputs = [file for file in (predictions, *files.paths, questions) if file is not None]
    if json_file is not None:
        check_output("--json", json_file, SCORES, inputs, overwrite)
    if plots_folder is not None:
        from fashionai.reporting.score_plots import check_plots

        check_plots("--plots", plots_folder, inputs, overwrite)
    _log_of_first()
    if run_paths:
        from fashionai.scoring.labelled_images import Wanted

        wanted = Wanted(files, task_names, split)
        evaluations = _evaluate_run(
            run_paths[0], wanted, threshold, settings, skip_bad=skip_bad, calibrated=calibrated
        )
    elif predictions is not None and not isinstance(threshold, str):
        evaluations = evaluate_file(
            predictions,
            files.paths,
            questions,
            task_names,
            threshold,
            columns=files.columns,
            images=files.images,
            resamples=RESAMPLES,
        )

    if current_place().is_first:
        _print_scores(evaluations)
        _print_tables(evaluations, per_class, confusion)
        if json_file is not None:
            write_json(json_file, to_json(evaluations))
        if plots_folder is not None:
            from fashionai.reporting.score_plots import draw_scores

            click.echo("\n" + "\n".join(map(str, draw_scores(plots_folder, evaluations))))


def _check_arguments(
    scored: tuple[Optional[Path], tuple[Path, ...], Optional[Path]],
    labels: Sequence[Path],
    split: Optional[str],
    threshold: Union[float, str, None],
    skip_bad: bool,
    image_size: Optional[int],
    calibrated: bool,
) -> None:
    """UsageError for options that exclude each other or lack another one."""
    predictions, runs, questions = scored
    for wrong, message in (
        (len(runs) > 1, "--run: give only one; predict averages several runs into a file"),
        (
            bool(runs) == (predictions is not None) or not (runs or labels),
            "give --predictions FILE --labels FILE, or --run DIR",
        ),
        (runs and questions is not None, "--questions goes with --predictions"),
        (not runs and split is not None, "--split goes with --run"),
        (skip_bad and not (runs and labels), "--skip-bad goes with --run and --labels"),
        (not runs and image_size is not None, "--image-size goes with --run"),
        (not runs and calibrated, "--calibrated goes with --run"),
        (
            not runs and isinstance(threshold, str),
            "--threshold auto goes with --run, whose validation chooses it",
        ),
    ):
        if wrong:
            raise click.UsageError(message)


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
    path: Path,
    wanted: Wanted,
    threshold: Union[float, str, None],
    settings: PredictionSettings,
    *,
    skip_bad: bool,
    calibrated: bool,
) -> list[TaskEvaluation]:
    from fashionai.frameworks.processes import current_place
    from fashionai.runs import Run
    from fashionai.scoring.bootstrap import RESAMPLES
    from fashionai.scoring.labelled_images import evaluate_on_labels
    from fashionai.scoring.splits import evaluate_run, threshold_of_run, warn_of_chosen_threshold

    run = Run.open(path).at_crop(settings.image_size)
    chosen, place = settings.chosen(), current_place()
    devices = chosen.contexts
    if share_between_gpus(devices):
        raise click.exceptions.Exit
    options: dict[str, Any] = {
        **{**settings.options, "engine": chosen.engine},
        "place": place,
        "calibrated": calibrated,
    }
    if isinstance(threshold, str):
        threshold = threshold_of_run(
            run, devices, progress_bar, task_names=wanted.task_names, **options
        )
        warn_of_chosen_threshold(wanted.split or ("" if wanted.files.paths else "val"))
    options.update(resamples=RESAMPLES, progress=progress_bar)
    if settings.crops > 1 and place.is_first:
        text = f"means over {settings.crops} crops per image; --crops 1 scores as train does"
        click.echo(text, err=True)
    if wanted.files.paths:
        options["leave_out"] = left_out_by(place) if skip_bad else None
        return evaluate_on_labels(run, wanted, devices, threshold, **options)
    options["task_names"] = wanted.task_names
    return evaluate_run(run, wanted.split or "val", devices, threshold, **options)


def _at_threshold(evaluation: TaskEvaluation) -> str:
    """The task's name, with the threshold that its accuracy depends on."""
    figures = evaluation.figures
    if figures is None or figures.threshold is None:
        return evaluation.name
    return f"{evaluation.name} at {figures.threshold:g}"


def _print_scores(evaluations: list[TaskEvaluation]) -> None:
    from fashionai.metrics import overall_scores
    from fashionai.reporting.tables import (
        ScoreRow,
        balance_table,
        calibration_table,
        detection_table,
        score_table,
        with_intervals,
    )
    from fashionai.scoring.bootstrap import mean_intervals

    scored = [e for e in evaluations if e.scores]
    if scored:
        rows: list[ScoreRow] = []
        for e in scored:
            rows += with_intervals((e.name, e.rows_of_classes, e.scores), e.intervals)
        if len(scored) > 1:
            mean = overall_scores([e.scores for e in scored])
            total = sum(e.rows_of_classes for e in scored)
            intervals = mean_intervals([e.resampled for e in scored])
            rows += with_intervals(("mean", total, mean), intervals)
        click.echo(score_table(rows) + "\n")
    balance = [(_at_threshold(e), e.confusion, e.scores, e.intervals) for e in evaluations]
    click.echo(balance_table(balance))
    if scored:
        click.echo("\n" + calibration_table([(e.name, e.calibration) for e in scored]))
    figures = [(e.name, *e.figures) for e in evaluations if e.figures]
    if figures:
        click.echo("\n" + detection_table(figures))
    for task in [e.task for e in evaluations if e.task.holds_out_background and not e.figures]:
        click.echo(f"\n{task.name}: {task.background} is left out; --threshold P includes it")
