"""fashionai pseudo-label."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Optional

import click

from fashionai.cli.arguments.numbers import NumberRange
from fashionai.cli.arguments.options import (
    OutputFile,
    PredictionSettings,
    calibrated_option,
    column_options,
    images_option,
    left_out,
    overwrite_option,
    prediction_options,
    runs_option,
    skip_bad_option,
)
from fashionai.cli.terminal.next_steps import after_pseudo_label
from fashionai.cli.terminal.progress import log_to_terminal, progress_bar
from fashionai.errors import counted
from fashionai.files.default_folders import DATA_FOLDER

if TYPE_CHECKING:
    from fashionai.predictions.pseudo_labelling import Chosen

EPILOG = """
\b
Examples:
  fashionai pseudo-label --run runs/a --questions photos --out pseudo.csv
  fashionai pseudo-label --run runs/a --run runs/b --questions list.csv \\
      --min-probability 0.99 --per-class 500 --out pseudo.csv
  fashionai prepare --task skirt --pseudo-labels pseudo.csv
"""


@click.command(epilog=EPILOG)
@click.option("--out", type=OutputFile(), required=True, help="CSV file of pseudo-labels to write.")
@click.option(
    "--questions",
    type=click.Path(path_type=Path),
    required=True,
    help="Images to predict: a competition's question file, or a folder, list or CSV of images.",
)
@images_option("--questions")
@column_options("path")
@click.option("--data", type=click.Path(path_type=Path), default=DATA_FOLDER, help="Data folder.")
@click.option("--task", "task_name", help="Task to predict, where the runs have learnt several.")
@runs_option
@click.option(
    "--min-probability",
    type=NumberRange(0, 1),
    default=0.95,
    help="Probability that the predicted class must have.",
)
@click.option(
    "--per-class",
    type=click.IntRange(min=1),
    help="Take at most so many images of each class, those of the largest probabilities.  "
    "[default: all]",
)
@calibrated_option
@skip_bad_option
@overwrite_option
@prediction_options
def command(
    out: Path,
    questions: Path,
    images: Optional[Path],
    path_column: Optional[str],
    data: Path,
    task_name: Optional[str],
    run_paths: tuple[Path, ...],
    min_probability: float,
    per_class: Optional[int],
    calibrated: bool,
    skip_bad: bool,
    overwrite: bool,
    settings: PredictionSettings,
) -> None:
    """Write the confident predictions of unlabelled images as labels to train on.

    prepare --pseudo-labels adds them to the training split, never to validation or
    test. Images that the prepared folder of a run has already are left out.
    """
    from fashionai.datasets.pseudo_labels import PSEUDO_LABELS, write_pseudo_labels
    from fashionai.files.outputs import check_output
    from fashionai.frameworks.choice import one_of
    from fashionai.predictions.plan import WantedFile, plan_wanted, without_bad_images
    from fashionai.predictions.pseudo_labelling import only_part, pseudo_label

    log_to_terminal()
    check_output("--out", out, PSEUDO_LABELS, [questions], overwrite)
    names = [task_name] if task_name else []
    wanted = WantedFile(
        out,
        run_paths,
        names,
        data,
        questions,
        path_column,
        images=images,
        as_table=True,
        crop=settings.image_size,
    )
    plan = plan_wanted(wanted)
    only_part(plan)
    if calibrated:
        plan = plan.calibrated(settings.crops)
    chosen = settings.chosen()
    plan = without_bad_images(plan, progress_bar, left_out if skip_bad else None)
    found = pseudo_label(
        plan,
        one_of(chosen),
        min_probability=min_probability,
        per_class=per_class,
        progress=progress_bar,
        **{**settings.options, "engine": chosen.engine},
    )
    write_pseudo_labels(out, found.labels)
    _print_counts(found)
    click.echo(f"{out}: {counted(len(found.labels), 'pseudo-label')}")
    prepared = Path(plan.requests[0].runs[0].config.data.folder)
    click.echo(after_pseudo_label(found.task, prepared, out))


def _print_counts(found: Chosen) -> None:
    from fashionai.reporting.tables import aligned_table

    columns = [("predicted", 12), ("confident", 12), ("known", 10), ("written", 10)]
    written = [label.label for label in found.labels]
    rows = [
        (name, [*map(int, counts), written.count(name)])
        for name, *counts in zip(found.task.classes, found.predicted, found.confident, found.known)
    ]
    click.echo(aligned_table(found.task.name, columns, rows))
