"""ONNX models computed by ONNX Runtime on the CPU."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from fashionai.engines.onnx_model import IMAGES, INSTALL_HINT
from fashionai.errors import InstallationError, WeightsError
from fashionai.models.forward import Pending
from fashionai.models.zoo import first_line

# Errors alone: ONNX Runtime tells on the terminal what it optimizes and which GPUs it lacks.
ERRORS = 3

# What lies between layers stays in a core's cache for so few images: MobileNetV2 is half as
# fast again as when all threads compute one batch of 160, and ResNets lose nothing.
IMAGES_AT_ONCE = 2


class OnnxNetwork:
    """A model that onnx_model made, and the columns of each task in its output.

    A batch is computed in parts of two images, on as many threads at once as there are.
    """

    def __init__(self, model: bytes, columns: Sequence[slice], threads: int) -> None:
        """Compile the model for ``threads`` threads; InstallationError without onnxruntime."""
        self._model, self._columns, self._threads = model, list(columns), threads
        self._threads_a_part = 1
        self._session = _open_session(model, self._threads_a_part)
        # ONNX Runtime computes while it is called: the caller goes on meanwhile.
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="onnx")

    def begin(self, pixels: np.ndarray) -> Pending:
        """Begin with ``(N, H, W, 3) uint8``; call the result for probabilities ``(N, C) float64``.

        Each task's columns sum to 1.
        """
        parts = np.array_split(pixels, -(-len(pixels) // IMAGES_AT_ONCE))
        self._share_threads(len(parts))
        running = [self._pool.submit(self._session.run, None, {IMAGES: part}) for part in parts]

        def finish() -> np.ndarray:
            answers = np.concatenate([part.result()[0] for part in running])
            columns = [answers[:, own].astype(np.float64) for own in self._columns]
            return np.concatenate([p / p.sum(axis=1, keepdims=True) for p in columns], axis=1)

        return finish

    def _share_threads(self, parts: int) -> None:
        """Compile the model anew where fewer parts than threads would leave some without work."""
        threads_a_part = max(1, self._threads // parts)
        if threads_a_part != self._threads_a_part:
            self._session = _open_session(self._model, threads_a_part)
            self._threads_a_part = threads_a_part


def _refusals() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises for a model that it does not take: its exceptions have no base."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ("Fail", "InvalidGraph", "InvalidProtobuf", "NotImplemented", "RuntimeException")
    return tuple(getattr(state, name) for name in names)


def _open_session(model: bytes, threads: int) -> Any:
    # From version 1.32 on it would tell its makers of its use, beginning with the import.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError:
        raise InstallationError("onnxruntime is not installed", INSTALL_HINT) from None
    onnxruntime.set_default_logger_severity(ERRORS)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS
    options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except _refusals() as error:
        raise WeightsError(f"ONNX Runtime cannot open the network: {first_line(error)}") from None
