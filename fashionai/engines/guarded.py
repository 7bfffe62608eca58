"""An engine whose failures are errors for the person at the terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np

from fashionai.engines.protocol import Engine
from fashionai.errors import FrameworkError, first_line
from fashionai.models.views import Pending
from fashionai.runs import Run


class GuardedEngine:
    """The engine ``name`` of a run; what its framework raises becomes a FrameworkError.

    MXNet's, PyTorch's and ONNX Runtime's errors, such as those of a full memory, are RuntimeErrors.
    """

    def __init__(self, engine: Engine, name: str, run: Run) -> None:
        self.engine, self._name, self._run = engine, name, run

    def begin(self, pixels: np.ndarray) -> Pending:
        """Start to compute views ``(N, H, W, 3) uint8`` RGB, see Engine."""
        with self._clear_errors():
            pending = self.engine.begin(pixels)

        def finish() -> np.ndarray:
            with self._clear_errors():
                return pending()

        return finish

    @contextlib.contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise FrameworkError(
                f"{self._run}: engine {self._name} stopped: {first_line(error)}",
                "A smaller --batch-size needs less memory",
            ) from error
