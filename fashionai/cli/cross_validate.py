"""fashionai cross-validate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Optional, Union

import click

from fashionai.cli.options import (
    CROPS,
    batch_size_option,
    config_option,
    device_options,
    parse_gpus,
)
from fashionai.cli.progress import log_to_terminal, progress_bar
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
@click.option("--folds", type=click.IntRange(min=2), help="Number of folds.  [default: 4]")
@click.option(
    "--stratified/--not-stratified",
    default=None,
    help="Give every fold the same share of each class.  [default: stratified]",
)
@click.option(
    "--grouped-by-content/--not-grouped-by-content",
    default=None,
    help="Keep byte-identical images in one fold.  [default: grouped]",
)
@click.option(
    "--run",
    "run_path",
    type=click.Path(path_type=Path),
    help="Folder for all of it, a run for each fold.  "
    "[default: runs/TASK-folds, or runs/TASK-folds-2 ... if taken]",
)
@click.option("--resume", is_flag=True, help="Go on where it stopped, if it began.")
@click.option("--overwrite", is_flag=True, help="Delete what is there and start anew.")
@click.option(
    "--crops",
    type=CROPS,
    help=f"Views of each held-out image.  [default: {DEFAULT_CROPS}]",
)
@batch_size_option
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
    device: str,
    gpus: str,
) -> None:
    """Divide training and validation images into folds, and train a run without each.

    Every image is then predicted by the one run that has not seen it
    (out_of_fold.csv). Prints the scores of every fold, their mean and their
    standard deviation. Test images are left alone.
    """
    if resume and overwrite:
        raise click.UsageError("--resume and --overwrite exclude each other")
    if config_file is None and not (resume and run_path):
        raise click.UsageError("give --config FILE, or --run DIR --resume to go on")
    chosen_gpus = parse_gpus(gpus)
    from fashionai.cross_validation import open_cross_validation
    from fashionai.reporting.tables import score_table
    from fashionai.runtime import contexts

    log_to_terminal()
    given = {
        "folds": folds,
        "stratified": stratified,
        "grouped_by_content": grouped_by_content,
        "crops": int(crops) if crops else None,
    }
    devices = contexts(device, chosen_gpus)
    work = open_cross_validation(
        config_file,
        overrides,
        given,
        run_path,
        devices,
        progress_bar,
        resume=resume,
        overwrite=overwrite,
    )
    click.echo(f"cross-validation -> {work.path}")
    result = work.run(devices, progress_bar, batch_size=batch_size)
    rows: list[tuple[str, Union[int, str], Mapping[str, float]]] = [
        (str(number), sum(task.rows for task in fold), scores)
        for number, (fold, scores) in enumerate(zip(result.folds, result.overall()), start=1)
    ]
    total = sum(task.rows for task in result.together)
    rows += [("mean", total, result.mean()), ("std", "", result.deviation())]
    click.echo(score_table(rows, ("fold", "N")))
    click.echo(f"{work.predictions_file}: {total:,} images, each predicted by the run without it")
    click.echo(f"{work.scores_file}, {work.plot_file}")
