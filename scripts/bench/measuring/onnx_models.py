"""Sides that run an ONNX model of torchvision or of this project under ONNX Runtime."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from measuring.images import CLASSES
from measuring.options import Options
from measuring.paths import BENCH, ROOT
from measuring.runs import trained_run
from measuring.side import Side

BATCH_SIZE = 16


class NetworkPair(NamedTuple):
    """The same architecture in both projects; ``speed`` is relative to the slowest pair."""

    title: str
    torchvision: str
    ours: str
    speed: int

    def batches(self, images: int) -> int:
        """Batches per repetition, so that each pair takes about the same time; at least 1."""
        return max(1, images * self.speed // BATCH_SIZE)


NETWORKS = (
    NetworkPair("MobileNetV2", "mobilenet_v2", "mobilenetv2_1.0", 4),
    NetworkPair("ResNet-50", "resnet50", "resnet50_v1b", 1),
)


def torchvision_side(options: Options, network: str, batches: int) -> Side:
    """torchvision's own export of a network: normalised pixels to logits."""
    file = _model_file(options.cache, f"torchvision-{network}")
    if not file.exists():
        script = BENCH / "peers/torchvision_export.py"
        _call(options.peer_python, script, network, CLASSES, BATCH_SIZE, file)
    return _side(f"torchvision's export of {network}", file, options, batches)


def our_side(options: Options, network: str, batches: int) -> Side:
    """This project's export of a network: pixels to probabilities."""
    file = _model_file(options.cache, f"ours-{network}")
    _call(sys.executable, BENCH / "ours/export.py", trained_run(options.cache, network), file)
    return _side(f"fashionai's export of {network}", file, options, batches)


def _side(name: str, file: Path, options: Options, batches: int) -> Side:
    settings = {"model": file, "batch_size": BATCH_SIZE, "batches": batches}
    return Side(name, "peers/onnx_forward.py", settings, options.peer_python)


def _model_file(cache: Path, name: str) -> Path:
    file = cache / "onnx" / f"{name}.onnx"
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def _call(*command: object) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(list(map(str, command)), check=True, stdout=sys.stderr, env=environment)
