"""fashionai demo."""

from __future__ import annotations

from pathlib import Path

import click

from fashionai.cli.progress import progress_bar


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("data/demo"),
    help="Data folder to write.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Decides every drawing.")
def command(out: Path, seed: int) -> None:
    """Write a small data set of drawn garments in the shape of the FashionAI archives.

    ./benchmark.sh --demo does this and then prepares, trains, predicts and
    evaluates on it.
    """
    from fashionai.datasets.synthetic import DEMO_TASKS, write_demo

    with progress_bar("drawing garments", 0) as advance:
        write_demo(out, seed=seed, progress=advance)
    click.echo(f"{out}: drawn garments for {', '.join(DEMO_TASKS)}")
