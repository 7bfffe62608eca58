"""fashionai tasks."""

from __future__ import annotations

from pathlib import Path

import click

from fashionai.files.default_folders import PREPARED_FOLDER

EPILOG = """
\b
Examples:
  fashionai tasks
  fashionai tasks skirt logos
"""


@click.command(epilog=EPILOG)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=PREPARED_FOLDER,
    help="Folder that prepare wrote tasks to.",
)
@click.argument("names", nargs=-1, metavar="[TASK]...")
def command(folder: Path, names: tuple[str, ...]) -> None:
    """List the known and the prepared tasks with their classes."""
    from fashionai.errors import DataError
    from fashionai.families import expand_tasks, known_tasks
    from fashionai.reporting.tables import task_lines
    from fashionai.tasks import prepared_tasks

    if folder != PREPARED_FOLDER and not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    prepared = prepared_tasks(folder)
    known = {task.name: task for task in (*known_tasks(), *prepared)}
    chosen = expand_tasks(names, prepared) if names else list(known.values())
    for task in chosen:
        state = "prepared" if task.name in {each.name for each in prepared} else "not prepared"
        for line in task_lines(task, state):
            click.echo(line)
