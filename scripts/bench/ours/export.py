"""Exports a run as an ONNX model: usage: export.py RUN FILE."""

from __future__ import annotations

import sys
from pathlib import Path

from fashionai.engines.onnx_model import onnx_model
from fashionai.runs import Run

if __name__ == "__main__":
    Path(sys.argv[2]).write_bytes(onnx_model(Run.open(Path(sys.argv[1]))))
