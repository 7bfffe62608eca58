"""The optimizers of the configuration: MXNet's own, AdamW, and a deterministic Nesterov."""

from __future__ import annotations

from typing import Any

from fashionai.config import OptimizerConfig
from fashionai.frameworks.mxnet import import_mxnet

mx = import_mxnet()
Adam: Any = mx.optimizer.Adam
NAG: Any = mx.optimizer.NAG


@mx.optimizer.register
class AdamW(Adam):
    """Adam with decoupled weight decay (arXiv:1711.05101): weight -= lr * decay * weight.

    The decay is not part of the gradient, and Adam's denominator does not scale it.
    """

    def __init__(self, wd: float = 0.0, **options: Any) -> None:
        super().__init__(wd=0.0, **options)
        self._decay = wd

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """One step of one parameter."""
        weight *= 1 - self._get_lr(index) * self._decay * self.param_dict[index].wd_mult
        super().update(index, weight, grad, state)


@mx.optimizer.register
class Nesterov(NAG):
    """Nesterov's momentum (arXiv:1212.0901, equation 7), with weight decay in the gradient.

    v = m * v - lr * g; weight += m * v - lr * g. It replaces MXNet's own operator, which is
    not deterministic.
    """

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """One step of one parameter."""
        self._update_count(index)
        step = (grad * self.rescale_grad + self._get_wd(index) * weight) * -self._get_lr(index)
        weight += step
        if state is not None:
            state *= self.momentum
            state += step
            weight += self.momentum * state

    def update_multi_precision(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """The same as update, because all weights are float32."""
        self.update(index, weight, grad, state)


def make_optimizer(config: OptimizerConfig, momentum: float) -> Any:
    """The optimizer of a configuration; ``momentum`` is Adam's first beta.

    SGD has a state only if ``momentum`` is above 0.
    """
    return mx.optimizer.create(
        "nesterov" if config.name == "nag" else config.name,
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
