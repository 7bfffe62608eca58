"""What computes probabilities: a run's network in one of several ways, behind one interface.

``gluon`` is the hybridized network, on any device. On the CPU there are also
``fused`` (oneDNN computes batch normalisation, activations and sums inside the
convolutions), ``onnx`` (ONNX Runtime) and ``int8`` (8-bit integers, calibrated by
``fashionai quantize``). All but int8 agree with gluon within rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from fashionai.errors import ConfigError
from fashionai.inference.onnx_model import onnx_model
from fashionai.inference.onnx_network import OnnxNetwork
from fashionai.inference.quantized import load_quantized
from fashionai.models.forward import Forward, Pending
from fashionai.models.graphs import as_block, fuse, trace
from fashionai.models.zoo import build_network, load_parameters
from fashionai.runs import RunFolder
from fashionai.runtime import compute_threads, import_mxnet
from fashionai.tasks import columns_of

mx = import_mxnet()

EXACT_ENGINES = ("gluon", "fused", "onnx")
ENGINES = (*EXACT_ENGINES, "int8")


class Engine(Protocol):
    """Computes class probabilities of views."""

    def begin(self, pixels: np.ndarray) -> Pending:
        """Begin with ``(N, H, W, 3) uint8`` RGB; call the result for ``(N, C) float64``.

        N must not change between calls where speed matters: graphs are planned for it.
        """
        ...


def open_engine(run: RunFolder, contexts: Sequence[Any], name: str) -> Engine:
    """The weights of a run in the engine of that name, one of ENGINES.

    Raises ConfigError for an engine that the devices do not have, RunError for a
    run without weights or that is not quantized, WeightsError when they do not
    fit, InstallationError where onnx or ONNX Runtime is not installed.
    """
    run.check_usable()
    if name != "gluon" and contexts[0].device_type != "cpu":
        raise ConfigError(
            f"engine {name} computes on the CPU, found {contexts[0]}",
            "Give --engine gluon, or --device cpu",
        )
    config, columns = run.read_config(), columns_of(run.read_tasks())
    if name == "onnx":
        return OnnxNetwork(onnx_model(run), columns, compute_threads())
    if name == "int8":
        network = load_quantized(run, contexts)
    else:
        network = build_network(config.model.name, columns[-1].stop, config.data.crop)
        load_parameters(network, run.weights_file, contexts if name == "gluon" else [mx.cpu()])
        if name == "fused":
            network = as_block(fuse(trace(network)), contexts)
    return Forward(network, *config.data.normalization, contexts, columns)
