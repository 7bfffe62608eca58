"""ONNX models of both sides, and what measures them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from harness import HERE, ROOT, Options, Side
from images import CLASSES
from trained_runs import trained_run

BATCH_SIZE = 16
NETWORKS = (
    # name, torchvision's, ours, how many times as fast as the slowest
    ("MobileNetV2", "mobilenet_v2", "mobilenetv2_1.0", 4),
    ("ResNet-50", "resnet50", "resnet50_v1b", 1),
)


def torchvision_side(options: Options, network: str, batches: int) -> Side:
    """torchvision's own export of a network: normalised pixels to logits."""
    file = _model_file(options.cache, f"torchvision-{network}")
    if not file.exists():
        script = HERE / "peers/torchvision_export.py"
        words = (options.peer_python, script, network, CLASSES, BATCH_SIZE, file)
        _call(list(map(str, words)))
    return _side(f"torchvision's export of {network}", file, options, batches)


def our_side(options: Options, network: str, batches: int) -> Side:
    """This project's export of a network: pixels to probabilities."""
    file = _model_file(options.cache, f"ours-{network}")
    run = trained_run(options.cache, network)
    _call([sys.executable, str(HERE / "ours/export.py"), str(run), str(file)])
    return _side(f"fashionai's export of {network}", file, options, batches)


def _side(name: str, file: Path, options: Options, batches: int) -> Side:
    settings = {"model": file, "batch_size": BATCH_SIZE, "batches": batches}
    return Side(name, "peers/onnx_forward.py", settings, options.peer_python)


def _model_file(cache: Path, name: str) -> Path:
    file = cache / "onnx" / f"{name}.onnx"
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def _call(command: list[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, check=True, stdout=sys.stderr, env=environment)
