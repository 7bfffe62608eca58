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
        # By threads per part, which belong to a compiled model: batches of changing sizes, as a
        # server computes them, would compile it over and over.
        self._sessions = {1: _open_session(model, 1)}
        # Session.run blocks until it has computed. The pool lets begin return before that.
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="onnx")

    def begin(self, pixels: np.ndarray) -> Pending:
        """Start to compute views ``(N, H, W, 3) uint8`` RGB, see Engine."""
        parts = np.array_split(pixels, math.ceil(len(pixels) / IMAGES_PER_PART))
        session = self._session_for(len(parts))
        running = [self._pool.submit(session.run, None, {IMAGES: part}) for part in parts]

        def finish() -> np.ndarray:
            try:
                outputs = np.concatenate([part.result()[0] for part in running]).astype(np.float64)
            except _session_errors() as error:
                raise RuntimeError(str(error)) from error
            by_task = [outputs[:, columns] for columns in self._columns]
            # float32 sums to 1 up to rounding only.
            return np.concatenate([p / p.sum(axis=1, keepdims=True) for p in by_task], axis=1)

        return finish

    def _session_for(self, parts: int) -> Any:
        """The model with several threads per part when there are fewer parts than threads."""
        threads = max(1, self._threads // parts)
        if threads not in self._sessions:
            self._sessions[threads] = _open_session(self._model, threads)
        return self._sessions[threads]


def _session_errors() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises where it cannot open or compute a model: no common base class."""
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
    # Threads would wait for their next task in a loop, for a while also between two batches, on
    # cores that decoders and other programs need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except _session_errors() as error:
        raise WeightsError(f"ONNX Runtime cannot open the network: {first_line(error)}") from None
