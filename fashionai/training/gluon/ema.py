"""The exponential moving average of a network's weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.freezing import moving_parameters

mx = import_mxnet()

# MXNet's fused update takes at most this many arrays at once.
LARGEST_GROUP = 45


@contextlib.contextmanager
def restored_afterwards(parameters: Sequence[Any]) -> Iterator[None]:
    """Restore the values of parameters when this context ends.

    The values of the first device are restored on all devices: running statistics of batch
    normalisation must be equal on all devices before.
    """
    values = [parameter.list_data()[0].copy() for parameter in parameters]
    try:
        yield
    finally:
        for parameter, value in zip(parameters, values):
            parameter.set_data(value)


class WeightAverage:
    """Moving averages of all parameters that training changes, with running statistics.

    After step t, from 0: average = d * average + (1 - d) * weight, where
    d = min(decay, (1 + t) / (10 + t)), so that the initial random weights are forgotten
    (as in tf.train.ExponentialMovingAverage with num_updates). The averages are on the
    first device and follow its running statistics.
    """

    def __init__(self, network: Any, decay: float) -> None:
        self._parameters: dict[str, Any] = moving_parameters(network)
        self._decay = decay
        self._averages = [self._current(p).copy() for p in self._parameters.values()]

    def update(self, step: int) -> None:
        """Add the weights after optimizer step ``step`` to the averages."""
        rest = 1 - min(self._decay, (1 + step) / (10 + step))
        pairs = [
            (average, self._current(parameter))
            for average, parameter in zip(self._averages, self._parameters.values())
        ]
        for start in range(0, len(pairs), LARGEST_GROUP):
            group = pairs[start : start + LARGEST_GROUP]
            # One operator for many arrays: SGD computes (1 - lr * wd) * a - lr * w, which for
            # lr = -rest and wd = -1 is (1 - rest) * a + rest * w.
            mx.nd.multi_sgd_update(
                *(array for pair in group for array in pair),
                lrs=(-rest,) * len(group),
                wds=(-1.0,) * len(group),
                num_weights=len(group),
                out=[average for average, _ in group],
            )

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """While in this context, the network has the averages as its parameters."""
        parameters = list(self._parameters.values())
        with restored_afterwards(parameters):
            for parameter, average in zip(parameters, self._averages):
                parameter.set_data(average)
            yield

    def arrays(self) -> dict[str, np.ndarray]:
        """The averages by parameter name."""
        return {name: average.asnumpy() for name, average in zip(self._parameters, self._averages)}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Restore the result of arrays(); KeyError or ValueError for those of another network."""
        for name, average in zip(self._parameters, self._averages):
            average[:] = arrays[name]

    @staticmethod
    def _current(parameter: Any) -> Any:
        return parameter.list_data()[0]
