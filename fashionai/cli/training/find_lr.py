"""fashionai find-lr."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Optional

import click

from fashionai.cli.arguments.numbers import NumberRange
from fashionai.cli.arguments.options import (
    config_option,
    device_options,
    engine_option,
    overwrite_option,
    parse_gpus,
    with_engine,
)
from fashionai.cli.terminal.progress import log_to_terminal, progress_bar
from fashionai.errors import counted

EPILOG = """
\b
Examples:
  fashionai find-lr --config skirt
  fashionai find-lr --config skirt --out plots batch_size=32

KEY=VALUE overrides any key that fashionai config prints.
"""

COLUMNS = ("learning_rate", "loss", "smoothed_loss")


@click.command(epilog=EPILOG)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@config_option(required=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Folder to write lr_finder.csv and lr_finder.png into.",
)
@click.option(
    "--lowest",
    type=NumberRange(0, min_open=True),
    default=1e-6,
    help="Learning rate of the first step.",
)
@click.option(
    "--highest",
    type=NumberRange(0, min_open=True),
    default=10.0,
    help="Learning rate of the last step.",
)
@click.option("--steps", type=click.IntRange(min=20), default=100, help="Number of training steps.")
@overwrite_option
@engine_option
@device_options
def command(
    overrides: tuple[str, ...],
    config_file: Path,
    out: Path,
    lowest: float,
    highest: float,
    steps: int,
    overwrite: bool,
    engine: Optional[str],
    device: str,
    gpus: str,
) -> None:
    """Suggest a learning rate with a range test (arXiv:1506.01186).

    Trains for a few steps at learning rates that increase exponentially, until
    the loss diverges, and suggests the rate at which the loss decreases
    fastest. The trained network is discarded.
    """
    if not lowest < highest < math.inf:
        raise click.UsageError(
            f"--lowest {lowest:g} --highest {highest:g}: expected finite rates, lowest < highest"
        )
    from fashionai.config import load_config
    from fashionai.files.formats.csv_files import write_rows
    from fashionai.files.outputs import PICTURES, check_output, csv_kind
    from fashionai.frameworks.choice import choose_devices, one_of
    from fashionai.reporting.plots import draw_range_test
    from fashionai.training.learners.engine_choice import wanted_engine
    from fashionai.training.lr_finder import find_learning_rate

    log_to_terminal()
    table, picture = out / "lr_finder.csv", out / "lr_finder.png"
    check_output("--out", table, csv_kind("a range test", COLUMNS), overwrite=overwrite)
    check_output("--out", picture, PICTURES, overwrite=overwrite)
    config = load_config(config_file, with_engine(overrides, engine))
    chosen = choose_devices(wanted_engine(config), device, parse_gpus(gpus))
    config = config.changed({"engine": chosen.engine})
    with progress_bar("range test", steps, "steps") as advance:
        found = find_learning_rate(
            config, one_of(chosen), lowest=lowest, highest=highest, steps=steps, progress=advance
        )
    write_rows(table, [COLUMNS, *zip(*found[:3])])
    draw_range_test(picture, *found)
    made, last = len(found.rates), found.rates[-1]
    if made < steps:
        click.echo(
            f"the loss diverged at rate {last:.2g}, after {made} of {counted(steps, 'step')}"
        )
    if found.suggestion is None:
        click.echo("no suggestion: the loss does not clearly decrease (try --steps 300)")
    else:
        click.echo(f"suggested: optimizer.lr={found.suggestion:.2g}")
        click.echo("The loss decreases fastest there. (one_cycle: use it as the maximum rate.)")
    click.echo(f"{table}, {picture}")
