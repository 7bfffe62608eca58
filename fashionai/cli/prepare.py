"""fashionai prepare."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from fashionai.cli.progress import progress_bar
from fashionai.datasets.names import MODES
from fashionai.default_folders import DATA_FOLDER, PREPARED_FOLDER

EPILOG = """
\b
Examples:
  fashionai prepare --task skirt
  fashionai prepare --task all --skip-bad
  fashionai prepare --task logos --data data/flickrlogos
  fashionai prepare --task birds --csv labels.csv --images photos
  fashionai prepare --task birds --folders birds
"""


@click.command(epilog=EPILOG)
@click.option(
    "--task",
    "tasks",
    multiple=True,
    required=True,
    help="Task name or alias (skirt, logos, ...), or all; may repeat. With --csv or --folders "
    "the name of a new task.",
)
@click.option("--data", type=click.Path(path_type=Path), default=DATA_FOLDER, help="Data folder.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=PREPARED_FOLDER,
    help="Where the task's folder goes.",
)
@click.option(
    "--val-fraction",
    type=click.FloatRange(0, 1, max_open=True),
    help="Share of the rows for validation.  [default: 0.1, of cactus 0.01]",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Decides the split.")
@click.option(
    "--mode",
    type=click.Choice(MODES),
    default="hardlink",
    help="How images get into the folders.",
)
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), help="Label file of your own.")
@click.option("--images", type=click.Path(path_type=Path), help="Folder that its paths start from.")
@click.option("--path-column", help="Name or number of the column of paths.")
@click.option("--label-column", help="Name or number of the column of classes.")
@click.option("--split-column", help="Column of train, val or test.")
@click.option("--group-column", help="Column of groups: rows of one stay in one split.")
@click.option(
    "--folders", type=click.Path(path_type=Path), help="Class folders of your own, or of splits."
)
@click.option("--classes", metavar="A,B,C", help="The classes in order.  [default: by name]")
@click.option(
    "--no-logo-share",
    type=click.FloatRange(0, 1, max_open=True),
    help="Share of the no-logo validation list to train on; 0 makes logos 32 classes.  "
    "[default: 0.5]",
)
@click.option("--skip-bad", is_flag=True, help="Go on without images that cannot be decoded.")
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
    no_logo_share: Optional[float],
    skip_bad: bool,
) -> None:
    """Reorganize label files and images into per-class folders.

    Every image is opened once; what does not decode is listed in rejected.csv.
    Running it again repairs what is missing.
    """
    columns = {
        "path_column": path_column,
        "label_column": label_column,
        "split_column": split_column,
        "group_column": group_column,
    }
    own = csv_file is not None or folders is not None
    for wrong, message in (
        (csv_file and folders, "--csv and --folders exclude each other"),
        (bool(csv_file) != bool(images), "--csv FILE and --images DIR go together"),
        (not csv_file and any(columns.values()), "--path-column and the like go with --csv"),
        (not own and classes is not None, "--classes goes with --csv or --folders"),
        (own and no_logo_share is not None, "--no-logo-share goes with --task logos"),
        (own and len(tasks) > 1, "--csv and --folders make one task: give one --task"),
    ):
        if wrong:
            raise click.UsageError(message)
    from fashionai.datasets.prepared.prepare import prepare, summary_notes, summary_table
    from fashionai.datasets.reading import OwnFiles, read_sources

    listed = [] if classes is None else [name.strip() for name in classes.split(",")]
    own_files = OwnFiles(csv_file, images, folders, columns, listed)
    for source in read_sources(tasks, data, no_logo_share, own_files):
        summary = prepare(
            source,
            out,
            val_fraction=val_fraction,
            seed=seed,
            mode=mode,
            skip_bad=skip_bad,
            progress=progress_bar,
        )
        click.echo(summary_table(summary))
        for note in summary_notes(summary):
            click.echo(note)
        click.echo()
