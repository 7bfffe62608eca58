"""fashionai quantize."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fashionai.cli.arguments.numbers import NumberRange
from fashionai.cli.arguments.options import batch_size_option, renamed_option, run_option
from fashionai.cli.terminal.next_steps import after_quantize
from fashionai.cli.terminal.progress import log_to_terminal, progress_bar
from fashionai.engines.int8.calibration_modes import CALIBRATION_MODES
from fashionai.errors import counted

if TYPE_CHECKING:
    from fashionai.quantization import QuantizationResult

EPILOG = """
\b
Examples:
  fashionai quantize --run runs/skirt
  fashionai predict --out submission.csv --run runs/skirt --engine int8
"""


@click.command(epilog=EPILOG)
@run_option
@click.option(
    "--mode",
    type=click.Choice(CALIBRATION_MODES),
    default="naive",
    help="How to choose the range of a layer's outputs. naive: the range of all values. entropy: "
    "the range of the least Kullback-Leibler divergence.",
)
@click.option(
    "--calibration-images",
    "images",
    type=click.IntRange(min=1),
    default=256,
    help="Number of training images to calibrate on.",
)
@renamed_option("--images", "--calibration-images")
@click.option(
    "--max-loss",
    type=NumberRange(min=0),
    default=0.01,
    help="How much accuracy and mAP may decrease on validation, as a fraction: 0.01 is one "
    "percentage point.",
)
@batch_size_option
def command(run_path: Path, mode: str, images: int, max_loss: float, batch_size: int) -> None:
    """Quantize a run for faster prediction in 8-bit integers on the CPU.

    The run is calibrated on training images, and scored on the validation split before and after
    with one crop per image. The quantized network is saved in the run, unless a score decreases by
    more than --max-loss.
    """
    from fashionai.quantization import quantize
    from fashionai.runs import Run

    log_to_terminal()
    run = Run.open(run_path)
    done = quantize(
        run,
        mode=mode,
        images=images,
        max_loss=max_loss,
        batch_size=batch_size,
        progress=progress_bar,
    )
    _print_scores(done)
    click.echo(f"{run.folder.int8_report}: calibrated on {counted(done.images, 'training image')}")
    click.echo(after_quantize(run.path))


def _print_scores(done: QuantizationResult) -> None:
    from fashionai.reporting.tables import score_table, wrapped

    rows = [
        (f"{evaluation.task.short_name}, {kind}", evaluation.rows_of_classes, evaluation.scores)
        for kind, evaluations in (("float32", done.before), ("int8", done.after))
        for evaluation in evaluations
    ]
    click.echo(score_table(rows) + "\n")
    agreement = (
        f"{done.agreement.top1:.2%} of the images have the same most probable class, and "
        f"probabilities differ by at most {done.agreement.difference:.3f}."
    )
    click.echo(wrapped(agreement))
