"""fashionai train."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from fashionai.cli.options import device_options, parse_gpus
from fashionai.cli.progress import log_to_terminal

EPILOG = """
\b
Examples:
  fashionai train --config configs/skirt.yaml
  fashionai train --config configs/skirt.yaml epochs=10 optimizer.lr=0.01
  fashionai train --run runs/skirt --resume

KEY=VALUE overrides any key that fashionai config prints.
"""


@click.command(epilog=EPILOG)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="YAML file.")
@click.option(
    "--run",
    "run_path",
    type=click.Path(path_type=Path),
    help="Run folder.  [default: runs/TASK, or runs/TASK-2 ... if taken]",
)
@click.option("--resume", is_flag=True, help="Go on with the run where it stopped, if it began.")
@click.option("--overwrite", is_flag=True, help="Delete the run that is there and start anew.")
@device_options
def command(
    overrides: tuple[str, ...],
    config_file: Optional[Path],
    run_path: Optional[Path],
    resume: bool,
    overwrite: bool,
    device: str,
    gpus: str,
) -> None:
    """Train a network on prepared folders and keep the best by validation mAP."""
    if resume and overwrite:
        raise click.UsageError("--resume and --overwrite exclude each other")
    if config_file is None and not (resume and run_path):
        raise click.UsageError("give --config FILE, or --run DIR --resume to go on with a run")
    from fashionai.config import load_config
    from fashionai.runs import RUNS_FOLDER, RunFolder, create_run, remove_run
    from fashionai.tasks import find_task

    source = config_file or RunFolder(run_path or Path()).config_file
    config = load_config(source, overrides)
    wanted = run_path or RUNS_FOLDER / find_task(config.task).short_name
    run = RunFolder(wanted)
    log_to_terminal()
    if resume and run.is_finished:
        click.echo(f"{run}: already finished, {run.best_parameters}")
        return

    from fashionai.runtime import contexts
    from fashionai.training.trainer import train

    devices = contexts(device, parse_gpus(gpus))
    if overwrite:
        remove_run(wanted)
    if not (resume and run.config_file.is_file()):
        run = create_run(wanted)
    train(config, run, devices, resume=resume)
