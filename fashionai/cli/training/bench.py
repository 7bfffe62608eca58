"""fashionai bench."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from fashionai.cli.arguments.numbers import NumberRange
from fashionai.cli.arguments.options import config_option, device_options, parse_gpus
from fashionai.errors import counted

EPILOG = """
\b
Examples:
  fashionai bench
  fashionai bench --config skirt
  fashionai bench model.name=resnet18_v2 batch_size=32

KEY=VALUE overrides any key that fashionai config prints.
"""

# The task that is drawn when no configuration is given.
TASK = "skirt"


@click.command(epilog=EPILOG)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@config_option(note="  [default: all defaults, on drawn images]")
@click.option(
    "--seconds",
    type=NumberRange(0, 3600, min_open=True),
    default=2.0,
    help="Minimum seconds per part, which is measured at least three times.",
)
@device_options
def command(
    overrides: tuple[str, ...],
    config_file: Optional[Path],
    seconds: float,
    device: str,
    gpus: str,
) -> None:
    """Measure how fast this machine decodes, loads, trains and predicts.

    The result names the bottleneck of training and what to change. The
    measurement takes a few minutes and leaves no files.
    """
    chosen_gpus = parse_gpus(gpus)
    from fashionai.config import load_config, resolve_config
    from fashionai.runtime import processor_name

    if config_file is None:
        config = resolve_config({"task": TASK}, "the defaults", overrides)
    else:
        config = load_config(config_file, overrides)
    from fashionai.benchmark import BenchmarkSettings, measure
    from fashionai.reporting.speeds import advice, bottleneck, speed_table
    from fashionai.reporting.tables import wrapped

    speeds = measure(
        BenchmarkSettings(config, device, chosen_gpus, seconds),
        drawn=config_file is None,
        progress=lambda threads: click.echo(f"measuring, OMP_NUM_THREADS={threads} ...", err=True),
    )
    click.echo(f"{processor_name()}, {counted(speeds.threads, 'thread')}")
    click.echo(f"{config.model.name}, {config.data.crop} px, batch {speeds.batch_size}\n")
    click.echo(speed_table(speeds) + "\n")
    click.echo(wrapped(bottleneck(speeds)))
    for line in advice(speeds):
        click.echo(wrapped(f"- {line}"))
