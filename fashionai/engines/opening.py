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

from fashionai.config import Config
from fashionai.engines.agreement import TOLERANCE, agreement, noise_images
from fashionai.engines.gluon import load_network
from fashionai.engines.int8 import integer_engine
from fashionai.engines.int8_files import load_quantized
from fashionai.engines.onnx_model import onnx_model
from fashionai.engines.onnx_runtime import OnnxNetwork
from fashionai.errors import ConfigError, WeightsError
from fashionai.models.forward import Forward, Pending
from fashionai.models.graph import as_block, fuse, trace
from fashionai.models.zoo import first_line
from fashionai.runs import Run
from fashionai.runtime import compute_threads, import_mxnet

mx = import_mxnet()


class Engine(Protocol):
    """Computes class probabilities of views."""

    def begin(self, pixels: np.ndarray) -> Pending:
        """Begin with ``(N, H, W, 3) uint8`` RGB; call the result for ``(N, C) float64``.

        N must not change between calls where speed matters: graphs are planned for it.
        """
        ...


def open_engine(run: Run, contexts: Sequence[Any], name: str) -> Engine:
    """The weights of a run in the engine of that name, one of ENGINES.

    Exact ones other than gluon must agree with it on images of noise, to 1e-4. Raises
    ConfigError for an engine that the devices do not have or that does not agree, RunError
    for a run that is not quantized, WeightsError when they do not fit,
    InstallationError where onnx or ONNX Runtime is not installed.
    """
    if name != "gluon" and contexts[0].device_type != "cpu":
        raise ConfigError(
            f"engine {name} computes on the CPU, found {contexts[0]}",
            "Give --engine gluon, or --device cpu",
        )
    config, columns = run.config, run.columns

    def forward(network: Any) -> Forward:
        return Forward(network, *config.data.normalization, contexts, columns)

    if name == "int8":
        return integer_engine(load_quantized(run), config.data.normalization, contexts, columns)
    network = load_network(run, contexts)
    gluon = forward(network)
    if name == "gluon":
        return gluon
    engine: Engine
    if name == "onnx":
        engine = OnnxNetwork(onnx_model(run), columns, compute_threads())
    else:
        engine = forward(_fused(network, config.model.name, contexts))
    _check_agreement(config, columns, name, engine, gluon)
    return engine


def _fused(network: Any, name: str, contexts: Sequence[Any]) -> Any:
    try:
        return as_block(fuse(trace(network)), contexts)
    except mx.base.MXNetError as error:
        raise WeightsError(f"{name}: oneDNN cannot fuse it ({first_line(error)})") from None


def _check_agreement(
    config: Config, columns: Sequence[slice], name: str, engine: Engine, gluon: Engine
) -> None:
    """ConfigError where they differ, as they would if oneDNN fused a graph wrongly."""
    images = noise_images(config.data.crop)
    try:
        found = agreement(engine.begin(images)(), gluon.begin(images)(), columns)
    except mx.base.MXNetError as error:
        raise WeightsError(
            f"engine {name} cannot compute {config.model.name} ({first_line(error)})"
        ) from None
    if not found.difference <= TOLERANCE:
        raise ConfigError(
            f"engine {name} computes {config.model.name} wrongly, probabilities are off by "
            f"{found.difference:.2g}",
            "Give --engine auto, or gluon",
        )
