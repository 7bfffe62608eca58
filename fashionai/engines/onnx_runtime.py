"""The engine onnx: ONNX Runtime computes the exported network, on the CPU."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from fashionai.engines.onnx_model import IMAGES, INSTALL_HINT, onnx_model
from fashionai.errors import InstallationError, WeightsError, first_line
from fashionai.models.views import Pending
from fashionai.runs import Run
from fashionai.runtime import compute_threads

# Variables to set before the import of onnxruntime. From version 1.32 on, it otherwise sends usage
# data to its makers, and writes a device id and a database below the user's cache folder.
ENVIRONMENT = {"ORT_DISABLE_TELEMETRY": "1"}

# The log level at which ONNX Runtime prints errors only. Below it, ONNX Runtime prints messages
# about its optimizations and about missing GPUs.
ERRORS_ONLY = 3

# The activations of so few images fit into a core's cache. MobileNetV2 is 1.5 times as fast as when
# all threads compute one batch of 160 images together; for ResNets the speed is the same.
IMAGES_PER_PART = 2


def open_onnx(run: Run, contexts: Sequence[Any]) -> OnnxEngine:
    """Convert a run's network to ONNX and open it; errors of onnx_model and OnnxEngine."""
    return OnnxEngine(onnx_model(run), run.columns, compute_threads())


class OnnxEngine:
    """Computes a model that onnx_model made.

    A batch is computed in parts of two images, one part per thread at a time.
    """

    def __init__(self, model: bytes, columns: Sequence[slice], threads: int) -> None:
        """Compile the model.

        ``model`` is the content of an ONNX file, ``columns`` holds each task's columns in its
        output, ``threads`` is the number of threads that compute. Raises InstallationError when
        onnxruntime is not installed, WeightsError when it cannot open the model.
        """
        self._model, self._columns, self._threads = model, list(columns), threads
        self._threads_per_part = 1
        self._session = _open_session(model, self._threads_per_part)
        # Session.run blocks until it has computed. The pool lets begin return before that.
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="onnx")

    def begin(self, pixels: np.ndarray) -> Pending:
        """Start to compute views ``(N, H, W, 3) uint8`` RGB, see Engine."""
        parts = np.array_split(pixels, math.ceil(len(pixels) / IMAGES_PER_PART))
        self._share_threads(len(parts))
        running = [self._pool.submit(self._session.run, None, {IMAGES: part}) for part in parts]

        def finish() -> np.ndarray:
            outputs = np.concatenate([part.result()[0] for part in running]).astype(np.float64)
            by_task = [outputs[:, columns] for columns in self._columns]
            # float32 sums to 1 up to rounding only.
            return np.concatenate([p / p.sum(axis=1, keepdims=True) for p in by_task], axis=1)

        return finish

    def _share_threads(self, parts: int) -> None:
        """Give each part several threads when there are fewer parts than threads.

        The number of threads belongs to the compiled model: another number compiles it again.
        """
        threads_per_part = max(1, self._threads // parts)
        if threads_per_part != self._threads_per_part:
            self._session = _open_session(self._model, threads_per_part)
            self._threads_per_part = threads_per_part


def _session_errors() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises for a model that it cannot open. These have no common base class."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ("Fail", "InvalidGraph", "InvalidProtobuf", "NotImplemented", "RuntimeException")
    return tuple(getattr(state, name) for name in names)


def _open_session(model: bytes, threads: int) -> Any:
    """Compile a model for a number of threads; errors as for OnnxEngine."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import onnxruntime
    except ImportError:
        raise InstallationError("onnxruntime is not installed", INSTALL_HINT) from None
    onnxruntime.set_default_logger_severity(ERRORS_ONLY)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except _session_errors() as error:
        raise WeightsError(f"ONNX Runtime cannot open the network: {first_line(error)}") from None
