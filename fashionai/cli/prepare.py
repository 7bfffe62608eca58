"""fashionai prepare."""

from __future__ import annotations

from pathlib import Path

import click

from fashionai.cli.progress import progress_bar

EPILOG = """
\b
Examples:
  fashionai prepare --task skirt
  fashionai prepare --task all --skip-bad
  fashionai prepare --task fashion-mnist --data data/fashion-mnist
"""


@click.command(epilog=EPILOG)
@click.option(
    "--task",
    "tasks",
    multiple=True,
    required=True,
    help="Task name or alias (skirt, coat, ...), or all; may repeat.",
)
@click.option("--data", type=click.Path(path_type=Path), default=Path("data"), help="Data folder.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("data/train_valid"),
    help="Where the task's folder goes.",
)
@click.option(
    "--val-fraction",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.1,
    help="Share of the rows for validation.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Decides the split.")
@click.option(
    "--mode",
    type=click.Choice(["hardlink", "copy", "symlink"]),
    default="hardlink",
    help="How images get into the folders.",
)
@click.option("--skip-bad", is_flag=True, help="Go on without images that cannot be decoded.")
def command(
    tasks: tuple[str, ...],
    data: Path,
    out: Path,
    val_fraction: float,
    seed: int,
    mode: str,
    skip_bad: bool,
) -> None:
    """Reorganize label files and images into per-class folders.

    Every image is opened once; what does not decode is listed in rejected.csv.
    Running it again repairs what is missing.
    """
    from fashionai.datasets.prepare import prepare, read_source, summary_notes, summary_table
    from fashionai.tasks import expand_tasks

    for task in expand_tasks(tasks):
        summary = prepare(
            read_source(task, data),
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
