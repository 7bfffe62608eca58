"""Options that several commands share, each added by one decorator."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, TypeVar

import click

from fashionai.engines.registry import AUTO, ENGINES
from fashionai.errors import ConfigError
from fashionai.pipeline.crop_counts import CROP_COUNTS, DEFAULT_CROPS

Command = TypeVar("Command", bound=Callable[..., Any])

CROPS = click.Choice([str(count) for count in CROP_COUNTS])


def device_options(command: Command) -> Command:
    """Add --device and --gpus."""
    command = click.option(
        "--gpus",
        default="",
        show_default=False,
        metavar="0,1",
        help="GPUs to use, by index.  [default: all]",
    )(command)
    return click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "gpu"]),
        default="auto",
        help="Device to compute on; auto uses the GPUs if there are any.",
    )(command)


def parse_gpus(text: str) -> list[int]:
    """The GPU indices in a text such as ``0,1``; ConfigError for anything else."""
    try:
        indices = [int(part) for part in text.split(",")] if text else []
    except ValueError:
        indices = [-1]
    if any(index < 0 for index in indices) or len(set(indices)) != len(indices):
        raise ConfigError(f"--gpus: found '{text}', expected distinct indices such as 0,1")
    return indices


def runs_option(command: Command) -> Command:
    """Add --run, which may be repeated, as run_paths."""
    return click.option(
        "--run",
        "run_paths",
        type=click.Path(path_type=Path),
        multiple=True,
        help="Run to use; may be repeated, and runs of one task are averaged.  "
        "[default: for each task the finished run in runs/ with the best validation mAP]",
    )(command)


def batch_size_option(command: Command) -> Command:
    """Add --batch-size."""
    return click.option(
        "--batch-size", type=click.IntRange(min=1), default=16, help="Images per device and batch."
    )(command)


def prediction_options(command: Command) -> Command:
    """Add --crops, --batch-size and --engine."""
    command = click.option(
        "--engine",
        type=click.Choice([AUTO, *ENGINES]),
        default=AUTO,
        help="Engine that computes the network: auto is the fastest exact one, int8 needs "
        "fashionai quantize before.",
    )(command)
    return click.option(
        "--crops",
        type=CROPS,
        default=str(DEFAULT_CROPS),
        callback=lambda context, parameter, value: int(value),
        help="Views per image: 1 centre; 5 with the corners; 10 with all mirrored.",
    )(batch_size_option(command))
