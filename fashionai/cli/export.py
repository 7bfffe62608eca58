"""fashionai export."""

from __future__ import annotations

from pathlib import Path

import click

EPILOG = """
\b
Examples:
  fashionai export --run runs/skirt --format onnx --out exported
  fashionai export --run runs/skirt --format safetensors --out for-pytorch
"""


@click.command(epilog=EPILOG)
@click.option("--run", "run_path", type=click.Path(path_type=Path), required=True, help="The run.")
@click.option(
    "--format",
    "layout",
    type=click.Choice(["onnx", "gluon", "safetensors"]),
    required=True,
    help="onnx, gluon: pixels of a crop in, probabilities out. safetensors: weights by the names "
    "of torchvision or timm, where they have the network.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the files.")
def command(run_path: Path, layout: str, out: Path) -> None:
    """Write a run's network for other programs.

    Beside it is model.json: the classes in the order of the output, the crop, and
    what else its use takes. It is checked against the run before it is written.
    """
    from fashionai.export.onnx import export_gluon, export_onnx
    from fashionai.export.torch import export_safetensors
    from fashionai.runs import Run

    exports = {"onnx": export_onnx, "gluon": export_gluon, "safetensors": export_safetensors}
    done = exports[layout](Run.open(run_path), out)
    click.echo(f"{done.folder}: {done.description}")
    click.echo(
        f"on {done.checked_on} probabilities differ by at most "
        f"{done.agreement.difference:.1g} from the run's,\n"
        f"and {done.agreement.top1:.0%} have the same most probable class"
    )
