"""A run's network in 8-bit integers: its files."""

from __future__ import annotations

import json
from typing import Any

from fashionai.errors import RunError
from fashionai.files import atomic_path, content_hash, write_json
from fashionai.models.graph import Graph, load_graph, save_graph
from fashionai.models.zoo import first_line
from fashionai.runs import Run, RunFolder
from fashionai.runtime import import_mxnet

mx = import_mxnet()

# In the report: the hash of the weights that were quantized.
WEIGHTS_HASH = "weights_sha256"
# And that of the two files beside it.
FILES_HASH = "files_sha256"


def save_quantized(run: Run, graph: Graph, weights: str, report: dict[str, Any]) -> None:
    """Write the graph of weights of that hash and, last, the report that makes it count."""
    folder = run.folder
    folder.int8_report.unlink(missing_ok=True)
    with (
        atomic_path(folder.int8_symbol) as symbol,
        atomic_path(folder.int8_parameters) as parameters,
    ):
        save_graph(graph, symbol, parameters)
    hashes = {WEIGHTS_HASH: weights, FILES_HASH: _files_hash(folder)}
    write_json(folder.int8_report, {**report, **hashes})


def load_quantized(run: Run) -> Graph:
    """The graph that save_quantized left; RunError when there is none for the run's weights."""
    folder, command = run.folder, f"fashionai quantize --run {run}"
    try:
        report = json.loads(folder.int8_report.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise RunError(f"{run}: is not quantized", f"Run: {command}") from None
    if not isinstance(report, dict) or report.get(WEIGHTS_HASH) != weights_hash(run):
        raise RunError(f"{run}: was quantized with other weights", f"Run: {command}")
    try:
        if report.get(FILES_HASH) != _files_hash(folder):
            raise ValueError("not as quantize wrote them")
        return load_graph(folder.int8_symbol, folder.int8_parameters)
    except (mx.base.MXNetError, OSError, KeyError, ValueError) as error:
        raise RunError(
            f"{folder.int8_symbol}, {folder.int8_parameters.name}: cannot be used "
            f"({first_line(error)})",
            f"Run: {command}",
        ) from None


def _files_hash(folder: RunFolder) -> str:
    files = (folder.int8_symbol, folder.int8_parameters)
    return content_hash("".join(content_hash(file.read_bytes()) for file in files).encode())


def weights_hash(run: Run) -> str:
    """The SHA-256 of the weights that predict."""
    return content_hash(run.weights_file.read_bytes())
