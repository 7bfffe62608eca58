"""The forward pass of batches through a network, or a part of one, on one or more devices."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from typing import Any, Optional

import numpy as np

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.views import (
    IMAGES_PER_THREAD,
    Pending,
    mean_over_views,
    pad,
    probabilities_of,
    rows_at_once,
)
from fashionai.pipeline.augmentation.mixing import Mixing
from fashionai.runtime import compute_threads

mx = import_mxnet()
HybridBlock: Any = mx.gluon.HybridBlock


class Normalize(HybridBlock):
    """Normalises images: ``(B, H, W, 3) uint8`` RGB to ``(B, 3, H, W) float32``.

    The output is (x / 255 - mean) / std.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self._mean, self._std = ([255 * value for value in values] for values in (mean, std))

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803 - Gluon's name
        """The normalised batch."""
        # On the CPU this is faster than image.to_tensor, and much faster than to transpose bytes.
        planes = F.transpose(F.cast(x, dtype="float32"), axes=(0, 3, 1, 2))
        return F.image.normalize(planes, mean=self._mean, std=self._std)


def to_device(values: np.ndarray, context: Any) -> Any:
    """Copy an array that is not empty to a device. ``values`` may be changed afterwards.

    mx.nd.array queues its copy behind all pending operators. On the CPU it would wait
    for a whole backward pass, and the threads would be idle while Python prepares the
    next step. This function writes directly into newly allocated memory, which no
    operator uses. The transfer to a GPU is an operator that Python does not wait for.
    """
    host = context if context.device_type == "cpu" else mx.cpu()
    array = mx.nd.empty(values.shape, host, values.dtype)
    address = ctypes.c_void_p()
    mx.base.check_call(mx.base._LIB.MXNDArrayGetData(array.handle, ctypes.byref(address)))
    memory: Any = (ctypes.c_byte * values.nbytes).from_address(address.value or 0)
    np.frombuffer(memory, values.dtype).reshape(values.shape)[...] = values
    return array.as_in_context(context)


class BatchForward:
    """A network on one or more devices, for batches of its direct input.

    ``columns`` holds one slice of the network's output per task. The softmax is
    computed for each task separately.
    """

    # The number of rows that the CPU computes at once, per thread; None for no limit.
    rows_per_thread: Optional[int] = None

    def __init__(self, network: Any, contexts: Sequence[Any], columns: Sequence[slice]) -> None:
        self.network = network
        self.contexts = list(contexts)
        self._columns = list(columns)
        # On several devices, graphs of static shape in MXNet 1.9.1 sometimes lose updates of the
        # running statistics of batch normalisation. Which ones are lost varies between runs.
        self._options = {"static_alloc": True, "static_shape": len(self.contexts) == 1}
        network.hybridize(**self._options)

    def split(self, array: np.ndarray) -> list[Any]:
        """Distribute the rows of an array over the devices as evenly as possible.

        If there are fewer rows than devices, some devices get none.
        """
        return [
            to_device(part, context)
            for part, context in zip(np.array_split(array, len(self.contexts)), self.contexts)
            if len(part)
        ]

    def logits(self, inputs: Any, mixing: Optional[Mixing] = None) -> Any:
        """Logits ``(B, C)`` of inputs ``(B, ...)``, both on one device.

        If ``mixing`` is given, the inputs of the network are mixed.
        """
        prepared = self.prepare(inputs)
        if mixing is not None:
            weights = to_device(mixing.weights, inputs.context)
            partners = prepared.take(to_device(mixing.partners.astype(np.int32), inputs.context))
            prepared = mx.nd.broadcast_mul(prepared, weights) + mx.nd.broadcast_mul(
                partners, 1 - weights
            )
        return self.network(prepared)

    def prepare(self, inputs: Any) -> Any:
        """The input of the network for a batch of inputs."""
        return inputs

    def outputs(self, inputs: np.ndarray) -> Pending:
        """Start to compute the float32 outputs of inputs ``(N, ...)``; call the result for them.

        A batch that is too large for the CPU is computed in parts of equal shape. The
        last part is padded with zeros.
        """
        size = self._rows_at_once(len(inputs))
        outputs = [
            self.logits(part)
            for start in range(0, len(inputs), size)
            for part in self.split(pad(inputs[start : start + size], size))
        ]
        return lambda: np.concatenate([output.asnumpy() for output in outputs])[: len(inputs)]

    def _rows_at_once(self, rows: int) -> int:
        """The number of rows per part. Parts are as even as possible to need little padding."""
        if self.rows_per_thread is None or self.contexts[0].device_type != "cpu":
            return rows
        return rows_at_once(rows, self.rows_per_thread, compute_threads())

    def begin(self, inputs: np.ndarray) -> Pending:
        """Start to compute the probabilities of inputs ``(N, ...)``; call the result for them.

        They are ``(N, C) float64``. The columns of each task sum to 1.
        """
        outputs = self.outputs(inputs)
        return lambda: probabilities_of(outputs(), self._columns)

    def probabilities(self, batches: Iterable[np.ndarray], batch_size: int) -> np.ndarray:
        """Probabilities ``(N, C) float64`` of all rows of the batches, see mean_over_views."""
        return np.concatenate(list(mean_over_views(self.begin, batches, batch_size)))


class Forward(BatchForward):
    """A network and the normalisation of its input, for pixels ``(B, H, W, 3) uint8``.

    The normalisation is not a layer of the network: saved parameters load into the
    stock network.
    """

    rows_per_thread = IMAGES_PER_THREAD

    def __init__(
        self,
        network: Any,
        mean: Sequence[float],
        std: Sequence[float],
        contexts: Sequence[Any],
        columns: Sequence[slice],
    ) -> None:
        super().__init__(network, contexts, columns)
        self._normalize = Normalize(mean, std)
        self._normalize.hybridize(**self._options)

    def prepare(self, inputs: Any) -> Any:
        """Normalised images ``(B, 3, H, W) float32``."""
        return self._normalize(inputs)
