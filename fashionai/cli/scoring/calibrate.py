"""fashionai calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Optional

import click
from click.core import ParameterSource

from fashionai.cli.arguments.options import PredictionSettings, prediction_options
from fashionai.cli.terminal.next_steps import after_calibrate
from fashionai.cli.terminal.progress import log_to_terminal, progress_bar
from fashionai.errors import counted

if TYPE_CHECKING:
    from fashionai.scoring.probabilities.run_calibration import TaskFit

EPILOG = """
\b
Examples:
  fashionai calibrate runs/skirt
  fashionai calibrate runs/skirt --folds runs/skirt-folds
  fashionai evaluate --run runs/skirt --split test --calibrated
  fashionai predict --run runs/skirt --calibrated --out submission.csv
"""


@click.command(epilog=EPILOG)
@click.argument("run_path", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--vector",
    is_flag=True,
    help="Fit a weight and a bias per class instead of one temperature per task. Needs many images "
    "of each class.",
)
@click.option(
    "--folds",
    type=click.Path(path_type=Path),
    help="Cross-validation whose out-of-fold predictions to fit on.  [default: the run's "
    "predictions of its validation split]",
)
@prediction_options
def command(
    run_path: Path, vector: bool, folds: Optional[Path], settings: PredictionSettings
) -> None:
    """Fit a run's probabilities to how often they are correct.

    Networks are often too sure. A temperature per task divides their logits; it is
    the one with the smallest log loss. It does not change the predicted classes. It
    is kept in the run until the run is trained on, for --calibrated of predict and
    evaluate with the same --crops and --image-size: the mean probabilities over
    crops are scaled. RUN may be a cross-validation: then each fold is calibrated on
    the images that it has not seen.
    """
    if folds is not None:
        _refuse_with_folds("crops", "image_size")
    from fashionai.errors import RunError
    from fashionai.runs import open_runs
    from fashionai.scoring.probabilities.run_calibration import calibrate

    log_to_terminal()
    runs = [run.at_crop(settings.image_size) for run in open_runs([run_path])]
    if folds is not None and len(runs) > 1:
        raise RunError(f"{run_path}: is a cross-validation itself", "Leave out --folds")
    options, contexts = settings.options, []
    if folds is None:
        chosen = settings.chosen()
        options["engine"], contexts = chosen.engine, chosen.contexts
    for run in runs:
        calibration, fits = calibrate(
            run, contexts, vector=vector, folds=folds, progress=progress_bar, **options
        )
        _print_fits(fits)
        click.echo(f"{run.folder.calibration_file}: written")
        click.echo("The figures after are too good: it was fitted on the same images\n")
    click.echo(after_calibrate(run_path, calibration.crops, settings.image_size))


def _refuse_with_folds(*names: str) -> None:
    """UsageError for an option that out-of-fold predictions have decided already."""
    context = click.get_current_context()
    for name in names:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = f"--{name.replace('_', '-')}"
            raise click.UsageError(f"{option} and --folds exclude each other")


def _print_fits(fits: list[TaskFit]) -> None:
    from fashionai.reporting.tables import calibration_table, wrapped

    for fit in fits:
        temperature = fit.scaling.temperature
        found = f"temperature {temperature:.3f}" if temperature else "a weight and a bias per class"
        text = f"{fit.task.name}: {found}, fitted on {counted(fit.images, 'image')}"
        click.echo(wrapped(text))
    click.echo(calibration_table([(fit.task.name, (fit.before, fit.after)) for fit in fits]))
