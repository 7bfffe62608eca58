"""Blocks of the EfficientNets: inverted residuals with and without squeeze-and-excitation.

Padding. PyTorch's networks pad both sides of an image alike. TensorFlow's "SAME" pads a
convolution of stride 2 by one pixel less at the top and left than at the bottom and right where
the side is even, and both sides alike where it is odd. MXNet pads alike and leaves out what
remains at the bottom and right, where the side is even: it pads one pixel less *there*. So a
network of SAME padding is the network of equal padding with image and kernels rotated by 180
degrees. For every side of the images the two compute the same, without operators for padding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from fashionai.frameworks.mxnet import import_mxnet
from fashionai.models.networks.blocks import drop_path

mx = import_mxnet()
nn = mx.gluon.nn
HybridBlock: Any = mx.gluon.HybridBlock

Activation = Callable[[Any, Any], Any]
# The width of the squeezed vector relative to the input of the block.
SQUEEZE_DIVISOR = 4


def silu(F: Any, x: Any) -> Any:  # noqa: N803 - Gluon's name
    """x * sigmoid(x), https://arxiv.org/abs/1702.03118, also known as Swish."""
    return x * F.Activation(x, act_type="sigmoid")


class Style(NamedTuple):
    """What all layers of a network have in common.

    ``epsilon`` is added to the variance in batch normalisation.
    """

    activation: Activation
    epsilon: float


class Rotation(HybridBlock):
    """Images ``(B, C, H, W)`` rotated by 180 degrees."""

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803 - Gluon's name
        """Both sides in reverse order; the operator reverse takes nine times as long."""
        unchanged = (None,) * 4
        return F.slice(x, begin=unchanged, end=unchanged, step=(None, None, -1, -1))


class ConvolutionUnit(HybridBlock):
    """A convolution without bias, batch normalisation, and an activation if ``active``."""

    def __init__(
        self,
        channels: int,
        kernel: int,
        style: Style,
        *,
        stride: int = 1,
        groups: int = 1,
        active: bool = True,
    ) -> None:
        super().__init__()
        self._activation = style.activation if active else None
        with self.name_scope():
            self.conv = nn.Conv2D(
                channels, kernel, stride, kernel // 2, groups=groups, use_bias=False
            )
            self.norm = nn.BatchNorm(epsilon=style.epsilon)

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803 - Gluon's name
        """The activated feature maps."""
        x = self.norm(self.conv(x))
        return x if self._activation is None else self._activation(F, x)


class SqueezeExcitation(HybridBlock):
    """Feature maps times a factor per channel that all maps decide, arXiv:1709.01507."""

    def __init__(self, channels: int, squeezed: int, activation: Activation) -> None:
        super().__init__()
        self._activation = activation
        with self.name_scope():
            self.reduce = nn.Conv2D(squeezed, 1)
            self.expand = nn.Conv2D(channels, 1)

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803 - Gluon's name
        """The scaled feature maps."""
        # On the CPU the gradients of these operators are computed faster than those of Pooling and
        # broadcast_mul.
        mean = F.contrib.AdaptiveAvgPooling2D(x, output_size=1)
        factors = self.expand(self._activation(F, self.reduce(mean)))
        return x * F.broadcast_like(F.Activation(factors, act_type="sigmoid"), x)


class BlockShape(NamedTuple):
    """The shape of one block.

    ``inputs`` and ``outputs`` are numbers of channels; within the block there are
    ``expansion`` times the input's. ``drop_path`` is the probability with which the branch
    of a residual block is left out.
    """

    inputs: int
    outputs: int
    kernel: int
    stride: int
    expansion: int
    squeezes: bool
    drop_path: float


class Residual(HybridBlock):
    """A branch, plus its input where both have the same shape."""

    def __init__(self, shape: BlockShape) -> None:
        super().__init__()
        self._drop_path = shape.drop_path
        self._is_residual = shape.stride == 1 and shape.inputs == shape.outputs

    def branch(self, x: Any) -> Any:
        """The output of the layers."""
        raise NotImplementedError

    def hybrid_forward(self, F: Any, x: Any) -> Any:  # noqa: N803 - Gluon's name
        """The output of the block."""
        branch = self.branch(x)
        return drop_path(F, branch, self._drop_path) + x if self._is_residual else branch


class InvertedResidual(Residual):
    """MBConv: expand the channels, a depthwise convolution, squeeze-and-excitation, project.

    See https://arxiv.org/abs/1801.04381. Without an expansion the first layer is left out,
    without ``squeezes`` the third.
    """

    def __init__(self, shape: BlockShape, style: Style) -> None:
        super().__init__(shape)
        inner = shape.inputs * shape.expansion
        with self.name_scope():
            self.expand = ConvolutionUnit(inner, 1, style) if shape.expansion > 1 else None
            self.depthwise = ConvolutionUnit(
                inner, shape.kernel, style, stride=shape.stride, groups=inner
            )
            squeezed = shape.inputs // SQUEEZE_DIVISOR
            self.squeeze = (
                SqueezeExcitation(inner, squeezed, style.activation) if shape.squeezes else None
            )
            self.project = ConvolutionUnit(shape.outputs, 1, style, active=False)

    def branch(self, x: Any) -> Any:
        """The output of the layers."""
        for layer in (self.expand, self.depthwise, self.squeeze, self.project):
            x = x if layer is None else layer(x)
        return x


class FusedInvertedResidual(Residual):
    """Fused-MBConv: a full convolution in place of the expansion and the depthwise one.

    See https://arxiv.org/abs/2104.00298. Without an expansion it is the only layer.
    """

    def __init__(self, shape: BlockShape, style: Style) -> None:
        super().__init__(shape)
        expands = shape.expansion > 1
        inner = shape.inputs * shape.expansion if expands else shape.outputs
        with self.name_scope():
            self.expand = ConvolutionUnit(inner, shape.kernel, style, stride=shape.stride)
            self.project = (
                ConvolutionUnit(shape.outputs, 1, style, active=False) if expands else None
            )

    def branch(self, x: Any) -> Any:
        """The output of the layers."""
        x = self.expand(x)
        return x if self.project is None else self.project(x)
