"""fashionai inspect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import click

from fashionai.cli.arguments.options import (
    OutputFile,
    PredictionSettings,
    overwrite_option,
    prediction_options,
    prepared_task_options,
)
from fashionai.cli.terminal.next_steps import after_inspect
from fashionai.cli.terminal.progress import log_to_terminal, progress_bar
from fashionai.errors import counted
from fashionai.files.default_folders import PREPARED_FOLDER

if TYPE_CHECKING:
    from fashionai.inspection.findings import Finding
    from fashionai.scoring.rows.labelled_predictions import LabelledPredictions
    from fashionai.tasks import Task

EPILOG = """
\b
Examples:
  fashionai inspect --task birds
  fashionai inspect --task birds --run runs/birds --out findings.csv
  fashionai inspect --task birds --folds runs/birds-folds --out findings.csv
"""

# The findings of each kind that are printed.
SHOWN = 10
# Columns of the terminal.
MOST_OF_A_NAME = 18
HOW_TO_GET_SUSPECTS = (
    "suspect labels: give --run RUN for the validation images, or --folds DIR of\n"
    "fashionai cross-validate for all training and validation images"
)
UNINFORMATIVE = (
    "warning: the predictions are not clearly better than chance, so these suspects may\n"
    "mean nothing. Train a better run, or take more images with --folds"
)


@click.command(epilog=EPILOG)
@prepared_task_options(f"that of the run, else {PREPARED_FOLDER}")
@click.option(
    "--run",
    "run_path",
    type=click.Path(path_type=Path),
    help="Run that predicts the validation images, to find wrong labels among them.",
)
@click.option(
    "--folds",
    "folds_path",
    type=click.Path(path_type=Path),
    help="Folder of a cross-validation, to find wrong labels by its out-of-fold predictions.",
)
@click.option("--out", type=OutputFile(), help="CSV file to write all findings to.")
@overwrite_option
@prediction_options
def command(
    task_name: str,
    folder: Optional[Path],
    run_path: Optional[Path],
    folds_path: Optional[Path],
    out: Optional[Path],
    overwrite: bool,
    settings: PredictionSettings,
) -> None:
    """Find labels that are probably wrong, and images that look alike.

    Suspect labels are found by confident learning: a network that has not been
    trained on an image says with more confidence than usual that it belongs to
    another class. Images that look alike are byte-identical ones and
    near-duplicates: resized, recompressed, brightened or mirrored. In different
    splits they make scores too good; with different labels one of them is wrong.
    """
    if run_path is not None and folds_path is not None:
        raise click.UsageError("--run and --folds exclude each other")
    if run_path is None and settings.image_size is not None:
        raise click.UsageError("--image-size goes with --run")
    from fashionai.datasets.prepared.folders import find_prepared
    from fashionai.files.outputs import check_output
    from fashionai.inspection.findings import FINDINGS, write_findings
    from fashionai.inspection.images import read_images
    from fashionai.inspection.inspect import are_informative, inspect_images, inspect_labels

    if out is not None:
        check_output("--out", out, FINDINGS, overwrite=overwrite)
    log_to_terminal()
    folder = folder or _folder_of(run_path, folds_path)
    task = find_prepared(task_name, folder)
    images = read_images(folder / task.name)
    held_out = _held_out(task, folder, run_path, folds_path, settings)
    suspects = [] if held_out is None else inspect_labels(images, held_out)
    informative = held_out is not None and are_informative(held_out)
    count = counted(len(images.paths), "image")
    click.echo(f"{task.short_name}: {count}, {_splits(images.splits)}")
    if held_out is None:
        click.echo(f"\n{HOW_TO_GET_SUSPECTS}")
    else:
        _print_suspects(suspects, len(held_out.files), informative, out)
    pairs = inspect_images(images, progress_bar)
    _print_pairs(pairs, out)
    if out is not None:
        write_findings(out, [*suspects, *pairs])
        click.echo(f"\n{out}: {counted(len(suspects) + len(pairs), 'finding')}")
        if pairs or (suspects and informative):
            click.echo(after_inspect(task, folder, out))


def _folder_of(run_path: Optional[Path], folds_path: Optional[Path]) -> Path:
    """The folder of the prepared tasks that a run, or the runs of a cross-validation, learnt."""
    from fashionai.runs import Run, RunFolder, find_folds

    folds = [] if folds_path is None else find_folds(folds_path)
    runs = [*folds[:1], *([] if run_path is None else [RunFolder(run_path)])]
    return Path(Run(runs[0]).config.data.folder) if runs else PREPARED_FOLDER


def _held_out(
    task: Task,
    folder: Path,
    run_path: Optional[Path],
    folds_path: Optional[Path],
    settings: PredictionSettings,
) -> Optional[LabelledPredictions]:
    from fashionai.inspection.held_out import predicted_out_of_fold, predicted_validation
    from fashionai.runs import Run

    if folds_path is not None:
        return predicted_out_of_fold(folds_path, task, folder / task.name)
    if run_path is None:
        return None
    run = Run.open(run_path).at_crop(settings.image_size)
    chosen = settings.chosen()
    options = {**settings.options, "engine": chosen.engine}
    return predicted_validation(run, task, folder, chosen.contexts, progress_bar, **options)


def _splits(splits: Sequence[str]) -> str:
    return ", ".join(f"{count:,} in {split}" for split, count in Counter(splits).items())


def _print_suspects(
    suspects: Sequence[Finding], images: int, informative: bool, out: Optional[Path]
) -> None:
    from fashionai.reporting.tables import aligned_table
    from fashionai.text_width import keep_end

    click.echo(f"\nsuspect labels: {len(suspects):,} of {counted(images, 'image')}")
    if suspects:
        if not informative:
            click.echo(UNINFORMATIVE)
        width = max(len(name) for each in suspects for name in (each.label, each.suggested))
        width = min(width, MOST_OF_A_NAME) + 2
        columns = [("label", width), ("p", 6), ("suggested", max(width, 11)), ("p", 6)]
        rows = [
            (
                each.path,
                [
                    keep_end(each.label, MOST_OF_A_NAME),
                    _rounded(each.label_probability),
                    keep_end(each.suggested, MOST_OF_A_NAME),
                    _rounded(each.suggested_probability),
                ],
            )
            for each in suspects[:SHOWN]
        ]
        click.echo(aligned_table("image", columns, rows))
        _print_rest(len(suspects), out)


def _print_pairs(pairs: Sequence[Finding], out: Optional[Path]) -> None:
    from fashionai.inspection.findings import IDENTICAL

    labels = sum(pair.across_labels for pair in pairs)
    splits = sum(pair.across_splits for pair in pairs)
    click.echo(
        f"\nlook alike: {counted(len(pairs), 'pair')} "
        f"(in different splits: {splits:,}, with different labels: {labels:,})"
    )
    for pair in pairs[:SHOWN]:
        similarity = "same" if pair.kind == IDENTICAL else _rounded(pair.similarity)
        click.echo(f"  {similarity}  {pair.path} ({pair.split}, {pair.label})")
        click.echo(f"        {pair.other_path} ({pair.other_split}, {pair.other_label})")
    _print_rest(len(pairs), out)


def _rounded(number: str) -> str:
    """A number of a finding as the screen shows it."""
    return f"{float(number):.2f}"


def _print_rest(findings: int, out: Optional[Path]) -> None:
    if findings > SHOWN:
        place = "--out writes all" if out is None else f"all are in {out}"
        click.echo(f"... and {findings - SHOWN:,} more; {place}")
