"""Writes a run's network as a bundle."""

from __future__ import annotations

import json
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import cv2
import numpy as np

from fashionai.bundles import archive
from fashionai.bundles.card import model_card, samples_by_split
from fashionai.datasets.prepared.samples import Samples
from fashionai.engines.onnx_model import onnx_model
from fashionai.engines.onnx_runtime import OnnxEngine
from fashionai.errors import ConfigError
from fashionai.export.agreement_check import Exported, check_on_validation_images
from fashionai.export.file_names import DESCRIPTION_FILE, MODEL_FILE
from fashionai.export.model_files import model_description
from fashionai.export.onnx import onnx_description
from fashionai.files import as_json, atomic_path
from fashionai.files.outputs import Kind, check_not_lost, try_place
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.metrics import true_classes
from fashionai.pipeline.decode import read_image
from fashionai.predictions.formats import as_written
from fashionai.predictions.predict import predict_images
from fashionai.predictions.scaling import Calibration
from fashionai.runs import Run
from fashionai.runtime import compute_threads
from fashionai.scoring.bootstrap import RESAMPLES
from fashionai.scoring.evaluate import TaskEvaluation
from fashionai.scoring.probabilities.calibrated import RunCalibration
from fashionai.scoring.splits import rows_of_samples

mx = import_mxnet()

BUNDLES = Kind("a bundle", archive.is_bundle)
# The images that are stored to verify a bundle with, each of another class.
MOST_SAMPLES = 4
SUFFIX = ".zip"


def export_bundle(run: Run, file: Path, calibrated: bool = False) -> Exported:
    """Write one zip file: the ONNX model, how to use it, its scores and images to verify it with.

    Its members are ``model.onnx`` and ``model.json`` (see export_onnx), ``predict.py``, which needs
    ONNX Runtime, OpenCV and NumPy alone, ``model_card.md``, ``checksums.sha256`` and in
    ``samples/`` up to 4 validation images with the probabilities that predict computes for them.
    The same run gives the same bytes. An earlier bundle is replaced. With ``calibrated``
    model.json has the run's calibration for one crop, which predict.py applies.

    Raises the errors of export_onnx, ConfigError for another existing file and for a name without
    .zip, and errors of read_calibration.
    """
    _check_place(file)
    calibration = RunCalibration.of(run, crops=1, is_used=calibrated)
    model = onnx_model(run)
    engine = OnnxEngine(model, run.columns, compute_threads())
    exported = check_on_validation_images(run, file, "bundle", engine)
    content = archive.pack(_members(run, model, calibration))
    with atomic_path(file) as temporary:
        temporary.write_bytes(content)
    return exported


def _check_place(file: Path) -> None:
    output = f"--out {file}"
    if file.suffix.lower() != SUFFIX:
        raise ConfigError(
            f"{output}: a bundle is one zip file, expected a name that ends in {SUFFIX}",
            f"Give --out {shlex.quote(f'{file}{SUFFIX}')}",
        )
    check_not_lost(output, file, BUNDLES, overwrite=False, hint="Name another file")
    try_place(output, file)


def _members(run: Run, model: bytes, calibration: RunCalibration) -> dict[str, bytes]:
    """The files of a bundle by name, without the checksums."""
    samples = samples_by_split(run)
    evaluations = {
        split: _evaluate(run, each, split, calibration)
        for split, each in samples.items()
        if split != "train"
    }
    applied = calibration.calibration if calibration.is_used else None
    stored = _stored_samples(run, samples["val"], applied)
    card = model_card(run, samples, evaluations, len(stored) - 1, applied)
    described = {**onnx_description(run), **_description_of(applied)}
    return {
        MODEL_FILE: model,
        DESCRIPTION_FILE: as_json(model_description(run, described)).encode(),
        archive.PROGRAM_FILE: archive.PROGRAM.read_bytes(),
        archive.CARD_FILE: card.encode("utf-8", "replace"),
        **stored,
    }


def _evaluate(
    run: Run, samples: Samples, split: str, calibration: RunCalibration
) -> list[TaskEvaluation]:
    """The scores of one centre crop of each sample, by task."""
    calibration.warn_of_fitted_split(split)
    rows = rows_of_samples(run, samples, split, [mx.cpu()], crops=1, engine="gluon")
    return [calibration.evaluate(each, resamples=RESAMPLES) for each in rows]


def _description_of(calibration: Optional[Calibration]) -> dict[str, Any]:
    """What model.json says about a calibration: weights and biases of each task, see Scaling."""
    if calibration is None:
        return {}
    scalings = calibration.scalings.items()
    return {
        "calibration": {
            task: {"weights": each.weights.tolist(), "biases": each.biases.tolist()}
            for task, each in scalings
        }
    }


def _stored_samples(
    run: Run, samples: Samples, calibration: Optional[Calibration]
) -> dict[str, bytes]:
    """Images of different classes as PNG, and a line of JSON with the probabilities of each.

    They are encoded anew: a photograph's file may also tell its place and its camera.
    """
    images = {
        f"samples/{number}.png": _as_png(run, samples.paths[row])
        for number, row in enumerate(_rows_of_different_classes(samples), start=1)
    }
    with tempfile.TemporaryDirectory(prefix="fashionai-") as name:
        files = [Path(name) / f"{number}.png" for number in range(len(images))]
        for path, data in zip(files, images.values()):
            path.write_bytes(data)
        predicted = predict_images(files, [run], [mx.cpu()], crops=1, engine="gluon")
    if calibration is not None:
        predicted = {task: calibration.of(task).apply(each) for task, each in predicted.items()}
    values = {task: as_written(each) for task, each in predicted.items()}
    lines = [
        json.dumps(
            {
                "image": image,
                "tasks": {
                    task.name: dict(zip(task.classes, each[row].tolist()))
                    for task, each in values.items()
                },
            }
        )
        for row, image in enumerate(images)
    ]
    return {**images, archive.EXPECTED_FILE: ("\n".join(lines) + "\n").encode()}


def _rows_of_different_classes(samples: Samples) -> Iterator[int]:
    """The first samples of up to MOST_SAMPLES classes."""
    _, first = np.unique(true_classes(samples.marks), return_index=True)
    yield from sorted(first.tolist())[:MOST_SAMPLES]


def _as_png(run: Run, path: Path) -> bytes:
    _, encoded = cv2.imencode(".png", read_image(path, run.config.data.short_side))
    return bytes(encoded)
