"""fashionai review."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from fashionai.cli.arguments.options import prepared_task_options
from fashionai.cli.terminal.next_steps import after_review
from fashionai.files.default_folders import PREPARED_FOLDER

EPILOG = """
\b
Examples:
  fashionai inspect --task birds --run runs/birds --out findings.csv
  fashionai review --task birds --suspects findings.csv
  fashionai prepare --task birds --csv my.csv --corrections corrections.csv
"""


@click.command(epilog=EPILOG)
@prepared_task_options()
@click.option(
    "--suspects",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Findings of fashionai inspect --out.  [default: all images]",
)
@click.option(
    "--corrections",
    type=click.Path(path_type=Path),
    default=Path("corrections.csv"),
    metavar="FILE",
    help="CSV file of the decisions; an existing one is continued.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on; 0 is a free one."
)
def command(
    task_name: str,
    folder: Optional[Path],
    suspects: Optional[Path],
    corrections: Path,
    port: int,
) -> None:
    """Correct labels on a page that this machine alone can open.

    Shows suspect images one by one or as a grid, with images that look alike and
    the probabilities of the classes. Keys accept the suggested label, keep the
    label, choose another one, drop the image, skip it or undo. Each decision is
    saved at once. The label files are never changed: fashionai prepare
    --corrections applies the decisions. Ctrl-C ends the review.
    """
    from fashionai.datasets.prepared.folders import find_prepared
    from fashionai.reviewing.start import ReviewFiles, review

    files = ReviewFiles(task_name, folder or PREPARED_FOLDER, suspects, corrections)
    if review(files, port, click.echo):
        task = find_prepared(task_name, files.folder)
        click.echo(after_review(task, files.folder, corrections))
