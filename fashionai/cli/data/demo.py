"""fashionai demo."""

from __future__ import annotations

from pathlib import Path

import click

from fashionai.cli.terminal.next_steps import after_demo
from fashionai.cli.terminal.progress import progress_bar
from fashionai.files.default_folders import DEMO_FOLDER

EPILOG = """
\b
Example:
  fashionai demo --out data/demo
"""


@click.command(epilog=EPILOG)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=DEMO_FOLDER,
    help="Data folder to write. It may hold the same demo, whole or in part.",
)
@click.option(
    "--train-images", type=click.IntRange(min=1), default=1200, help="Training images per task."
)
@click.option(
    "--test-images", type=click.IntRange(min=1), default=240, help="Test images per task."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of the random drawings.")
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace label files that hold other rows, and images of an earlier demo.",
)
def command(out: Path, train_images: int, test_images: int, seed: int, overwrite: bool) -> None:
    """Write a small data set of drawn garments in the format of the FashionAI archives.

    ./benchmark.sh --demo runs this command, and then prepares, trains, predicts and
    evaluates on the data set.
    """
    from fashionai.demo.data_set import DEMO_TASKS, write_demo

    with progress_bar("drawing garments", len(DEMO_TASKS) * (train_images + test_images)) as bar:
        write_demo(
            out,
            train_per_task=train_images,
            test_per_task=test_images,
            seed=seed,
            overwrite=overwrite,
            progress=bar,
        )
    click.echo(f"{out}: drawn garments for {', '.join(DEMO_TASKS)}")
    click.echo(after_demo(out))
