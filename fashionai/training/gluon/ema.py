"""The exponential moving average of a network's weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fashionai.models.freezing import moving_parameters
from fashionai.runtime import import_mxnet

mx = import_mxnet()

# MXNet's fused update takes no more arrays than this at once.
LARGEST_GROUP = 45


@contextlib.contextmanager
def kept(parameters: Sequence[Any]) -> Iterator[None]:
    """Whatever parameters become in this context, they come back as they were.

    Statistics of batch normalisation must be equal on all devices: the first
    one's are what comes back.
    """
    values = [parameter.list_data()[0].copy() for parameter in parameters]
    try:
        yield
    finally:
        for parameter, value in zip(parameters, values):
            parameter.set_data(value)


class WeightAverage:
    """Averages of all parameters that move, statistics of batch normalisation included.

    After step t (from 0): average = d * average + (1 - d) * weight with d =
    min(decay, (1 + t) / (10 + t)), so that the random beginning is forgotten
    (the rule of tf.train.ExponentialMovingAverage with num_updates). Kept on the
    first device, of whose batches the averaged statistics are.
    """

    def __init__(self, network: Any, decay: float) -> None:
        self._parameters: dict[str, Any] = moving_parameters(network)
        self._decay = decay
        self._averages = [self._current(p).copy() for p in self._parameters.values()]

    def update(self, step: int) -> None:
        """Take in the weights as they are after optimizer step ``step``."""
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
        """While in this context the network has the averages as its parameters."""
        parameters = list(self._parameters.values())
        with kept(parameters):
            for parameter, average in zip(parameters, self._averages):
                parameter.set_data(average)
            yield

    def arrays(self) -> dict[str, np.ndarray]:
        """The averages by parameter name."""
        return {name: average.asnumpy() for name, average in zip(self._parameters, self._averages)}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Put back what arrays() gave; KeyError or ValueError when it is of another network."""
        for name, average in zip(self._parameters, self._averages):
            average[:] = arrays[name]

    @staticmethod
    def _current(parameter: Any) -> Any:
        return parameter.list_data()[0]
