"""fashionai covers."""

from __future__ import annotations

from pathlib import Path

import click

from fashionai.cli.groups import CommandGroup
from fashionai.cli.terminal.progress import progress_bar

EPILOG = """
\b
Examples:
  fashionai covers download --urls urls.csv --out data/covers/positive
  fashionai covers download --urls urls.csv --out covers --at-once 16
"""


@click.group(cls=CommandGroup, epilog=EPILOG)
def command() -> None:
    """Download images of video covers."""


@command.command(epilog=EPILOG)
@click.option(
    "--urls",
    type=click.Path(path_type=Path),
    required=True,
    help="File with one URL per row, or CSV file with a header and a column of URLs.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder for the images."
)
@click.option(
    "--size", type=click.IntRange(8, 4096), default=240, help="Side of the images in pixels."
)
@click.option("--at-once", type=click.IntRange(1, 64), default=8, help="Parallel downloads.")
@click.option(
    "--retries",
    type=click.IntRange(0, 10),
    default=3,
    help="Retries after broken connections, timeouts, HTTP 429 and HTTP 5xx.",
)
@click.option(
    "--timeout", type=click.IntRange(1, 3600), default=60, help="Seconds per try of an image."
)
@click.option(
    "--allow-private",
    is_flag=True,
    help="Also download from this machine and from private networks.",
)
def download(
    urls: Path,
    out: Path,
    size: int,
    at_once: int,
    retries: int,
    timeout: int,
    allow_private: bool,
) -> None:
    """Download a list of image URLs as square JPEG files.

    Images that exist are not downloaded again: after an interruption, the same
    command continues. failed.csv lists the URLs that failed; the same command
    retries them. Only URLs and redirects to public http and https addresses are
    accepted.
    """
    import numpy as np

    from fashionai.datasets.cover_downloads import download_covers
    from fashionai.web.downloads import DownloadLimits

    report = download_covers(
        urls,
        out,
        rng=np.random.default_rng(),
        size=size,
        at_once=at_once,
        limits=DownloadLimits(seconds=timeout, retries=retries, allow_private=allow_private),
        progress=progress_bar,
    )
    click.echo(report.summary())
    report.raise_for_failures()
