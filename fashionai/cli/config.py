"""fashionai config."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
def command(path: Path, overrides: tuple[str, ...]) -> None:
    """Print the resolved configuration: every key with the value that train uses.

    \b
    Example:
      fashionai config configs/skirt.yaml epochs=10 optimizer.lr=0.01
    """
    from fashionai.config import dump_config, load_config
    from fashionai.runs import Run, RunFolder, learnt_tasks

    # Beside a run's configuration are its tasks, wherever they were prepared.
    known = learnt_tasks([Run(RunFolder(path.parent))])
    click.echo(dump_config(load_config(path, overrides, known)), nl=False)
