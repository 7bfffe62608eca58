"""fashionai cross-validate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Optional, Union

import click

from fashionai.cli.arguments.options import (
    CROPS,
    batch_size_option,
    config_option,
    device_options,
    engine_option,
    parse_gpus,
    with_engine,
)
from fashionai.cli.terminal.progress import log_to_terminal, progress_bar
from fashionai.errors import counted
from fashionai.pipeline.crop_counts import DEFAULT_CROPS

EPILOG = """
\b
Examples:
  fashionai cross-validate --config skirt
  fashionai cross-validate --run runs/skirt-folds --resume
  fashionai predict --out submission.csv --run runs/skirt-folds

KEY=VALUE overrides any key that fashionai config prints.
"""


@click.command(epilog=EPILOG)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@config_option()
@click.option("--folds", type=click.IntRange(2), help="Number of folds.  [default: 4]")
@click.option(
    "--stratified/--not-stratified",
    default=None,
    help="Preserve the share of each class in every fold.  [default: stratified]",
)
@click.option(
    "--grouped-by-content/--not-grouped-by-content",
    default=None,
    help="Put byte-identical images into the same fold.  [default: grouped]",
)
@click.option(
    "--run",
    "run_path",
    type=click.Path(path_type=Path),
    help="Folder of the cross-validation, with one run per fold.  "
    "[default: runs/TASK-folds, or runs/TASK-folds-2 ... if that exists]",
)
@click.option(
    "--resume", is_flag=True, help="Resume the cross-validation; start it if it does not exist."
)
@click.option(
    "--overwrite", is_flag=True, help="Delete an existing cross-validation and start anew."
)
@click.option(
    "--crops",
    type=CROPS,
    help=f"Views of each held-out image.  [default: {DEFAULT_CROPS}]",
)
@batch_size_option
@engine_option
@device_options
def command(
    overrides: tuple[str, ...],
    config_file: Optional[Path],
    folds: Optional[int],
    stratified: Optional[bool],
    grouped_by_content: Optional[bool],
    run_path: Optional[Path],
    resume: bool,
    overwrite: bool,
    crops: Optional[str],
    batch_size: int,
    engine: Optional[str],
    device: str,
    gpus: str,
) -> None:
    """Cross-validate: train one run per fold of the training and validation images.

    The images of a fold are predicted by the run that was trained on the other
    folds (out-of-fold predictions, in out_of_fold.csv). Prints the scores of
    every fold, their mean and their standard deviation. Test images are not used.
    """
    if resume and overwrite:
        raise click.UsageError("--resume and --overwrite exclude each other")
    if config_file is None and not (resume and run_path):
        raise click.UsageError(
            "give --config FILE, or --run DIR --resume to resume a cross-validation"
        )
    chosen_gpus = parse_gpus(gpus)
    from fashionai.cross_validation import open_cross_validation
    from fashionai.reporting.tables import score_table

    log_to_terminal()
    given = {
        "folds": folds,
        "stratified": stratified,
        "grouped_by_content": grouped_by_content,
        "crops": int(crops) if crops else None,
    }
    cross_validation = open_cross_validation(
        config_file,
        with_engine(overrides, engine),
        given,
        run_path,
        device,
        chosen_gpus,
        progress_bar,
        resume=resume,
        overwrite=overwrite,
    )
    click.echo(f"cross-validation -> {cross_validation.path}")
    scores = cross_validation.run(progress_bar, batch_size=batch_size)
    rows: list[tuple[str, Union[int, str], Mapping[str, float]]] = [
        (str(number), sum(task.rows for task in fold), overall)
        for number, (fold, overall) in enumerate(zip(scores.folds, scores.overall()), start=1)
    ]
    total = sum(task.rows for task in scores.pooled)
    rows += [("mean", total, scores.mean()), ("std", "", scores.deviation())]
    if cross_validation.crops > 1:
        click.echo(f"means over {cross_validation.crops} crops per image; train scores one")
    click.echo(score_table(rows, ("fold", "N")))
    click.echo(
        f"{cross_validation.predictions_file}: {counted(total, 'image')}, out-of-fold predictions"
    )
    click.echo(f"{cross_validation.scores_file}, {cross_validation.plot_file}")
