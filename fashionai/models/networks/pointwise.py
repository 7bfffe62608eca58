"""What ConvNeXt and vision transformers share: layers along the last axis, the channels."""

from __future__ import annotations

from typing import Any, Optional

from fashionai.frameworks.mxnet import import_mxnet

mx = import_mxnet()
nn = mx.gluon.nn
HybridBlock: Any = mx.gluon.HybridBlock

# Of every layer normalisation, as in the papers' own code and in timm.
EPSILON = 1e-6
# How many times as many channels the hidden layer of an MLP has.
MLP_RATIO = 4


def layer_norm(channels: int) -> Any:
    """A layer normalisation of the last axis."""
    return nn.LayerNorm(epsilon=EPSILON, in_channels=channels)


class ScaledDense(nn.Dense):  # type: ignore[name-defined]
    """A dense layer of the last axis whose outputs are multiplied by a trained ``scale``.

    This is the layer scale of https://arxiv.org/abs/2103.17239. Weights and biases are
    multiplied instead of the outputs, which are many more numbers.
    """

    def __init__(self, units: int, in_units: int, first_scale: float) -> None:
        super().__init__(units, in_units=in_units, flatten=False)
        with self.name_scope():
            self.scale = self.params.get(
                "scale", shape=(units,), init=mx.init.Constant(first_scale)
            )

    def hybrid_forward(self, F: Any, x: Any, weight: Any, bias: Any, scale: Any) -> Any:  # noqa: N803
        """Outputs ``(..., units)``."""
        weight = F.broadcast_mul(weight, F.expand_dims(scale, axis=1))
        return F.FullyConnected(x, weight, bias * scale, num_hidden=self._units, flatten=False)


def projection(units: int, in_units: int, first_scale: Optional[float]) -> Any:
    """A dense layer of the last axis at the end of a residual branch.

    With ``first_scale`` it has a layer scale that begins with this value.
    """
    if first_scale is None:
        return nn.Dense(units, in_units=in_units, flatten=False)
    return ScaledDense(units, in_units, first_scale)


class Mlp(HybridBlock):
    """Two dense layers of the last axis with a GELU between them."""

    def __init__(self, channels: int, first_scale: Optional[float]) -> None:
        super().__init__()
        hidden = MLP_RATIO * channels
        with self.name_scope():
            self.expand = nn.Dense(hidden, in_units=channels, flatten=False)
            self.project = projection(channels, hidden, first_scale)

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803 - Gluon's name
        """Outputs of the shape of ``x``."""
        return self.project(F.LeakyReLU(self.expand(x), act_type="gelu"))
