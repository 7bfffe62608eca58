"""fashionai report."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Optional, Union

import click

from fashionai.cli.arguments.options import (
    GivenLabels,
    OutputFile,
    PredictionSettings,
    labels_option,
    overwrite_option,
    prediction_options,
)
from fashionai.cli.arguments.thresholds import threshold_option
from fashionai.cli.terminal.progress import log_to_terminal, progress_bar
from fashionai.errors import counted

EPILOG = """
\b
Examples:
  fashionai report runs/skirt --out report.html
  fashionai report runs/skirt runs/skirt-2 --split test --out report.html
  fashionai report runs/skirt-folds --out report.html
  fashionai report runs/logos --split test --threshold auto --out report.html
  fashionai report runs/skirt --out report.html --predictions submission.csv \\
    --labels answer.csv --images data/rank
"""

SPLITS = ("val", "test", "out-of-fold")


@click.command(epilog=EPILOG)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option(
    "--split",
    type=click.Choice(SPLITS),
    help="Split to show.  [default: val; out-of-fold for a cross-validation]",
)
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Prediction file to show instead of predicting a split; one for all runs, or one for each "
    "in their order.",
)
@labels_option("Label file, class folders or prepared folder of --predictions; may be repeated.")
@click.option("--task", "task_names", multiple=True, help="Show only this task; may be repeated.")
@click.option("--out", type=OutputFile(), required=True, help="HTML file to write.")
@threshold_option("auto: for each run the best threshold on its validation.")
@overwrite_option
@prediction_options
def command(
    runs: tuple[Path, ...],
    split: Optional[str],
    predictions: tuple[Path, ...],
    labels: GivenLabels,
    task_names: tuple[str, ...],
    out: Path,
    threshold: Union[float, str, None],
    overwrite: bool,
    settings: PredictionSettings,
) -> None:
    """Write one HTML page that shows how good runs are and where they err.

    RUN is the folder of a run or of a cross-validation. The page has the scores
    with their confidence intervals, the confusion matrix with its images, every
    class, curves, calibration, the worst mistakes with what speaks for them
    (Grad-CAM), the data, and how to make the run again. Several runs are compared
    on the same images. The page is one file and loads nothing from anywhere.
    """
    files = labels.files
    _check_arguments(split, predictions, files.paths, threshold, settings)
    from fashionai.files.outputs import check_output
    from fashionai.frameworks.choice import one_of
    from fashionai.reporting.report.results import Source, check_source, collect_results
    from fashionai.reporting.report.subjects import open_subjects
    from fashionai.reporting.report.writing import REPORT, write_report

    log_to_terminal()
    check_output("--out", out, REPORT, [*predictions, *files.paths], overwrite)
    subjects = open_subjects(runs)
    subjects = [each.at_crop(settings.image_size) for each in subjects]
    source = Source(split, predictions, files, threshold)
    check_source(subjects, source)
    chosen = settings.chosen()
    options = {**settings.options, "engine": chosen.engine}
    results = collect_results(subjects, source, task_names, one_of(chosen), progress_bar, **options)
    command_line = shlex.join(["fashionai", *click.get_current_context().find_root().obj])
    write_report(out, subjects, results, source, settings.crops, command_line)
    size = out.stat().st_size / 1e6
    images = sum(len(task.results[0].rows.images) for task in results)
    click.echo(
        f"{out}: {counted(len(subjects), 'run')}, {counted(len(results), 'task')}, "
        f"{counted(images, 'image')}, {size:.1f} MB"
    )


def _check_arguments(
    split: Optional[str],
    predictions: tuple[Path, ...],
    labels: object,
    threshold: Union[float, str, None],
    settings: PredictionSettings,
) -> None:
    """UsageError for options that exclude each other or lack another one."""
    for wrong, message in (
        (bool(predictions) != bool(labels), "--predictions and --labels go together"),
        (predictions and split is not None, "--split and --predictions exclude each other"),
        (
            predictions and settings.image_size is not None,
            "--image-size and --predictions exclude each other",
        ),
        (
            predictions and isinstance(threshold, str),
            "--threshold auto and --predictions exclude each other: give the file's threshold",
        ),
    ):
        if wrong:
            raise click.UsageError(message)
