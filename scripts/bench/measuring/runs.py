"""This project's commands, its prepared image folders and trained runs."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import yaml

from measuring.images import CLASSES, class_folders
from measuring.paths import ROOT

TASK = "bench"
# Training on a few small images is enough to give batch normalisation ordinary statistics.
TRAINING_IMAGES, TRAINING_CROP, EPOCHS, BATCH_SIZE = 64, 64, 5, 16
CROP, RESIZE_SHORT = 224, 256


def fashionai_command(*arguments: object) -> list[str]:
    """The command line of ``fashionai`` with this interpreter."""
    return [sys.executable, "-m", "fashionai", *map(str, arguments)]


def fashionai(*arguments: object) -> None:
    """Run a command with its output on standard error; ends the script when it fails."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = fashionai_command(*arguments)
    # Python looks for the package in the current folder first, so this checkout is the one run.
    finished = subprocess.run(command, stdout=sys.stderr, env=environment, cwd=ROOT)
    if finished.returncode:
        sys.exit(f"fashionai {arguments[0]} failed; its error is printed above")


@functools.cache
def prepared(cache: Path, count: int, classes: int = CLASSES) -> Path:
    """The images of ``class_folders`` after ``fashionai prepare``, for the key data.folder."""
    out = cache / f"prepared-{count}-{classes}"
    if not (out / TASK / "manifest.csv").is_file():
        tree = class_folders(cache, count, classes)
        fashionai("prepare", "--task", TASK, "--folders", tree, "--out", out)
    return out


@functools.cache
def trained_run(cache: Path, network: str) -> Path:
    """A run of a network for images of 224 pixels, with its quantized network.

    The weights have seen few images of 64 pixels; their values do not affect the speed.
    """
    run = cache / "runs" / network
    if not (run / "trained").is_file():
        _train(cache, network, run)
        (run / "trained").touch()
    # Quantized each time, so that this version of the project has done it. The highest --max-loss,
    # because the accuracy of these weights is of no interest.
    fashionai("quantize", "--run", run, "--calibration-images", TRAINING_IMAGES, "--max-loss", 1)
    return run


def untrained_run(cache: Path, network: str, crop: int) -> Path:
    """A finished run with random weights, for images of ``crop`` pixels."""
    from fashionai.files import write_json
    from fashionai.models.zoo import build_network
    from fashionai.tasks import Task, tasks_to_json

    run = cache / "runs" / f"{network}-{crop}-untrained"
    data = {"crop": crop, "resize_short": crop}
    settings = {"task": TASK, "model": {"name": network, "pretrained": False}, "data": data}
    write_yaml(run / "config.yaml", settings)
    classes = tuple(f"class {number}" for number in range(CLASSES))
    write_json(run / "classes.json", tasks_to_json([Task(TASK, (), classes, "table")]))
    write_json(run / "metrics.json", {"finished": True, "epochs": 1, "tasks": {}})
    build_network(network, CLASSES, crop).save_parameters(str(run / "best.params"))
    return run


def _train(cache: Path, network: str, run: Path) -> None:
    settings = {
        "task": TASK,
        "model": {"name": network, "pretrained": False},
        "data": {
            "folder": str(prepared(cache, TRAINING_IMAGES)),
            "resize_short": TRAINING_CROP,
            "crop": TRAINING_CROP,
        },
        "epochs": EPOCHS,
        "batch_size": BATCH_SIZE,
        "optimizer": {"lr": 0.01},
    }
    config = write_yaml(cache / f"{network}.yaml", settings)
    fashionai("train", "--config", config, "--run", run, "--overwrite")
    resolved = yaml.safe_load((run / "config.yaml").read_text())
    resolved["data"].update(resize_short=RESIZE_SHORT, crop=CROP)
    write_yaml(run / "config.yaml", resolved)


def write_yaml(file: Path, content: object) -> Path:
    """Write ``content`` as YAML; returns the file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return file
