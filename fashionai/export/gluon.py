"""Exports a run as a Gluon graph, which any program with MXNet can read."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from fashionai.engines.pixel_graph import pixel_graph
from fashionai.export.agreement_check import Exported, check_on_validation_images
from fashionai.export.file_names import GLUON_FILES
from fashionai.export.model_files import (
    check_folder,
    pixel_graph_description,
    write_model,
)
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.graph import INPUT, save_graph
from fashionai.models.views import Pending
from fashionai.runs import Run

mx = import_mxnet()


def export_gluon(run: Run, folder: Path) -> Exported:
    """Write ``model-symbol.json``, ``model-0000.params`` and ``model.json``.

    The first two are what HybridBlock.export writes; ``mxnet.gluon.SymbolBlock.imports`` reads
    them, in programs that import fashionai.mxnet_compat before mxnet. The graph maps pixels to
    probabilities, see PixelNetwork. Comparison and errors are as for export_onnx, except for the
    errors of onnx_model and OnnxEngine.
    """
    check_folder(folder, GLUON_FILES)
    with tempfile.TemporaryDirectory(prefix="fashionai-") as name:
        files = [Path(name) / file for file in GLUON_FILES]
        save_graph(pixel_graph(run), *files)
        engine = _ImportedGraph(*files)
        contents = {file.name: file.read_bytes() for file in files}
    exported = check_on_validation_images(run, folder, "gluon", engine)
    write_model(run, folder, contents, pixel_graph_description(run, "gluon", INPUT))
    return exported


class _ImportedGraph:
    """The engine of exported files, read as any program with MXNet reads them."""

    def __init__(self, symbol: Path, parameters: Path) -> None:
        with warnings.catch_warnings():
            # MXNet warns that the files do not say the dtype of the input.
            warnings.simplefilter("ignore")
            self._block: Any = mx.gluon.SymbolBlock.imports(str(symbol), [INPUT], str(parameters))

    def begin(self, pixels: np.ndarray) -> Pending:
        """Start to compute views ``(N, H, W, 3) uint8`` RGB, see Engine."""
        probabilities = self._block(mx.nd.array(pixels, dtype="uint8"))
        return lambda: probabilities.asnumpy().astype(np.float64)
