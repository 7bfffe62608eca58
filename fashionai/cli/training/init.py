"""fashionai init."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import click

from fashionai.cli.arguments.durations import Duration
from fashionai.cli.terminal.progress import log_to_terminal
from fashionai.files.default_folders import PREPARED_FOLDER

if TYPE_CHECKING:
    from fashionai.starter.write import Starter

EPILOG = """
\b
Examples:
  fashionai init birds
  fashionai init birds --time 10m
  fashionai init birds --model mobilenetv2_1.0 --out birds.yaml epochs=9

KEY=VALUE sets any key that fashionai config prints.
"""


@click.command(epilog=EPILOG)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=PREPARED_FOLDER,
    help="Folder that prepare wrote the task to.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Configuration file to write.  [default: configs/TASK.yaml]",
)
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@click.option("--model", metavar="NAME", help="Network, one that fashionai models lists.")
@click.option(
    "--time",
    "seconds",
    type=Duration(),
    metavar="TIME",
    help="Choose what trains within this time on this machine, such as 10m; measures its speed.",
)
@click.argument("name", metavar="TASK")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
def command(
    name: str,
    overrides: tuple[str, ...],
    folder: Path,
    out: Optional[Path],
    overwrite: bool,
    model: Optional[str],
    seconds: Optional[float],
) -> None:
    """Write a configuration that suits the images of a prepared task.

    The network is one whose weights are on this machine, else one whose weights
    pip can fetch. Input size follows from the size of the images, batch size
    and epochs from their number, class weights from the balance of the classes,
    and which layers learn from their number and the time. Comments in
    the file give the reasons.

    The schema file .fashionai.schema.json is written beside it. Editors that
    know YAML schemas use it to complete and check the keys.
    """
    from fashionai.starter.wishes import MODEL_KEY, Wishes
    from fashionai.starter.write import write_starter

    log_to_terminal("fashionai.starter")
    if model is not None:
        overrides = (*overrides, f"{MODEL_KEY}{model}")
    path, starter = write_starter(name, folder, out, overwrite, Wishes(overrides, seconds))
    click.echo(f"{path}: written")
    for line in _chosen(starter, seconds):
        click.echo(line)
    click.echo(f"Train with: fashionai train --config {shlex.quote(str(path))}")


def _chosen(starter: Starter, seconds: Optional[float]) -> list[str]:
    """What was chosen, at most three lines."""
    from fashionai.errors import counted
    from fashionai.files.formats.yaml_files import dump_flow
    from fashionai.training.speed.estimate import duration

    plan, tree = starter.plan, starter.tree
    lines = [
        f"network: {tree['model']['name']}, {plan.network_reason}",
        f"trainable: {dump_flow(tree['trainable'])}, crop {tree['data']['crop']}, "
        f"{counted(tree['epochs'], 'epoch')}, batch size {tree['batch_size']}",
    ]
    if plan.seconds is not None and seconds is not None:
        late = "" if plan.seconds <= seconds else f"; nothing here fits {duration(seconds)}"
        lines.append(f"estimated time: about {duration(plan.seconds)}{late}")
    return lines
