"""fashionai init."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

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
    default=Path("data/train_valid"),
    help="Where prepare has put the task.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="File to write.  [default: configs/TASK.yaml]",
)
@click.option("--overwrite", is_flag=True, help="Replace the file if it is there.")
@click.argument("name", metavar="TASK")
def command(name: str, folder: Path, out: Optional[Path], overwrite: bool) -> None:
    """Write a configuration for a prepared task, chosen by its images.

    Network and input size follow from the size of the images, batch and epochs
    from their number, class weights from their balance; comments tell why.

    Editors complete and check its keys by the file .fashionai.schema.json beside
    it, where they know YAML schemas.
    """
    import numpy as np

    from fashionai.datasets.starter_config import write_starter_config

    path = write_starter_config(name, folder, out, overwrite, np.random.default_rng(0))
    click.echo(f"{path}: written. Train with: fashionai train --config {path}")
