"""Sums of gradients over processes, computed while the backward pass goes on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from fashionai.training.torch.processes import Processes

# Gradients are summed in groups of about this many values: small ones wait for the network's
# latency, large ones for the end of the backward pass.
GROUP_SIZE = 6_000_000


class GradientSums:
    """Makes the gradients of parameters those of all processes.

    The groups are the same in every step of every run, so that sums are rounded alike: a resumed
    training has the bits of one that was not stopped. Groups are summed in their order, because
    all processes must exchange the same thing at the same time.
    """

    def __init__(self, processes: Processes, parameters: Iterable[Tensor]) -> None:
        self._alone = processes.is_alone
        self._parameters = list(parameters)
        self._groups: list[Tensor] = []
        self._missing: list[int] = []
        self._begun: list[Any] = []
        if not self._alone:
            self._make_groups()

    def _make_groups(self) -> None:
        """Gradients of the last layers, which are computed first, are in the first group."""
        group: list[Tensor] = []
        for parameter in reversed(self._parameters):
            group.append(parameter)
            if sum(each.numel() for each in group) >= GROUP_SIZE:
                self._make_group(group)
                group = []
        if group:
            self._make_group(group)
        self._sizes, self._missing = self._missing, []

    def _make_group(self, parameters: list[Tensor]) -> None:
        """Let the gradients of parameters be parts of one array."""
        number = len(self._groups)
        total = sum(each.numel() for each in parameters)
        values = torch.zeros(total, device=parameters[0].device)
        start = 0
        for parameter in parameters:
            shape, stride = parameter.size(), parameter.stride()
            parameter.grad = values.as_strided(shape, stride, start)
            parameter.register_post_accumulate_grad_hook(lambda _, n=number: self._count(n))
            start += parameter.numel()
        self._groups.append(values)
        self._missing.append(len(parameters))

    def begin(self, passes: int) -> None:
        """Forget the gradients of the last step; ``passes`` backward passes add up to the next."""
        if self._alone:
            for parameter in self._parameters:
                parameter.grad = None
            return
        for values in self._groups:
            values.zero_()
        self._missing, self._begun = [passes * size for size in self._sizes], []

    def _count(self, number: int) -> None:
        """A parameter of a group has a gradient more: sum the groups that are complete."""
        self._missing[number] -= 1
        while len(self._begun) < len(self._groups) and not self._missing[len(self._begun)]:
            self._sum_next()

    def _sum_next(self) -> None:
        self._begun.append(dist.all_reduce(self._groups[len(self._begun)], async_op=True))

    def wait(self) -> None:
        """Let the device wait for all sums. Groups with gradients that no layer gave are summed."""
        if self._alone:
            return
        while len(self._begun) < len(self._groups):
            self._sum_next()
        for work in self._begun:
            work.wait()


def all_finite(parameters: Iterable[Tensor]) -> bool:
    """Whether all gradients are finite; waits for them."""
    sums = torch._foreach_norm([each.grad for each in parameters if each.grad is not None])
    return bool(torch.isfinite(torch.stack(list(sums))).all())
