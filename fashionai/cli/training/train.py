"""fashionai train."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from fashionai.cli.arguments.options import (
    config_option,
    device_options,
    engine_option,
    parse_gpus,
    with_engine,
)
from fashionai.cli.terminal.next_steps import after_train
from fashionai.cli.terminal.progress import log_to_terminal

EPILOG = """
\b
Examples:
  fashionai train --config skirt
  fashionai train --config skirt epochs=10 optimizer.lr=0.01
  fashionai train --run runs/skirt --resume

KEY=VALUE overrides any key that fashionai config prints.
"""


@click.command(epilog=EPILOG)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@config_option()
@click.option(
    "--run",
    "run_path",
    type=click.Path(path_type=Path),
    help="Folder of the run.  [default: runs/TASK, or runs/TASK-2 ... if that exists]",
)
@click.option("--resume", is_flag=True, help="Resume the run; start it if it does not exist.")
@click.option("--overwrite", is_flag=True, help="Delete an existing run and start anew.")
@engine_option
@device_options
def command(
    overrides: tuple[str, ...],
    config_file: Optional[Path],
    run_path: Optional[Path],
    resume: bool,
    overwrite: bool,
    engine: Optional[str],
    device: str,
    gpus: str,
) -> None:
    """Train a network on prepared folders.

    The weights of the epoch with the best validation mAP are saved (the
    configuration's monitor chooses another score or the last epoch). A run that
    was stopped can be resumed.
    """
    if resume and overwrite:
        raise click.UsageError("--resume and --overwrite exclude each other")
    if config_file is None and not (resume and run_path):
        raise click.UsageError("give --config FILE, or --run DIR --resume to resume a run")
    chosen_gpus, overrides = parse_gpus(gpus), tuple(with_engine(overrides, engine))
    from fashionai.config import load_config
    from fashionai.errors import RunError
    from fashionai.frameworks.processes import current_place
    from fashionai.runs import Run, RunFolder
    from fashionai.training.interrupt import stop_with_parent
    from fashionai.training.start import train

    stop_with_parent()
    if config_file is None and run_path is not None and not run_path.exists():
        raise RunError(f"{run_path}: does not exist", "Give --config FILE to start it")
    if config_file is None:
        config = Run(RunFolder(run_path or Path())).config_with(overrides)
    else:
        config = load_config(config_file, overrides)
    if current_place().is_first:
        log_to_terminal()
    run = train(
        config,
        run_path,
        device,
        chosen_gpus,
        resume=resume,
        overwrite=overwrite,
        config_file=config_file,
    )
    # Where training is shared by processes, the command that has started them prints this.
    if current_place().count == 1:
        click.echo(after_train(run.path))
