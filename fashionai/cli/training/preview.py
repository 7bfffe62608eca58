"""fashionai preview."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from fashionai.cli.arguments.options import config_option, overwrite_option

EPILOG = """
\b
Examples:
  fashionai preview --config skirt
  fashionai preview --config skirt loss.cutmix=1 --out grid.png
  fashionai preview --config skirt --image skirt.jpg
"""


@click.command(epilog=EPILOG)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@config_option(required=True)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("preview.png"), help="PNG file to write."
)
@click.option("--rows", type=click.IntRange(1, 20), default=4, help="Number of rows.")
@click.option("--columns", type=click.IntRange(1, 20), default=8, help="Number of columns.")
@click.option(
    "--epoch", type=click.IntRange(min=1), default=1, help="Epoch whose images are shown."
)
@click.option(
    "--image",
    type=click.Path(path_type=Path),
    help="Show augmentations of this image only, such as skirt.jpg.",
)
@overwrite_option
def command(
    overrides: tuple[str, ...],
    config_file: Path,
    out: Path,
    rows: int,
    columns: int,
    epoch: int,
    image: Optional[Path],
    overwrite: bool,
) -> None:
    """Draw a grid of training images as the network sees them.

    The images are the first ones of an epoch, augmented and mixed as in
    training, with the names of their classes above them.
    """
    from fashionai.config import load_config
    from fashionai.errors import counted
    from fashionai.files.outputs import PICTURES, check_output
    from fashionai.reporting.preview import check_png_name, write_preview

    check_png_name(out)
    check_output("--out", out, PICTURES, [image] if image else [], overwrite)
    config = load_config(config_file, overrides)
    count = write_preview(config, out, rows, columns, epoch, image)
    click.echo(f"{out}: {counted(count, 'image')} of epoch {epoch}")
