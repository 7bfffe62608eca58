"""fashionai explain."""

from __future__ import annotations

from pathlib import Path

import click

from fashionai.cli.arguments.options import GivenLabels, labels_option, overwrite_option, run_option
from fashionai.cli.terminal.progress import log_to_terminal, progress_bar
from fashionai.errors import counted

EPILOG = """
\b
Examples:
  fashionai explain --run runs/skirt photo.jpg --out why
  fashionai explain --run runs/birds --labels birds.csv photos --out why
"""


@click.command(epilog=EPILOG)
@run_option
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder for the PNG files."
)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=3,
    help="Number of classes to explain per task, the most probable first.",
)
@labels_option(
    "Label file, class folders or prepared folder with the true classes; may be repeated.  "
    "[default: the run's prepared folders]"
)
@overwrite_option
@click.argument("given", nargs=-1, required=True, metavar="IMAGE|FOLDER...")
def command(
    run_path: Path,
    out: Path,
    top: int,
    labels: GivenLabels,
    overwrite: bool,
    given: tuple[str, ...],
) -> None:
    """Draw which pixels of images speak for the predicted classes.

    For each image a PNG shows its centre crop, and Grad-CAM of the most probable
    classes and of the true class where it is known: bright regions raise the logit
    of the class. Works for convolutional networks, on the CPU.
    """
    from fashionai.files.outputs import PICTURES, check_outputs, try_folder
    from fashionai.predictions.classify import given_files
    from fashionai.predictions.explain import explain
    from fashionai.predictions.soundness import check_images
    from fashionai.reporting.explanations import picture_names, write_explanation
    from fashionai.runs import Run
    from fashionai.scoring.labelled_images import known_classes

    log_to_terminal()
    run = Run.open(run_path)
    files = given_files(given)
    paths, inputs = list(files.values()), [*files.values(), *labels.paths]
    try_folder("--out", out)
    places = [out / name for name in picture_names(paths)]
    check_outputs("--out", places, PICTURES, inputs, overwrite)
    check_images(files, progress_bar)
    truth = known_classes(run, paths, labels.files)
    with progress_bar("explaining", len(paths)) as advance:
        explained = explain(run, paths, top=top, true_classes=truth, progress=advance)
        for path, place, explanation in zip(paths, places, explained):
            write_explanation(explanation, path.name, place)
    click.echo(f"{out}: {counted(len(places), 'picture')}, such as {places[0].name}")
