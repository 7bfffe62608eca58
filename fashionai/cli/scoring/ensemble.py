"""fashionai ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import click

from fashionai.cli.arguments.numbers import parse_numbers
from fashionai.cli.arguments.options import GivenLabels, OutputFile, labels_option, overwrite_option
from fashionai.cli.terminal.progress import log_to_terminal
from fashionai.errors import ConfigError, counted
from fashionai.metrics import SCORE_NAMES

EPILOG = """
\b
Examples:
  fashionai ensemble a.csv b.csv --out mean.csv
  fashionai ensemble a.csv b.csv --weights 0.6,0.4 --out mean.csv
  fashionai ensemble val-a.csv val-b.csv --search --labels data/train_valid

Choose weights on validation rows (fashionai predict --split val), then give
them with --weights to the test files of the same runs, in the same order.
"""


@click.command(epilog=EPILOG)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="A.csv B.csv ...")
@click.option("--out", type=OutputFile(), help="Prediction file to write.")
@click.option(
    "--weights",
    "weights_text",
    metavar="0.6,0.4",
    help="One weight per file; they are divided by their sum.  [default: equal]",
)
@click.option("--search", is_flag=True, help="Choose the weights with the best score on --labels.")
@labels_option(
    "Label file, class folders or prepared folder with labels for all rows; may be repeated."
)
@click.option(
    "--by",
    type=click.Choice(list(SCORE_NAMES)),
    default="map",
    help="Score by which --search chooses the weights.",
)
@overwrite_option
def command(
    files: tuple[Path, ...],
    out: Optional[Path],
    weights_text: Optional[str],
    search: bool,
    labels: GivenLabels,
    by: str,
    overwrite: bool,
) -> None:
    """Average prediction files that hold the same rows, in any order.

    The mean has the rows in the order of the first file.
    """
    from fashionai.files.outputs import check_output
    from fashionai.metrics import SCORE_NAMES
    from fashionai.predictions.formats import PREDICTIONS, write_predictions
    from fashionai.reporting.tables import score_table
    from fashionai.scoring.ensemble import average_files, normalize_weights, search_weights
    from fashionai.scoring.rows.joining import join_files
    from fashionai.scoring.rows.labels import labels_of_joined

    label_files = labels.files
    _check_arguments(files, out, weights_text, search, label_files.paths)
    weights = normalize_weights(_parse_weights(weights_text), len(files))
    if out is not None:
        check_output("--out", out, PREDICTIONS, [*files, *label_files.paths], overwrite)
    log_to_terminal()
    joined = join_files(files)
    if search:
        names = str(files[0]), label_files.names
        truth = labels_of_joined(label_files, joined)
        found = search_weights(joined, truth, names, by)
        click.echo(f"{counted(found.rows, 'labelled row')}, weights chosen by {SCORE_NAMES[by]}")
        lines = [
            (str(file), f"{weight / sum(found.weights):.4f}", scores)
            for file, weight, scores in zip(files, found.weights, found.files)
        ]
        lines += [("equal weights", "", found.equal), ("these weights", "", found.chosen)]
        click.echo(score_table(lines, ("file", "weight")))
        click.echo("These weights were chosen on these rows: their score is a little too good.")
        click.echo(f"--weights {','.join(map(str, found.weights))}")
        weights = normalize_weights(found.weights, len(files))
    if out is not None:
        rows = average_files(joined, weights)
        write_predictions(out, rows)
        click.echo(f"{out}: {counted(len(rows), 'row')}, the mean of {counted(len(files), 'file')}")


def _check_arguments(
    files: tuple[Path, ...],
    out: Optional[Path],
    weights: Optional[str],
    search: bool,
    labels: Sequence[Path],
) -> None:
    if len(files) < 2:
        raise click.UsageError("give two or more prediction files")
    if len(set(files)) < len(files):
        raise click.UsageError("a file is given twice: use --weights to give it more weight")
    if out in files:
        raise click.UsageError(f"--out {out} is one of the files to average")
    if search != bool(labels):
        raise click.UsageError("--search and --labels go together")
    if search and weights is not None:
        raise click.UsageError("--search chooses the weights: leave --weights out")
    if not search and out is None:
        raise click.UsageError("give --out FILE, or --search --labels FILE to choose weights")


def _parse_weights(text: Optional[str]) -> list[float]:
    try:
        return parse_numbers(text) if text is not None else []
    except ValueError:
        raise ConfigError(f"--weights: found '{text}', expected numbers such as 0.6,0.4") from None
