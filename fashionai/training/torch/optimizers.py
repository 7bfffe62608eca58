"""The optimizers of the configuration with MXNet's formulas, for all parameters at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple, Union

import torch
from torch import Tensor

from fashionai.config import OptimizerConfig

# Adam's second beta and epsilon, as in MXNet and in arXiv:1412.6980.
BETA2, EPSILON = 0.999, 1e-8


class Group:
    """Parameters that learn at the same rate and decay, each with its state.

    ``state`` has a list of tensors for each position of the state, and in it one tensor per
    parameter.
    """

    def __init__(self, parameters: list[Tensor], rate: float, decay: float, states: int) -> None:
        self.parameters, self.rate, self.decay = parameters, rate, decay
        self.state = [[torch.zeros_like(each) for each in parameters] for _ in range(states)]


class Step(NamedTuple):
    """The rates of one update of a group; ``number`` counts updates from 1."""

    lr: float
    decay: float
    momentum: float
    number: int


# One update of a group, from gradients that are divided by the batch already.
Rule = Callable[[Group, list[Tensor], Step], None]


class Optimizer:
    """SGD, NAG, Adam or AdamW over named parameters.

    ``rates`` and ``decays`` are the factors of the learning rate and of the weight decay, by
    name. SGD and NAG have a state only if ``momentum`` is above 0.
    """

    def __init__(
        self,
        config: OptimizerConfig,
        parameters: Mapping[str, Tensor],
        rates: Mapping[str, float],
        decays: Mapping[str, float],
        momentum: float,
    ) -> None:
        self._decay, self._clip = config.weight_decay, config.clip_norm
        self._rule: Rule = RULES[config.name]
        self.updates = 0
        states = 2 if config.name.startswith("adam") else int(momentum > 0)
        self._names: list[list[str]] = []
        self._groups: list[Group] = []
        for key in sorted({(rates[name], decays[name]) for name in parameters}):
            names = [name for name in parameters if (rates[name], decays[name]) == key]
            self._names.append(names)
            self._groups.append(Group([parameters[name] for name in names], *key, states))

    @torch.no_grad()
    def step(self, lr: float, momentum: float, divisor: float) -> None:
        """Update all parameters by their gradients, which are divided by ``divisor`` first.

        They are divided by more if their norm would exceed ``clip_norm``.
        """
        self.updates += 1
        found = [[_gradient(parameter) for parameter in group.parameters] for group in self._groups]
        divided_by: Union[float, Tensor] = divisor
        if self._clip is not None:
            everything = [gradient for gradients in found for gradient in gradients]
            divided_by = (global_norm(everything) / self._clip).clamp(min=divisor)
        for group, gradients in zip(self._groups, found):
            torch._foreach_div_(gradients, divided_by)
            rate, decay = lr * group.rate, self._decay * group.decay
            self._rule(group, gradients, Step(rate, decay, momentum, self.updates))

    def state(self) -> dict[str, list[Tensor]]:
        """The state of each parameter by its name; empty lists for one without a state."""
        return {
            name: [tensors[index] for tensors in group.state]
            for names, group in zip(self._names, self._groups)
            for index, name in enumerate(names)
        }


def global_norm(tensors: list[Tensor]) -> Tensor:
    """The Euclidean norm of all elements of tensors; the device computes it without waiting."""
    return torch.linalg.vector_norm(torch.stack(list(torch._foreach_norm(tensors))))


def _gradient(parameter: Tensor) -> Tensor:
    if parameter.grad is None:
        # A parameter that the loss does not depend on: its weight still decays.
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


def _sgd(group: Group, gradients: list[Tensor], step: Step) -> None:
    """v = m * v - lr * (g + decay * w); w += v. Without a state v is not kept."""
    torch._foreach_add_(gradients, group.parameters, alpha=step.decay)
    if not group.state:
        torch._foreach_add_(group.parameters, gradients, alpha=-step.lr)
        return
    (velocities,) = group.state
    torch._foreach_mul_(velocities, step.momentum)
    torch._foreach_add_(velocities, gradients, alpha=-step.lr)
    torch._foreach_add_(group.parameters, velocities)


def _nesterov(group: Group, gradients: list[Tensor], step: Step) -> None:
    """v = m * v - lr * g; w += m * v - lr * g, with g + decay * w as g (arXiv:1212.0901)."""
    torch._foreach_add_(gradients, group.parameters, alpha=step.decay)
    torch._foreach_add_(group.parameters, gradients, alpha=-step.lr)
    if group.state:
        (velocities,) = group.state
        torch._foreach_mul_(velocities, step.momentum)
        torch._foreach_add_(velocities, gradients, alpha=-step.lr)
        torch._foreach_add_(group.parameters, velocities, alpha=step.momentum)


def _adam(group: Group, gradients: list[Tensor], step: Step) -> None:
    """Adam with weight decay in the gradient (arXiv:1412.6980, section 2, efficient form)."""
    torch._foreach_add_(gradients, group.parameters, alpha=step.decay)
    means, squares = group.state
    torch._foreach_mul_(means, step.momentum)
    torch._foreach_add_(means, gradients, alpha=1 - step.momentum)
    torch._foreach_mul_(squares, BETA2)
    torch._foreach_addcmul_(squares, gradients, gradients, value=1 - BETA2)
    denominators = torch._foreach_sqrt(squares)
    torch._foreach_add_(denominators, EPSILON)
    correction = math.sqrt(1 - BETA2**step.number) / (1 - step.momentum**step.number)
    torch._foreach_addcdiv_(group.parameters, means, denominators, value=-step.lr * correction)


def _adamw(group: Group, gradients: list[Tensor], step: Step) -> None:
    """Adam with decoupled weight decay (arXiv:1711.05101): weight -= lr * decay * weight."""
    torch._foreach_mul_(group.parameters, 1 - step.lr * step.decay)
    _adam(group, gradients, step._replace(decay=0.0))


RULES: dict[str, Rule] = {"sgd": _sgd, "nag": _nesterov, "adam": _adam, "adamw": _adamw}
