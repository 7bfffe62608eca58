"""fashionai evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from fashionai.cli.options import crop_options, device_options, parse_gpus
from fashionai.cli.progress import progress_bar

EPILOG = """
\b
Examples:
  fashionai evaluate --predictions submission.csv --labels answer.csv
  fashionai evaluate --predictions val.csv --labels data/train_valid
  fashionai evaluate --run runs/skirt --split val --confusion
"""


@click.command(epilog=EPILOG)
@click.option("--predictions", type=click.Path(path_type=Path), help="Prediction file to score.")
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Answer file, as label.csv, or prepared folder; may repeat.",
)
@click.option(
    "--questions", type=click.Path(path_type=Path), help="Score only the labels asked here."
)
@click.option("--task", "task_names", multiple=True, help="Only rows of these tasks; may repeat.")
@click.option("--run", "run_path", type=click.Path(path_type=Path), help="Run to score instead.")
@click.option(
    "--split", type=click.Choice(["train", "val", "test"]), default="val", help="Split for --run."
)
@click.option("--per-class", is_flag=True, help="Print recall and precision of every class.")
@click.option("--confusion", is_flag=True, help="Print a confusion matrix for each task.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Also write JSON.")
@crop_options
@device_options
def command(
    predictions: Optional[Path],
    labels: tuple[Path, ...],
    questions: Optional[Path],
    task_names: tuple[str, ...],
    run_path: Optional[Path],
    split: str,
    per_class: bool,
    confusion: bool,
    json_file: Optional[Path],
    crops: int,
    batch_size: int,
    device: str,
    gpus: str,
) -> None:
    """Score a prediction file against labels, or a run on a prepared split.

    mAP is the competition's score; the last line is the mean over tasks. Every
    labelled row must be predicted; of a prepared folder, every row of the
    splits that the file has rows of.
    """
    from fashionai.files import write_json
    from fashionai.inference.evaluation import evaluate_file, to_json
    from fashionai.metrics import overall_scores
    from fashionai.reporting.tables import (
        balance_table,
        class_table,
        confusion_table,
        score_table,
    )

    if run_path is not None and (questions or task_names):
        raise click.UsageError("--questions and --task go with --predictions, not with --run")
    if run_path is not None and predictions is None and not labels:
        from fashionai.inference.splits import evaluate_run
        from fashionai.runs import RunFolder
        from fashionai.runtime import contexts

        with progress_bar(f"{run_path}: {split}", 0) as advance:
            evaluations = evaluate_run(
                RunFolder(run_path),
                split,
                contexts(device, parse_gpus(gpus)),
                crops=crops,
                batch_size=batch_size,
                progress=advance,
            )
    elif predictions is not None and labels and run_path is None:
        evaluations = evaluate_file(predictions, labels, questions, task_names)
    else:
        raise click.UsageError("give --predictions FILE --labels FILE, or --run DIR")

    rows = [(e.task.name, e.rows, e.scores) for e in evaluations]
    overall = overall_scores([e.scores for e in evaluations])
    rows.append(("mean", sum(e.rows for e in evaluations), overall))
    click.echo(score_table(rows))
    click.echo()
    click.echo(balance_table([(e.task.name, e.scores, e.confusion) for e in evaluations]))
    for table in [class_table] * per_class + [confusion_table] * confusion:
        for evaluation in evaluations:
            click.echo(f"\n{evaluation.task.name}")
            click.echo(table(evaluation.confusion, evaluation.task.classes))
    if json_file is not None:
        write_json(json_file, to_json(evaluations))
