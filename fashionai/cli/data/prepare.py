"""fashionai prepare."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Callable, Optional, TypeVar

import click
from click.core import ParameterSource

from fashionai.cli.arguments.numbers import NumberRange
from fashionai.cli.arguments.options import column_options, images_option
from fashionai.cli.terminal.next_steps import after_prepare
from fashionai.cli.terminal.progress import progress_bar
from fashionai.cli.terminal.wrapping import for_terminal
from fashionai.datasets.names import MODES, NEAR_DUPLICATES, REPORT
from fashionai.families import FAMILIES
from fashionai.files.default_folders import DATA_FOLDER, PREPARED_FOLDER

Function = TypeVar("Function", bound=Callable[..., Any])

EPILOG = """
\b
Examples:
  fashionai prepare --task skirt
  fashionai prepare --task all --skip-bad
  fashionai prepare --task logos --data data/flickrlogos
  fashionai prepare --task birds --csv photos/labels.csv
  fashionai prepare --task birds --csv labels.csv --images photos
  fashionai prepare --task birds --folders birds
"""


# The options of single families by name, and what to say when they are misplaced.
OPTIONS = [family.option for family in FAMILIES.values() if family.option is not None]
GOES_WITH = {
    family.option.name: f"{family.option.flag} goes with --task {family.tasks[0].short_name}"
    for family in FAMILIES.values()
    if family.option is not None
}


def family_options(function: Function) -> Function:
    """Add the options that single families have."""
    for option in OPTIONS:
        share = NumberRange(0, 1, max_open=True)
        function = click.option(option.flag, option.name, type=share, help=option.help)(function)
    return function


@click.command(epilog=EPILOG)
@click.option(
    "--task",
    "tasks",
    multiple=True,
    required=True,
    help="Name or alias of a task (skirt, logos, ...), or all; may be repeated. With --csv or "
    "--folders the name of a new task.",
)
@click.option("--data", type=click.Path(path_type=Path), default=DATA_FOLDER, help="Data folder.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=PREPARED_FOLDER,
    help="Folder to write the task's folder to.",
)
@click.option(
    "--val-fraction",
    type=NumberRange(0, 1, max_open=True),
    help="Share of the rows for validation.  [default: that of the data set, usually 0.1]",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of the random split.")
@click.option(
    "--mode",
    type=click.Choice(MODES),
    default="hardlink",
    help="How images are placed in the class folders.",
)
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), help="Your own label file.")
@images_option("--csv")
@column_options("path", "label", "split", "group")
@click.option(
    "--folders",
    type=click.Path(path_type=Path),
    help="Your own class folders, or folders train, val and test of class folders.",
)
@click.option(
    "--classes", metavar="A,B,C", help="Order of the classes.  [default: sorted by name or number]"
)
@family_options
@click.option(
    "--skip-bad",
    is_flag=True,
    help="Leave out images that cannot be decoded, and images of --csv that are missing, unless "
    "nearly all are.",
)
@click.option(
    "--near-duplicates",
    type=click.Choice(NEAR_DUPLICATES),
    default=REPORT,
    help="Images that look almost the same: report their number; group keeps them in one split.",
)
@click.option(
    "--corrections",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="CSV file of corrected labels, as fashionai review writes it.",
)
@click.option(
    "--pseudo-labels",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="CSV file of predicted classes, as fashionai pseudo-label writes it; its images are added "
    "to the training split.",
)
def command(
    tasks: tuple[str, ...],
    data: Path,
    out: Path,
    val_fraction: Optional[float],
    seed: int,
    mode: str,
    csv_file: Optional[Path],
    images: Optional[Path],
    path_column: Optional[str],
    label_column: Optional[str],
    split_column: Optional[str],
    group_column: Optional[str],
    folders: Optional[Path],
    classes: Optional[str],
    skip_bad: bool,
    near_duplicates: str,
    corrections: Optional[Path],
    pseudo_labels: Optional[Path],
    **shares: Optional[float],
) -> None:
    """Reorganize label files and images into per-class folders.

    Every image is decoded once. Images that cannot be used are listed in
    rejected.csv. Running prepare again repairs missing files.
    """
    columns = {
        "path_column": path_column,
        "label_column": label_column,
        "split_column": split_column,
        "group_column": group_column,
    }
    own = csv_file is not None or folders is not None
    source = click.get_current_context().get_parameter_source("data")
    for wrong, message in (
        (own and source is ParameterSource.COMMANDLINE, "--data goes without --csv and --folders"),
        (csv_file and folders, "--csv and --folders exclude each other"),
        (not csv_file and images, "--images goes with --csv"),
        (not csv_file and any(columns.values()), "--path-column and the like go with --csv"),
        (not own and classes is not None, "--classes goes with --csv or --folders"),
        *((own and shares[name] is not None, message) for name, message in GOES_WITH.items()),
        (own and len(tasks) > 1, "--csv and --folders make one task: give one --task"),
        (corrections and len(tasks) > 1, "--corrections are of one task: give one --task"),
        (pseudo_labels and len(tasks) > 1, "--pseudo-labels are of one task: give one --task"),
    ):
        if wrong:
            raise click.UsageError(message)
    from fashionai.datasets.prepared.prepare import prepare, summary_notes, summary_table
    from fashionai.datasets.reading import OwnFiles, check_apart, check_not_own, read_data_sets

    if not own:
        check_not_own(tasks, out)
    if folders is not None:
        check_apart(folders, out / tasks[0])
    listed = [] if classes is None else [name.strip() for name in classes.split(",")]
    own_files = OwnFiles(csv_file, images, folders, columns, listed, skip_bad)
    given = {name: share for name, share in shares.items() if share is not None}
    data_sets = read_data_sets(tasks, data, given, own_files)
    for number, data_set in enumerate(data_sets):
        summary = prepare(
            data_set,
            out,
            val_fraction=val_fraction,
            seed=seed,
            mode=mode,
            skip_bad=skip_bad,
            near_duplicates=near_duplicates,
            corrections=corrections,
            pseudo_labels=pseudo_labels,
            progress=progress_bar,
        )
        if number > 0:
            click.echo()
        click.echo(summary_table(summary))
        for note in summary_notes(summary):
            click.echo(for_terminal(note, sys.stdout))
    click.echo(after_prepare([data_set.task for data_set in data_sets], out))
