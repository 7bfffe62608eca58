"""fashionai quantize."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fashionai.cli.options import batch_size_option
from fashionai.cli.progress import progress_bar

if TYPE_CHECKING:
    from fashionai.quantization import Quantized

EPILOG = """
\b
Examples:
  fashionai quantize --run runs/skirt
  fashionai predict --out submission.csv --run runs/skirt --engine int8
"""


@click.command(epilog=EPILOG)
@click.option("--run", "run_path", type=click.Path(path_type=Path), required=True, help="The run.")
@click.option(
    "--mode",
    type=click.Choice(["naive", "entropy"]),
    default="naive",
    help="The range of a layer's values: all that was seen, or that of the least divergence.",
)
@click.option(
    "--images", type=click.IntRange(min=1), default=256, help="Training images to calibrate on."
)
@click.option(
    "--max-loss",
    type=click.FloatRange(min=0),
    default=0.01,
    help="How far accuracy and mAP on validation may fall.",
)
@batch_size_option
def command(run_path: Path, mode: str, images: int, max_loss: float, batch_size: int) -> None:
    """Calibrate a run for prediction in 8-bit integers on the CPU.

    Scores on the validation split, centre crop, tell what it costs.
    """
    from fashionai.quantization import quantize
    from fashionai.runs import Run

    run = Run.open(run_path)
    with progress_bar(f"{run}: val, twice", 0) as advance:
        done = quantize(
            run,
            mode=mode,
            images=images,
            max_loss=max_loss,
            batch_size=batch_size,
            progress=advance,
        )
    _print_scores(done)
    click.echo(f"{run.folder.int8_report}: calibrated on {done.images} training images")
    click.echo(f"Use it: fashionai predict --run {run} --engine int8 --out FILE")


def _print_scores(done: Quantized) -> None:
    from fashionai.reporting.tables import score_table, wrapped

    rows = [
        (f"{evaluation.task.short_name}, {kind}", evaluation.rows_of_classes, evaluation.scores)
        for kind, evaluations in (("float32", done.before), ("int8", done.after))
        for evaluation in evaluations
    ]
    click.echo(score_table(rows) + "\n")
    agreement = (
        f"same most probable class for {done.agreement.top1:.2%} of the images, "
        f"probabilities differ by at most {done.agreement.difference:.3f}"
    )
    click.echo(wrapped(agreement))
