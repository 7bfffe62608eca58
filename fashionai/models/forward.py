"""Batches of pixels, or of what a part of a network takes, through it on one or more devices."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Optional

import numpy as np

from fashionai.pipeline.mixing import Mixing
from fashionai.runtime import compute_threads, import_mxnet

mx = import_mxnet()
HybridBlock: Any = mx.gluon.HybridBlock

# How many images the CPU computes at once, for each of its threads. More do not make it faster,
# and what lies between layers leaves the caches: with 160 views at once ResNet-50 in integers
# is a sixth slower, and MobileNetV2 takes seven gigabytes instead of one.
IMAGES_A_THREAD = 8

# Probabilities that a device is computing: called, it waits for them.
Pending = Callable[[], np.ndarray]


class Normalize(HybridBlock):
    """``(B, H, W, 3) uint8`` RGB to ``(B, 3, H, W) float32``: (x / 255 - mean) / std."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self._mean, self._std = ([255 * value for value in values] for values in (mean, std))

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803 - Gluon's name
        """The normalised batch."""
        # On the CPU faster than image.to_tensor, and than transposing bytes by far.
        planes = F.transpose(F.cast(x, dtype="float32"), axes=(0, 3, 1, 2))
        return F.image.normalize(planes, mean=self._mean, std=self._std)


def to_device(values: np.ndarray, context: Any) -> Any:
    """A copy of an array that is not empty, on a device; ``values`` may change afterwards.

    mx.nd.array waits for its turn among the operators before it copies. On the CPU
    that is after a whole backward pass, and then little computes until Python has
    prepared the next step. New memory is in nobody's use and is filled at once;
    the way to a GPU is an operator of its own, for which Python does not wait.
    """
    host = context if context.device_type == "cpu" else mx.cpu()
    array = mx.nd.empty(values.shape, host, values.dtype)
    address = ctypes.c_void_p()
    mx.base.check_call(mx.base._LIB.MXNDArrayGetData(array.handle, ctypes.byref(address)))
    memory: Any = (ctypes.c_byte * values.nbytes).from_address(address.value or 0)
    np.frombuffer(memory, values.dtype).reshape(values.shape)[...] = values
    return array.as_in_context(context)


class BatchForward:
    """A network on one or more devices, fed with what it takes.

    ``columns`` are those of each task in the network's output: each has a soft-max
    of its own.
    """

    # How many rows the CPU computes at once, for each of its threads; None for any number.
    rows_a_thread: Optional[int] = None

    def __init__(self, network: Any, contexts: Sequence[Any], columns: Sequence[slice]) -> None:
        self.network = network
        self.contexts = list(contexts)
        self._columns = list(columns)
        # On several devices at once MXNet 1.9.1 loses updates of the statistics of batch
        # normalisation in graphs of static shape: now and then, and other ones in each run.
        self._options = {"static_alloc": True, "static_shape": len(self.contexts) == 1}
        network.hybridize(**self._options)

    def split(self, array: np.ndarray) -> list[Any]:
        """Distribute the rows of an array over the devices, as evenly as they go.

        A batch of fewer rows than devices leaves some devices without work.
        """
        return [
            to_device(part, context)
            for part, context in zip(np.array_split(array, len(self.contexts)), self.contexts)
            if len(part)
        ]

    def logits(self, inputs: Any, mixing: Optional[Mixing] = None) -> Any:
        """``(B, ...)`` on one device, mixed when asked, to logits ``(B, C)`` there."""
        prepared = self.prepare(inputs)
        if mixing is not None:
            own = to_device(mixing.weights, inputs.context)
            partners = prepared.take(to_device(mixing.partners.astype(np.int32), inputs.context))
            prepared = mx.nd.broadcast_mul(prepared, own) + mx.nd.broadcast_mul(partners, 1 - own)
        return self.network(prepared)

    def prepare(self, inputs: Any) -> Any:
        """What the network takes, of a batch of inputs."""
        return inputs

    def outputs(self, inputs: np.ndarray) -> Pending:
        """Begin with ``(N, ...)``; call the result for what the network answers, ``float32``.

        What is too much for the CPU at once is computed in parts of the same shape, the
        last one filled up with zeros.
        """
        size = self._rows_at_once(len(inputs))
        outputs = [
            self.logits(part)
            for at in range(0, len(inputs), size)
            for part in self.split(_fill_up(inputs[at : at + size], size))
        ]
        return lambda: np.concatenate([output.asnumpy() for output in outputs])[: len(inputs)]

    def _rows_at_once(self, rows: int) -> int:
        """As even as it goes, so that the last part is filled up with few."""
        if self.rows_a_thread is None or self.contexts[0].device_type != "cpu":
            return rows
        parts = -(-rows // (self.rows_a_thread * compute_threads()))
        return -(-rows // parts)

    def begin(self, inputs: np.ndarray) -> Pending:
        """Begin with ``(N, ...)``; call the result for probabilities ``(N, C) float64``.

        Each task has a soft-max of its own, so that its columns sum to 1.
        """
        outputs = self.outputs(inputs)

        def finish() -> np.ndarray:
            logits = outputs()
            return np.concatenate([softmax(logits[:, part]) for part in self._columns], axis=1)

        return finish

    def probabilities(self, batches: Iterable[np.ndarray], batch_size: int) -> np.ndarray:
        """Probabilities ``(N, C) float64`` of all rows, see mean_over_views."""
        return np.concatenate(list(mean_over_views(self.begin, batches, batch_size)))


class Forward(BatchForward):
    """A network with its input normalisation, fed with pixels ``(B, H, W, 3) uint8``.

    The normalisation is beside the network, not inside it: the parameters that
    are saved are those of the stock network.
    """

    rows_a_thread = IMAGES_A_THREAD

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


def mean_over_views(
    begin: Callable[[np.ndarray], Pending], batches: Iterable[np.ndarray], batch_size: int
) -> Iterator[np.ndarray]:
    """What ``begin`` answers to ``(B, V, ...)`` batches, the mean over views.

    ``begin`` takes all views of a batch, ``(B * V, ...)``, and answers with two
    dimensions. A batch is begun before the one in front of it is read, so that the
    device has something to do in between. One of fewer than ``batch_size`` rows is
    filled up with zeros, which are dropped again: static graphs are planned for one
    shape.
    """
    waiting: Optional[tuple[Pending, int]] = None
    for images in batches:
        filled = _fill_up(images, batch_size)
        begun = begin(filled.reshape(-1, *filled.shape[2:])), len(images)
        if waiting is not None:
            yield _finish(*waiting, batch_size)
        waiting = begun
    if waiting is not None:
        yield _finish(*waiting, batch_size)


def _fill_up(array: np.ndarray, rows: int) -> np.ndarray:
    """An array with rows of zeros at its end, so that there are so many."""
    if len(array) == rows:
        return array
    return np.concatenate([array, np.zeros((rows - len(array), *array.shape[1:]), array.dtype)])


def _finish(pending: Pending, rows: int, batch_size: int) -> np.ndarray:
    answers = pending()
    mean: np.ndarray = answers.reshape(batch_size, -1, answers.shape[-1])[:rows].mean(axis=1)
    return mean


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities ``(N, C) float64`` that sum to 1 in every row."""
    # Of a diverged network inf - inf is not a number, which whoever asked looks for.
    with np.errstate(invalid="ignore"):
        shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    exponentials = np.exp(shifted)
    return exponentials / exponentials.sum(axis=-1, keepdims=True)
