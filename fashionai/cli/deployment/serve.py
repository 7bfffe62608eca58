"""fashionai serve."""

from __future__ import annotations

from pathlib import Path

import click

from fashionai.cli.arguments.numbers import NumberRange
from fashionai.cli.arguments.options import (
    PredictionSettings,
    calibrated_option,
    prediction_options,
    run_option,
)
from fashionai.cli.terminal.progress import log_to_terminal
from fashionai.serving.limits import MOST_WAITING_BYTES

EPILOG = """
\b
Examples:
  fashionai serve --run runs/skirt
  fashionai serve --run runs/skirt --crops 1 --port 8080
  curl -F images=@photo.jpg http://127.0.0.1:8000/predict
"""


@click.command(epilog=EPILOG)
@run_option
@click.option(
    "--host",
    default="127.0.0.1",
    help="Address to listen on. Addresses that other machines reach need --token.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, help="Port; 0 takes a free one."
)
@click.option(
    "--token",
    envvar="FASHIONAI_TOKEN",
    show_envvar=True,
    default="",
    show_default=False,
    help="Secret that requests have to state: Authorization: Bearer TOKEN.",
)
@click.option(
    "--max-mb",
    type=NumberRange(0, MOST_WAITING_BYTES // 10**6, min_open=True),
    default=32,
    help="Largest body of a request, in MB.",
)
@click.option(
    "--max-megapixels",
    type=NumberRange(0, 178, min_open=True),
    default=50,
    help="Largest image, in million pixels.",
)
@click.option(
    "--max-images", type=click.IntRange(min=1), default=64, help="Most images in one request."
)
@click.option(
    "--queue",
    type=click.IntRange(min=1),
    default=256,
    help="Images that may wait; further ones are refused with status 503.",
)
@click.option(
    "--timeout",
    type=NumberRange(0, 3600, min_open=True),
    default=30,
    help="Seconds after which a request is given up with status 503.",
)
@calibrated_option
@prediction_options
def command(
    run_path: Path,
    host: str,
    port: int,
    token: str,
    max_mb: float,
    max_megapixels: float,
    max_images: int,
    queue: int,
    timeout: float,
    calibrated: bool,
    settings: PredictionSettings,
) -> None:
    """Serve a run: a page to try it in a browser, and a JSON API.

    Images that arrive within a few milliseconds are computed together. Ctrl-C
    stops the server after it has answered the requests that have begun. --crops 1
    is several times as fast as the default, and a little less accurate.
    """
    from fashionai.serving.limits import Limits
    from fashionai.serving.start import serve

    log_to_terminal()
    bodies, pixels = round(max_mb * 1e6), round(max_megapixels * 1e6)
    serve(
        run_path,
        settings,
        Limits(bodies, pixels, max_images, queue, timeout),
        host=host,
        port=port,
        token=token,
        calibrated=calibrated,
        announce=lambda text: click.echo(text),
    )
