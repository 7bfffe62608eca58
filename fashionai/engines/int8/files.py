"""The files of a run's quantized network."""

from __future__ import annotations

import shlex
from typing import Any

from fashionai.errors import RunError, first_line
from fashionai.files import atomic_path, content_hash, write_json
from fashionai.files.formats.json_files import read_json
from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.graph import Graph, load_graph, save_graph
from fashionai.runs import Run, RunFolder

mx = import_mxnet()

# Keys of the report int8.json: the hash of the weights that were quantized, and the hash of the
# two files of the quantized network.
WEIGHTS_HASH = "weights_sha256"
FILES_HASH = "files_sha256"


def save_quantized(run: Run, graph: Graph, weights: str, report: dict[str, Any]) -> None:
    """Write a quantized graph into a run.

    ``weights`` is the hash of the weights that were quantized. The report is written last: without
    it the run is not quantized.
    """
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
    """Read the graph that save_quantized wrote.

    Raises RunError when there is none, when it was made from other weights than the run has now,
    and when its files are damaged.
    """
    folder, command = run.folder, f"fashionai quantize --run {shlex.quote(str(run))}"
    if run.crop not in (None, run.config_with(()).data.crop):
        raise RunError(
            f"{run}: engine int8 computes only crops of the size that the run was trained with",
            "Leave out --image-size, or choose another engine",
        )
    try:
        report = read_json(folder.int8_report)
    except (OSError, ValueError):
        raise RunError(f"{run}: not quantized yet", f"Run: {command}") from None
    if not isinstance(report, dict) or report.get(WEIGHTS_HASH) != run.check_weights():
        raise RunError(f"{run}: quantized from other weights than it has now", f"Run: {command}")
    try:
        if report.get(FILES_HASH) != _files_hash(folder):
            raise ValueError("the files changed after they were written")
        return load_graph(folder.int8_symbol, folder.int8_parameters)
    except (mx.base.MXNetError, OSError, KeyError, ValueError) as error:
        raise RunError(
            f"{folder.int8_symbol}, {folder.int8_parameters.name}: cannot be used "
            f"({first_line(error)})",
            f"Run: {command}",
        ) from None


def _files_hash(folder: RunFolder) -> str:
    """The SHA-256 over the SHA-256 of both files."""
    files = (folder.int8_symbol, folder.int8_parameters)
    return content_hash("".join(content_hash(file.read_bytes()) for file in files).encode())
