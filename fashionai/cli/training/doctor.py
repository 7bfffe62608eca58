"""fashionai doctor."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import click

from fashionai.cli.arguments.options import config_option, device_options, parse_gpus

if TYPE_CHECKING:
    from fashionai.doctor.findings import Finding

EPILOG = """
\b
Examples:
  fashionai doctor
  fashionai doctor --config skirt
  fashionai doctor --config skirt optimizer.lr=0.1 --json

KEY=VALUE overrides any key that fashionai config prints. The exit code is 0 if
it is safe to start, also with warnings, and 1 if not.
"""
NOT_SAFE = 1


@click.command(epilog=EPILOG)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@config_option(note="  [default: the machine alone]")
@click.option(
    "--run",
    "run_path",
    type=click.Path(path_type=Path),
    help="Folder of the run that is planned.  [default: runs/TASK]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")
@device_options
def command(
    overrides: tuple[str, ...],
    config_file: Optional[Path],
    run_path: Optional[Path],
    as_json: bool,
    device: str,
    gpus: str,
) -> None:
    """Check whether a training will end well, before it begins.

    Looks at the installation, the GPUs, the weights, the data, the disk and the
    learning rate, and names the command that mends what it finds. With --config
    it also trains a few steps, which takes a minute or so and leaves no files.
    """
    chosen_gpus = parse_gpus(gpus)
    if overrides and config_file is None:
        raise click.UsageError("KEY=VALUE goes with --config")
    from fashionai.doctor.examine import Plan, examine, examine_machine
    from fashionai.doctor.findings import is_safe
    from fashionai.files.default_folders import RUNS_FOLDER

    if config_file is None:
        found = examine_machine()
    else:
        from fashionai.config import load_config

        config = load_config(config_file, overrides)
        name = shlex.join([str(config_file), *overrides])
        run = run_path or RUNS_FOLDER / config.run_name
        found = examine(Plan(config, name, run, device, chosen_gpus))
    findings = []
    for finding in found:
        findings.append(finding)
        if not as_json:
            _print(finding)
    safe = is_safe(findings)
    if as_json:
        listed = [finding.to_json() for finding in findings]
        click.echo(json.dumps({"safe": safe, "checks": listed}, indent=2, ensure_ascii=False))
    else:
        click.echo(f"\n{'Safe to start' if safe else 'Not safe to start: see the errors above'}")
    if not safe:
        sys.exit(NOT_SAFE)


def _print(finding: Finding) -> None:
    """A verdict and what was found, below it the command that mends it and an alternative."""
    from textwrap import wrap

    from fashionai.reporting.tables import WIDTH

    begin = f"{finding.verdict:<8} {finding.check + ':':<12}"
    indent = " " * len(begin)
    lines = wrap(finding.found, WIDTH, initial_indent=begin, subsequent_indent=indent)
    click.echo("\n".join(lines))
    command, _, alternative = finding.mend.partition("; ")
    if command:  # not wrapped, so that it can be copied
        click.echo(f"{'':<8} -> {command}")
    if alternative:
        click.echo(f"{'':<8}    {alternative}")
