"""fashionai runs."""

from __future__ import annotations

from pathlib import Path

import click

from fashionai.cli.progress import log_to_terminal
from fashionai.files.default_folders import RUNS_FOLDER

EPILOG = """
\b
Examples:
  fashionai runs
  fashionai runs runs/skirt-folds
"""


@click.command(epilog=EPILOG)
@click.argument("folder", type=click.Path(path_type=Path), default=RUNS_FOLDER)
def command(folder: Path) -> None:
    """List the runs in FOLDER and their validation scores, the best first.

    FOLDER defaults to runs/. A cross-validation has the mean scores of its folds.
    """
    from fashionai.errors import RunError
    from fashionai.reporting.tables import run_table
    from fashionai.runs import find_cross_validations, find_sound_runs

    log_to_terminal()
    runs = find_sound_runs(folder)
    cross_validations = find_cross_validations(folder)
    if not runs and not cross_validations:
        deeper = sorted({file.parent.parent for file in folder.glob("*/*/config.yaml")})
        hint = "Give another folder, or train a run"
        if deeper:
            hint = f"Did you mean {deeper[0]}?"
        raise RunError(f"{folder}: no runs found", hint)
    click.echo(run_table(runs, cross_validations))
