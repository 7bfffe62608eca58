"""The exponential moving average of a network's weights, see fashionai.training.gluon.ema."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor


@contextlib.contextmanager
def restored_afterwards(tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Restore the values of tensors when this context ends."""
    values = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    try:
        yield
    finally:
        set_values(tensors, values)


@torch.no_grad()
def set_values(tensors: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Set tensors to values of the same names."""
    for name, tensor in tensors.items():
        tensor.copy_(values[name])


class WeightAverage:
    """Moving averages of tensors by name.

    After step t, from 0: average = d * average + (1 - d) * weight, where
    d = min(decay, (1 + t) / (10 + t)).
    """

    def __init__(self, tensors: Mapping[str, Tensor], decay: float) -> None:
        self._tensors, self._decay = dict(tensors), decay
        self.averages = {name: tensor.detach().clone() for name, tensor in tensors.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Add the weights after optimizer step ``step`` to the averages."""
        rest = 1 - min(self._decay, (1 + step) / (10 + step))
        current = [tensor.detach() for tensor in self._tensors.values()]
        torch._foreach_lerp_(list(self.averages.values()), current, rest)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """While in this context, the tensors have the averages as their values."""
        with restored_afterwards(self._tensors):
            set_values(self._tensors, self.averages)
            yield
