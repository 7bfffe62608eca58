"""fashionai export."""

from __future__ import annotations

from pathlib import Path

import click

EPILOG = """
\b
Examples:
  fashionai export --run runs/skirt --format safetensors --out exported
"""


@click.command(epilog=EPILOG)
@click.option("--run", "run_path", type=click.Path(path_type=Path), required=True, help="The run.")
@click.option(
    "--format",
    "layout",
    type=click.Choice(["safetensors"]),
    required=True,
    help="safetensors: by the names of torchvision or timm, where they have the network.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the files.")
def command(run_path: Path, layout: str, out: Path) -> None:
    """Write a run's network for other libraries.

    Beside the weights is model.json: what loads them, the classes, and the input.
    """
    from fashionai.inference.export import export_safetensors
    from fashionai.runs import RunFolder

    done = export_safetensors(RunFolder(run_path), out)
    click.echo(f"{done.folder}: weights of {done.network} for {done.library}")
    click.echo(f"its probabilities differ by at most {done.difference:.1g} from the run's")
