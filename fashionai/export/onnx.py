"""A run's network as a graph that stands alone: pixels of a crop in, probabilities out.

Normalisation and soft-max are inside, and a reader needs nothing of this project.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from fashionai.datasets.prepared.samples import read_samples
from fashionai.engines.agreement import Agreement, agreement
from fashionai.engines.onnx_model import IMAGES, onnx_model
from fashionai.engines.onnx_runtime import OnnxNetwork
from fashionai.engines.opening import Engine, open_engine
from fashionai.engines.pixel_graph import OUTPUT, run_graph
from fashionai.export.model_files import Exported, check_difference, check_free, write_model
from fashionai.models.forward import Pending
from fashionai.models.graph import INPUT, save_graph
from fashionai.predictions.predict import predict_with_engine
from fashionai.runs import Run
from fashionai.runtime import compute_threads, import_mxnet

mx = import_mxnet()

CHECKED_IMAGES, CHECKED_AT_ONCE = 64, 16
ONNX_FILE = "model.onnx"
SYMBOL_FILE, PARAMETERS_FILE = "model-symbol.json", "model-0000.params"


def export_onnx(run: Run, folder: Path) -> Exported:
    """Write ``model.onnx`` and model.json to an empty or new folder, see onnx_model.

    Before that it answers the run's validation images as predict does, to 1e-4.
    Raises RunError for a folder that is taken, DataError without validation images,
    WeightsError where the answers differ, errors of onnx_model and OnnxNetwork.
    """
    check_free(folder)
    model = onnx_model(run)
    network = OnnxNetwork(model, run.columns, compute_threads())
    return _export(run, folder, "onnx", {ONNX_FILE: model}, network, IMAGES)


def export_gluon(run: Run, folder: Path) -> Exported:
    """Write ``model-symbol.json`` and ``model-0000.params``, as HybridBlock.export does.

    ``mxnet.gluon.SymbolBlock.imports`` reads them. Checks and errors are as for export_onnx.
    """
    check_free(folder)
    with tempfile.TemporaryDirectory(prefix="fashionai-") as name:
        files = [Path(name) / SYMBOL_FILE, Path(name) / PARAMETERS_FILE]
        save_graph(run_graph(run), *files)
        network = _SymbolNetwork(*files)
        contents = {file.name: file.read_bytes() for file in files}
    return _export(run, folder, "gluon", contents, network, INPUT)


class _SymbolNetwork:
    """Exported files, read as any program with MXNet reads them."""

    def __init__(self, symbol: Path, parameters: Path) -> None:
        with warnings.catch_warnings():
            # That the type of the input is not in the file.
            warnings.simplefilter("ignore")
            self._block: Any = mx.gluon.SymbolBlock.imports(str(symbol), [INPUT], str(parameters))

    def begin(self, pixels: np.ndarray) -> Pending:
        """As the protocol Engine has it."""
        answers = self._block(mx.nd.array(pixels, dtype="uint8"))
        return lambda: answers.asnumpy().astype(np.float64)


def _export(
    run: Run,
    folder: Path,
    layout: str,
    files: dict[str, bytes],
    network: Engine,
    images_name: str,
) -> Exported:
    """Check what the files compute, and write them."""
    config = run.config
    rows = read_samples(config, "val").paths[:CHECKED_IMAGES]
    exported = Exported(
        folder,
        f"{config.model.name} in the format {layout}",
        f"{len(rows)} validation images",
        _agreement(run, rows, network),
    )
    check_difference(run, exported)
    crop = config.data.crop
    description = {
        "format": layout,
        "network": config.model.name,
        "input": {
            "name": images_name,
            "shape": ["N", crop, crop, 3],
            "dtype": "uint8",
            "colours": "RGB",
        },
        "output": {"name": OUTPUT, "dtype": "float32"},
    }
    write_model(run, folder, files, description)
    return exported


def _agreement(run: Run, paths: list[Path], network: Engine) -> Agreement:
    own, exported = (
        predict_with_engine(engine, run, paths, crops=1, batch_size=CHECKED_AT_ONCE)
        for engine in (open_engine(run, [mx.cpu()], "gluon"), network)
    )
    return agreement(own, exported, run.columns)
