"""Exports a run as an ONNX model, which needs nothing of this project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fashionai.engines.onnx_model import IMAGES, onnx_model
from fashionai.engines.onnx_runtime import ENVIRONMENT, OnnxEngine
from fashionai.export.agreement_check import Exported, check_on_validation_images
from fashionai.export.file_names import ONNX_FILES
from fashionai.export.model_files import (
    check_folder,
    pixel_graph_description,
    write_model,
)
from fashionai.runs import Run
from fashionai.runtime import compute_threads


def export_onnx(run: Run, folder: Path) -> Exported:
    """Write ``model.onnx`` (see onnx_model) and ``model.json`` to a folder, see check_folder.

    model.json also has the environment variables to set before importing onnxruntime.

    The model is first compared with the run on validation images. Raises the errors of
    check_folder, DataError when there are no validation images, WeightsError when a probability
    differs by more than 1e-4, and errors of onnx_model and OnnxEngine.
    """
    check_folder(folder, ONNX_FILES)
    model = onnx_model(run)
    engine = OnnxEngine(model, run.columns, compute_threads())
    exported = check_on_validation_images(run, folder, "onnx", engine)
    write_model(run, folder, dict(zip(ONNX_FILES, [model])), onnx_description(run))
    return exported


def onnx_description(run: Run) -> dict[str, Any]:
    """What model.json says about an ONNX model."""
    return {**pixel_graph_description(run, "onnx", IMAGES), "environment": ENVIRONMENT}
