"""fashionai init."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from fashionai.files.default_folders import PREPARED_FOLDER

EPILOG = """
\b
Examples:
  fashionai init birds
  fashionai init birds --out configs/birds2.yaml
"""


@click.command(epilog=EPILOG)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=PREPARED_FOLDER,
    help="Folder that prepare wrote the task to.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Configuration file to write.  [default: configs/TASK.yaml]",
)
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@click.argument("name", metavar="TASK")
def command(name: str, folder: Path, out: Optional[Path], overwrite: bool) -> None:
    """Write a configuration that suits the images of a prepared task.

    Network and input size follow from the size of the images, batch size and
    epochs from their number, class weights from the balance of the classes.
    Comments in the file give the reasons.

    The schema file .fashionai.schema.json is written beside it. Editors that
    know YAML schemas use it to complete and check the keys.
    """
    import numpy as np

    from fashionai.datasets.starter_config import write_starter_config

    path = write_starter_config(name, folder, out, overwrite, np.random.default_rng(0))
    click.echo(f"{path}: written. Train with: fashionai train --config {path}")
