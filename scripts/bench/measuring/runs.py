"""The project's commands, and runs to predict with."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import yaml
from images import TASK, prepared

ROOT = Path(__file__).resolve().parents[2]
# What a run is trained on: a few images, small, so that its statistics are no nonsense.
TRAINING_IMAGES, TRAINING_CROP, EPOCHS, BATCH_SIZE = 64, 64, 5, 16
CROP, RESIZE_SHORT = 224, 256


def fashionai_command(*arguments: object) -> list[str]:
    """The command line of ``fashionai`` with this interpreter and this code."""
    return [sys.executable, "-m", "fashionai", *map(str, arguments)]


def fashionai(*arguments: object) -> None:
    """Run a command, its output to standard error; ends the script when it fails."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = fashionai_command(*arguments)
    # Python looks for the package in the current folder first.
    finished = subprocess.run(command, stdout=sys.stderr, env=environment, cwd=ROOT)
    if finished.returncode:
        sys.exit(f"fashionai {arguments[0]} failed, its error is above")


@functools.cache
def trained_run(cache: Path, network: str) -> Path:
    """A run of a network for images of 224 pixels, with an integer version of its weights.

    What the weights are decides nothing about speed: they have seen few images, of 64 pixels.
    """
    run = cache / "runs" / network
    if not (run / "trained").is_file():
        _train(cache, network, run)
        (run / "trained").touch()
    # By this version of the project. The bound is for those who want to keep the accuracy.
    fashionai("quantize", "--run", run, "--images", TRAINING_IMAGES, "--max-loss", 1)
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
    """Write and return the file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return file
