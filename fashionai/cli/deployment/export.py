"""fashionai export."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from fashionai.cli.arguments.options import run_option
from fashionai.export.formats import FORMATS, export

EPILOG = """
\b
Examples:
  fashionai export --run runs/skirt --format onnx --out exported
  fashionai export --run runs/skirt --format safetensors --out for-pytorch
  fashionai export --run runs/skirt --format bundle --out skirt.zip
"""


@click.command(epilog=EPILOG)
@run_option
@click.option(
    "--format",
    "format_name",
    type=click.Choice(list(FORMATS)),
    required=True,
    help="onnx and gluon: the network with its normalisation and softmax, from the pixels of a "
    "crop to probabilities. safetensors: the weights alone, by the names of torchvision or timm. "
    "bundle: one zip file with an ONNX model, a program that uses it, a model card and samples.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder to write to, or the zip file of a bundle. An earlier export is replaced.",
)
@click.option(
    "--calibrated",
    is_flag=True,
    help="With --format bundle: scale the probabilities by the run's calibration for one crop, see "
    "fashionai calibrate --crops 1.",
)
def command(run_path: Path, format_name: str, out: Path, calibrated: bool) -> None:
    """Export the network of a run for use in other programs.

    The file model.json describes the network: the classes in the order of the output, the size of
    the crop and how to prepare an image. Before anything is written, the exported network is
    compared with the run.
    """
    from fashionai.runs import Run

    if calibrated and format_name != "bundle":
        raise click.UsageError("--calibrated goes with --format bundle")
    options = {"calibrated": True} if calibrated else {}
    done = export(Run.open(run_path), format_name, out, **options)
    click.echo(f"{done.folder}: {done.description}")
    click.echo(
        f"On {done.compared_on}, probabilities differ from the run's by at most "
        f"{done.agreement.difference:.1g},\n"
        f"and {done.agreement.top1:.0%} of the images have the same most probable class."
    )
    if format_name == "bundle":
        click.echo("Validation images are in it as samples: see that you may pass them on.")
        click.echo(f"Verify: fashionai verify {shlex.quote(str(out))}")
