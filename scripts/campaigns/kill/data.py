"""The folder that the commands of the campaign work in: drawn images, a run, weights."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# The checkout whose code is run, whatever else is installed.
ROOT = Path(__file__).resolve().parents[3]
CHECKOUT = {"PYTHONPATH": str(ROOT)}

TASK = "skirt"
CONFIG = """\
task: skirt
model: {name: small_cnn, pretrained: false}
data: {resize_short: 36, crop: 32, workers: 1}
epochs: 2
batch_size: 8
optimizer: {name: adam, lr: 0.005}
schedule: {name: cosine}
"""
# A network that is published, so that weights of it may be kept; and a small one.
WEIGHTS_MODEL = "mobilenet0.25"
MAKE_WEIGHTS = f"""\
import mxnet as mx
from fashionai.models.zoo import build_network
mx.random.seed(0)
build_network("{WEIGHTS_MODEL}", 5, 224).save_parameters("weights.params")
"""


def make_data(folder: Path, images: int) -> None:
    """Draw ``images`` training images of skirts, and a few to predict."""
    draw = "--train-images", str(images), "--test-images", "6"
    fashionai(folder, "demo", "--out", "data", *draw)
    (folder / "small.yaml").write_text(CONFIG)


def make_prepared(folder: Path, images: int = 24) -> None:
    """Drawn images, and the prepared folders of skirts and pants."""
    make_data(folder, images)
    fashionai(folder, "prepare", "--task", TASK, "--task", "pant")


def make_run(folder: Path) -> None:
    """Drawn images, the prepared folder, and a finished run."""
    make_prepared(folder)
    fashionai(folder, "train", "--config", "small.yaml", "--run", "runs/skirt")


def make_weights(folder: Path) -> None:
    """A file of weights."""
    program = f"from fashionai.frameworks.mxnet import import_mxnet\nimport_mxnet()\n{MAKE_WEIGHTS}"
    run([sys.executable, "-c", program], folder)


def fashionai(folder: Path, *arguments: str) -> None:
    """Run a command that prepares the folder; it must succeed."""
    run([sys.executable, "-m", "fashionai", *arguments], folder)


def run(command: list[str], folder: Path) -> None:
    """Run a process in a folder with the code of this checkout; RuntimeError if it fails."""
    environment = {**os.environ, **CHECKOUT, "FASHIONAI_HOME": str(folder / "home")}
    done = subprocess.run(
        command, cwd=folder, env=environment, check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
