"""fashionai review."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from fashionai.cli.options import prepared_task_options
from fashionai.errors import DataError, counted
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
    from fashionai.serving.local import LocalServer, check_web_libraries

    check_web_libraries("review")
    from fashionai.datasets.prepared.folders import find_prepared
    from fashionai.files.locks import locked
    from fashionai.inspection.findings import read_findings
    from fashionai.inspection.images import read_images
    from fashionai.serving.decisions import Decisions
    from fashionai.serving.review import Review, review_application
    from fashionai.serving.review_items import items_of_all, items_of_findings

    folder = folder or PREPARED_FOLDER
    task = find_prepared(task_name, folder)
    images = read_images(folder / task.name)
    if suspects is None:
        items = items_of_all(images)
    else:
        items = items_of_findings(images, read_findings(suspects))
    if not items:
        raise DataError(f"{suspects}: has no findings, so there is nothing to review")
    decisions = Decisions(corrections, task, folder / task.name)
    corrections.parent.mkdir(parents=True, exist_ok=True)
    busy = DataError(f"{corrections}: another review writes it", "End that one first")
    with locked(corrections.with_name(f".{corrections.name}.lock"), busy):
        server = LocalServer(review_application(Review(images, items, decisions)), port)
        click.echo(f"{counted(len(items), 'image')} to review; open in a browser:")
        click.echo(server.address)
        click.echo(f"Decisions are saved in {corrections}. Ctrl-C ends the review.")
        server.run()
    click.echo(f"{corrections}: {counted(len(decisions.rows), 'decision')}")
