"""The commands that usually follow a command, as lines for its end."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from fashionai.families import known_task, packaged_config_of
from fashionai.files.default_folders import CONFIGS_FOLDER, DEMO_FOLDER, PREPARED_FOLDER
from fashionai.pipeline.crop_counts import DEFAULT_CROPS
from fashionai.tasks import Task

DEMO_PREPARED = DEMO_FOLDER / "train_valid"
DEMO_TASK = "skirt"


def after_demo(folder: Path) -> str:
    """The command that prepares the demo's first task."""
    places = f"--data {_quoted(folder)} --out {_quoted(folder / 'train_valid')}"
    return f"Next: fashionai prepare --task {DEMO_TASK} {places}"


def after_prepare(tasks: Sequence[Task], out: Path) -> str:
    """The command that trains the first of the prepared tasks, or writes its configuration."""
    task = tasks[0]
    name = task.short_name
    others = "; the other tasks likewise" if len(tasks) > 1 else ""
    if out == DEMO_PREPARED:
        chosen = "" if name == DEMO_TASK else f" task={name}"
        return f"Next: fashionai train --config demo{chosen}{others}"
    own, packaged = CONFIGS_FOLDER / f"{name}.yaml", packaged_config_of(task)
    if packaged is not None or own.is_file():
        config = packaged or _quoted(own)
        folder = "" if out == PREPARED_FOLDER else f" {_quoted(f'data.folder={out}')}"
        return f"Next: fashionai train --config {config}{folder}{others}"
    folder = "" if out == PREPARED_FOLDER else f" --folder {_quoted(out)}"
    return f"Next: fashionai init {name}{folder}{others}"


def after_train(run: Path) -> str:
    """The commands that show a run's scores and mistakes, also as a page, and that predict."""
    name = _quoted(run)
    return "\n".join(
        [
            f"Scores:   fashionai evaluate --run {name}",
            f"Mistakes: fashionai evaluate --run {name} --per-class --confusion",
            f"Report:   fashionai report {name} --out report.html",
            f"Predict:  fashionai predict --run {name} --questions FOLDER --out FILE",
        ]
    )


def after_calibrate(run: Path, crops: int, image_size: Optional[int]) -> str:
    """The command that predicts with the calibration of a run."""
    options = "" if crops == DEFAULT_CROPS else f" --crops {crops}"
    options += "" if image_size is None else f" --image-size {image_size}"
    files = "--questions FOLDER --out FILE"
    return f"Next: fashionai predict --run {_quoted(run)} --calibrated{options} {files}"


def after_quantize(run: Path) -> str:
    """The command that predicts in 8-bit integers."""
    files = "--questions FOLDER --out FILE"
    return f"Next: fashionai predict --run {_quoted(run)} --engine int8 {files}"


def after_pseudo_label(task: Task, prepared: Path, file: Path) -> str:
    """The command that adds pseudo-labels to the training images of a task."""
    return _prepare_again(task, prepared, f"--pseudo-labels {_quoted(file)}")


def after_review(task: Task, prepared: Path, corrections: Path) -> str:
    """The command that applies the decisions of a review to a task."""
    return _prepare_again(task, prepared, f"--corrections {_quoted(corrections)}")


def _prepare_again(task: Task, prepared: Path, added: str) -> str:
    """The command that prepares a task again with one more option.

    Where the place of its label files is not known, it is what to add to the command that
    prepared the folder ``prepared``.
    """
    if known_task(task.name) and prepared == PREPARED_FOLDER:
        return f"Next: fashionai prepare --task {task.short_name} {added}"
    return f"Next: add {added} to the command that prepared {prepared / task.name}"


def after_inspect(task: Task, folder: Path, findings: Path) -> str:
    """The command that shows the findings, to correct labels."""
    place = "" if folder == PREPARED_FOLDER else f" --folder {_quoted(folder)}"
    return f"Next: fashionai review --task {task.short_name}{place} --suspects {_quoted(findings)}"


def _quoted(path: object) -> str:
    return shlex.quote(str(path))
