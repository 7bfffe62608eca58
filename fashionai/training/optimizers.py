"""MXNet's optimizers by the names of the configuration, and AdamW, which it lacks."""

from __future__ import annotations

from typing import Any

from fashionai.config import OptimizerConfig
from fashionai.runtime import import_mxnet

mx = import_mxnet()
Adam: Any = mx.optimizer.Adam


@mx.optimizer.register
class AdamW(Adam):
    """Adam with decoupled weight decay (arXiv:1711.05101): weight -= lr * decay * weight.

    The decay neither enters the gradient nor is scaled by Adam's denominator.
    """

    def __init__(self, wd: float = 0.0, **options: Any) -> None:
        super().__init__(wd=0.0, **options)
        self._decay = wd

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """One step of one parameter."""
        weight *= 1 - self._get_lr(index) * self._decay * self.param_dict[index].wd_mult
        super().update(index, weight, grad, state)


def make_optimizer(config: OptimizerConfig, momentum: float) -> Any:
    """The optimizer of a configuration; a momentum above 0 lets it keep an average of gradients."""
    return mx.optimizer.create(
        config.name,
        learning_rate=config.lr,
        wd=config.weight_decay,
        **{_momentum_name(config.name): momentum},
    )


def set_rates(optimizer: Any, lr: float, momentum: float) -> None:
    """Let the next step use this learning rate and this momentum (Adam: first beta)."""
    optimizer.set_learning_rate(lr)
    setattr(optimizer, _momentum_name(type(optimizer).__name__.lower()), momentum)


def _momentum_name(name: str) -> str:
    return "beta1" if name.startswith("adam") else "momentum"
