"""fashionai covers."""

from __future__ import annotations

from pathlib import Path

import click

from fashionai.cli.groups import CommandGroup
from fashionai.cli.progress import progress_bar

EPILOG = """
\b
Examples:
  fashionai covers download --urls urls.csv --out data/covers/positive
  fashionai covers download --urls urls.csv --out covers --at-once 16
"""


@click.group(cls=CommandGroup, epilog=EPILOG)
def command() -> None:
    """Fetch the images of video covers."""


@command.command(epilog=EPILOG)
@click.option(
    "--urls",
    type=click.Path(path_type=Path),
    required=True,
    help="One URL a row, or CSV with a header and a column of URLs.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where images go.")
@click.option("--size", type=click.IntRange(8, 4096), default=240, help="Their sides in pixels.")
@click.option("--at-once", type=click.IntRange(1, 64), default=8, help="Images fetched at a time.")
@click.option(
    "--retries",
    type=click.IntRange(0, 10),
    default=3,
    help="More tries after broken connections, timeouts, HTTP 429 and 5xx.",
)
@click.option(
    "--timeout", type=click.IntRange(1, 3600), default=60, help="Seconds for a try of an image."
)
@click.option(
    "--allow-private", is_flag=True, help="Also fetch from this host and private networks."
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
    """Fetch a list of image URLs into square JPEGs.

    Images that are there are not fetched again, so that the same command goes
    on after an interruption and tries what failed, which failed.csv lists. Only
    public http and https addresses are fetched, redirects included.
    """
    import numpy as np

    from fashionai.datasets.cover_downloads import download_covers
    from fashionai.downloads import DownloadLimits

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
