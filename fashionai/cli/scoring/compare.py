"""fashionai compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Optional

import click

from fashionai.cli.arguments.options import GivenLabels, OutputFile, labels_option, overwrite_option
from fashionai.cli.terminal.progress import log_to_terminal
from fashionai.errors import counted

if TYPE_CHECKING:
    from fashionai.scoring.compare import TaskComparison

EPILOG = """
\b
Examples:
  fashionai compare a.csv b.csv
  fashionai compare a.csv b.csv --labels answer.csv --out differences.csv
  fashionai compare val-a.csv val-b.csv --labels data/train_valid
"""

OUTCOME_COLUMNS = [("both correct", 14), ("only A", 8), ("only B", 8), ("neither", 9), ("p", 9)]


@click.command(epilog=EPILOG)
@click.argument("file_a", type=click.Path(path_type=Path), metavar="A.csv")
@click.argument("file_b", type=click.Path(path_type=Path), metavar="B.csv")
@labels_option(
    "Label file, class folders or prepared folder, to count correct predictions; may be repeated."
)
@click.option(
    "--out",
    type=OutputFile(),
    help="CSV file to write the rows with different predictions to.",
)
@overwrite_option
def command(
    file_a: Path, file_b: Path, labels: GivenLabels, out: Optional[Path], overwrite: bool
) -> None:
    """Compare two prediction files of the same rows.

    The predicted class is the one with the largest probability. In the table of
    predicted classes, "differ" counts rows of A that B predicts otherwise. "mean
    difference" is the mean absolute difference of probabilities over all rows and
    classes. With labels, p is the p value of McNemar's exact test: the probability
    of a difference at least as large if both files were equally good.
    """
    from fashionai.files.outputs import check_output
    from fashionai.scoring.compare import DIFFERENCES, compare_tasks, write_differences
    from fashionai.scoring.rows.joining import join_files
    from fashionai.scoring.rows.labels import labels_of_joined

    files = labels.files
    if out in (file_a, file_b):
        raise click.UsageError(f"--out {out} is one of the files to compare")
    if out is not None:
        check_output("--out", out, DIFFERENCES, [file_a, file_b, *files.paths], overwrite)
    log_to_terminal()
    joined = join_files([file_a, file_b])
    names = str(file_a), files.names
    truth = labels_of_joined(files, joined)
    compared = compare_tasks(joined, truth, names)
    click.echo(f"A: {file_a}\nB: {file_b}\n")
    _print_tasks(compared)
    for part in compared:
        _print_classes(part)
    if out is not None:
        click.echo(f"\n{out}: {counted(write_differences(out, compared), 'row')}")


def _print_tasks(compared: list[TaskComparison]) -> None:
    from fashionai.reporting.tables import aligned_table
    from fashionai.scoring.compare import Outcomes

    counts = [(part.name, len(part.images), int(part.differs.sum())) for part in compared]
    outcomes = [(part.name, part.outcomes()) for part in compared]
    differences = [f"{part.mean_difference:.4f}" for part in compared]
    if len(compared) > 1:
        counts.append(("all", sum(n for _, n, _ in counts), sum(n for _, _, n in counts)))
        outcomes.append(("all", Outcomes(*map(sum, zip(*(found for _, found in outcomes))))))
        differences.append("")
    columns = [("rows", 8), ("differ", 8), ("share", 9), ("mean difference", 17)]
    lines = [
        (name, [rows, differing, f"{differing / rows:.2%}", difference])
        for (name, rows, differing), difference in zip(counts, differences)
    ]
    click.echo(aligned_table("predictions", columns, lines))
    if outcomes[-1][1].rows:
        correct = [
            (name, [found.rows, *found, _show_p_value(found.p_value)])
            for name, found in outcomes
            if found.rows
        ]
        click.echo("\n" + aligned_table("correct", [("labelled", 10), *OUTCOME_COLUMNS], correct))


def _print_classes(part: TaskComparison) -> None:
    from fashionai.reporting.tables import aligned_table

    classes = list(enumerate(part.task.classes))
    counts = [(name, part.count_predicted(index)) for index, name in classes]
    predicted = [(name, [a, b, both, a - both]) for name, (a, b, both) in counts]
    columns = [("A", 8), ("B", 8), ("both", 8), ("differ", 8)]
    click.echo(f"\n{part.name}")
    click.echo(aligned_table("predicted class", columns, predicted))
    if part.outcomes().rows:
        found = [(name, part.outcomes(index)) for index, name in classes]
        lines = [(name, [outcome.rows, *outcome]) for name, outcome in found]
        columns = [("labelled", 10), *OUTCOME_COLUMNS[:-1]]
        click.echo("\n" + aligned_table("true class", columns, lines))


def _show_p_value(p_value: float) -> str:
    return f"{p_value:.4f}" if p_value >= 0.0001 else "<0.0001"
