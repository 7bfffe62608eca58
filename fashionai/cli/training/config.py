"""fashionai config."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import click

from fashionai.cli.arguments.options import complete_config

EPILOG = """
\b
Examples:
  fashionai config skirt
  fashionai config configs/skirt.yaml epochs=10 optimizer.lr=0.01
  fashionai config --list
  fashionai config --schema > fashionai.schema.json
"""


@click.command(epilog=EPILOG)
@click.argument(
    "path",
    required=False,
    metavar="[FILE_OR_NAME]",
    type=click.Path(path_type=Path),
    shell_complete=complete_config,
)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--list", "list_them", is_flag=True, help="List the packaged configurations.")
@click.option("--schema", is_flag=True, help="Print the JSON schema of configurations.")
def command(
    path: Optional[Path], overrides: tuple[str, ...], list_them: bool, schema: bool
) -> None:
    """Print the resolved configuration: every key with its value.

    FILE_OR_NAME is a YAML file or the name of a packaged configuration. A value of
    null is chosen by train, as the description of the key says.
    """
    if (path is not None) + list_them + schema != 1:
        raise click.UsageError("give one of FILE_OR_NAME, --list and --schema")
    if list_them:
        _print_packaged()
    elif schema:
        from fashionai.config.schema import config_schema

        click.echo(json.dumps(config_schema(), indent=2, ensure_ascii=False))
    else:
        assert path is not None
        _print_resolved(path, overrides)


def _print_packaged() -> None:
    from fashionai.packaged_configs import first_comment, packaged_configs

    packaged = packaged_configs()
    width = max(map(len, packaged))
    for name, path in packaged.items():
        click.echo(f"{name:<{width}}  {first_comment(path)}")


def _print_resolved(path: Path, overrides: Sequence[str]) -> None:
    from fashionai.config import dump_config, load_config
    from fashionai.packaged_configs import find_config
    from fashionai.runs import Run, RunFolder, learnt_tasks
    from fashionai.training.learners.engine_choice import check_framework, machine_notes

    # Beside a run's configuration are its tasks, wherever they were prepared.
    known = learnt_tasks([Run(RunFolder(find_config(path).parent))])
    config = load_config(path, overrides, known)
    check_framework(config)
    click.echo(dump_config(config), nl=False)
    for note in machine_notes(config):
        click.echo(f"note: train would refuse this here: {note}", err=True)
