"""fashionai runs."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path

import click

from fashionai.cli.terminal.progress import log_to_terminal
from fashionai.files.default_folders import RUNS_FOLDER

EPILOG = """
\b
Examples:
  fashionai runs
  fashionai runs runs/skirt-folds
  fashionai runs --watch
"""


@click.command(epilog=EPILOG)
@click.argument("folder", type=click.Path(path_type=Path), default=RUNS_FOLDER)
@click.option(
    "--watch",
    is_flag=True,
    help="Show a table of running and finished runs, with the curve of each, until Ctrl-C.",
)
def command(folder: Path, watch: bool) -> None:
    """List the runs in FOLDER and their validation scores, the best first.

    FOLDER defaults to runs/. A cross-validation has the mean scores of its folds.
    For a search it names the command that lists the trials.
    """
    if watch:
        _watch(folder)
        return
    from fashionai.errors import RunError
    from fashionai.reporting.tables import run_table
    from fashionai.runs import (
        BASE_CONFIG_FILE,
        STUDY_FILE,
        find_cross_validations,
        find_folders_of,
        find_sound_runs,
    )

    log_to_terminal()
    runs = find_sound_runs(folder)
    cross_validations = find_cross_validations(folder)
    searches = [
        path
        for path in find_folders_of(f"*/{STUDY_FILE}", folder)
        if (path / BASE_CONFIG_FILE).is_file() and find_folders_of("*/config.yaml", path)
    ]
    if not runs and not cross_validations and not searches:
        deeper = find_folders_of("*/*/config.yaml", folder)
        hint = "Give another folder, or train a run"
        if deeper:
            hint = f"Did you mean {deeper[0].parent}?"
        raise RunError(f"{folder}: no runs found", hint)
    if runs or cross_validations:
        click.echo(run_table(runs, cross_validations))
    for search in searches:
        click.echo(f"Trials of a search: fashionai runs {shlex.quote(str(search))}")


def _watch(folder: Path) -> None:
    """Draw the table on the whole terminal; without one, print it each time that it changes."""
    from fashionai.reporting.live import watch

    def show(table: str) -> None:
        click.clear()  # does nothing without a terminal
        click.echo(f"{table}\n")

    with contextlib.suppress(KeyboardInterrupt):
        watch(folder, show)
