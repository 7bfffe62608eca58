"""fashionai classify."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from fashionai.cli.arguments.options import (
    STANDARD_OUTPUT,
    PredictionSettings,
    left_out,
    overwrite_option,
    prediction_options,
    runs_option,
    skip_bad_option,
)
from fashionai.cli.terminal.progress import log_to_terminal, progress_bar

EPILOG = """
\b
Examples:
  fashionai classify photo.jpg
  fashionai classify --run runs/skirt --top 3 photos https://example.com/a.jpg
  fashionai classify --run runs/skirt --run runs/coat --csv classes.csv photos
  fashionai classify --json - photo.jpg
"""


@click.command(epilog=EPILOG)
@runs_option
@click.option(
    "--top", type=click.IntRange(min=1), default=5, help="Number of classes to print per task."
)
@click.option(
    "--json",
    "json_file",
    metavar="FILE",
    help="JSON file to write; - prints JSON and nothing else on standard output.",
)
@click.option(
    "--csv",
    "csv_file",
    metavar="FILE",
    help="CSV file to write; - prints CSV and nothing else on standard output.",
)
@click.option(
    "--allow-private",
    is_flag=True,
    help="Also download from this machine and from private networks.",
)
@skip_bad_option
@overwrite_option
@prediction_options
@click.argument("images", nargs=-1, required=True, metavar="IMAGE|FOLDER|URL...")
def command(
    images: tuple[str, ...],
    run_paths: tuple[Path, ...],
    top: int,
    json_file: Optional[str],
    csv_file: Optional[str],
    allow_private: bool,
    skip_bad: bool,
    overwrite: bool,
    settings: PredictionSettings,
) -> None:
    """Print the most probable classes of images, with their probabilities.

    A folder stands for all images in it and in its folders. URLs are
    downloaded from public http and https addresses only.
    """
    if csv_file == json_file == STANDARD_OUTPUT:
        raise click.UsageError("--csv - and --json - exclude each other")
    import json

    import numpy as np

    from fashionai.files import write_json
    from fashionai.files.formats.csv_files import csv_text, write_rows
    from fashionai.predictions.classify import choose_runs, classify, to_json, to_rows
    from fashionai.predictions.run_choice import Candidates
    from fashionai.reporting.classes import image_lines
    from fashionai.web.downloads import DownloadLimits

    _check_outputs(images, json_file, csv_file, overwrite)
    # Prints the files of folders that are skipped, and no engines: results are to be short.
    log_to_terminal(
        "fashionai.datasets", on_standard_error=STANDARD_OUTPUT in (csv_file, json_file)
    )
    runs = choose_runs(Candidates.open(run_paths, settings.image_size))
    results = classify(
        images,
        runs,
        settings.contexts(),
        top=top,
        limits=DownloadLimits(allow_private=allow_private),
        rng=np.random.default_rng(),
        progress=progress_bar,
        leave_out=left_out if skip_bad else None,
        **settings.options,
    )
    if csv_file is not None and csv_file != STANDARD_OUTPUT:
        write_rows(Path(csv_file), to_rows(results))
    if json_file is not None and json_file != STANDARD_OUTPUT:
        write_json(Path(json_file), to_json(results))
    if csv_file == STANDARD_OUTPUT:
        click.echo(csv_text(to_rows(results)), nl=False)
        return
    if json_file == STANDARD_OUTPUT:
        click.echo(json.dumps(to_json(results), indent=2, ensure_ascii=False))
        return
    for task, own in runs.items():
        click.echo(f"{task.name}: {', '.join(str(run) for run in own)}")
    for image, tasks in results:
        click.echo("\n".join(image_lines(image, tasks)))


def _check_outputs(
    images: tuple[str, ...], json_file: Optional[str], csv_file: Optional[str], overwrite: bool
) -> None:
    """Raise ConfigError or DataError for a file that must not or cannot be written."""
    from fashionai.errors import DataError
    from fashionai.files.names import is_writable_as_text, with_escaped_bytes
    from fashionai.files.outputs import check_distinct, check_output
    from fashionai.predictions.classify import CSV_RESULTS, JSON_RESULTS
    from fashionai.web.urls import is_url

    inputs = [Path(image) for image in images if not is_url(image)]
    given = {"--json": (json_file, JSON_RESULTS), "--csv": (csv_file, CSV_RESULTS)}
    outputs = {}
    for option, (file, kind) in given.items():
        if file is not None and file != STANDARD_OUTPUT:
            outputs[option] = Path(file)
            check_output(option, outputs[option], kind, inputs, overwrite)
    check_distinct(outputs)
    for image in inputs:
        if (json_file or csv_file) and not is_writable_as_text(str(image)):
            name = with_escaped_bytes(str(image))
            raise DataError(f"the name of {name} is not UTF-8 text", "Rename it")
