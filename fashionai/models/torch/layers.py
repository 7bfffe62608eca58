"""Layers and activations with MXNet's rules."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Optional

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's name for it

Sides = tuple[int, ...]


class SharedSums(NamedTuple):
    """How several processes that compute equal shares of a batch add their values.

    ``add`` gives the sum of a tensor over processes, and passes gradients; ``processes`` is
    their number.
    """

    add: Callable[[Tensor], Tensor]
    processes: int


def convolution(
    x: Tensor,
    weight: Tensor,
    bias: Optional[Tensor] = None,
    *,
    stride: Sides,
    padding: Sides,
    dilation: Sides,
    groups: int,
) -> Tensor:
    """A convolution of one to three dimensions."""
    functions: dict[int, Any] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
    result: Tensor = functions[len(stride)](x, weight, bias, stride, padding, dilation, groups)
    return result


def transposed_convolution(
    x: Tensor,
    weight: Tensor,
    bias: Optional[Tensor] = None,
    *,
    stride: Sides,
    padding: Sides,
    output_padding: Sides,
    dilation: Sides,
    groups: int,
) -> Tensor:
    """A transposed convolution of two dimensions."""
    return F.conv_transpose2d(x, weight, bias, stride, padding, output_padding, groups, dilation)


def dense(x: Tensor, weight: Tensor, bias: Optional[Tensor] = None, *, flat: bool) -> Tensor:
    """A fully connected layer, of all but the first axis or of the last one."""
    return F.linear(x.reshape(x.shape[0], -1) if flat else x, weight, bias)


def batch_norm(
    x: Tensor,
    gamma: Optional[Tensor],
    beta: Tensor,
    mean: Tensor,
    variance: Tensor,
    batch: Optional[tuple[Tensor, Tensor]],
    training: bool,
    *,
    axis: int,
    eps: float,
    shared: Optional[SharedSums] = None,
) -> Tensor:
    """Normalise channels with running statistics, or with those of the batch in training.

    ``batch`` is a mean and a variance, which must be 0. In training they are set to the
    statistics of the batch, the variance divided by the number of values less one. Without
    ``batch`` the running statistics are used in training, too. With ``shared`` the statistics
    are those of the batches of all processes, the variance divided by the number of values.
    """
    if axis != 1:
        x = x.movedim(axis, 1)
    if batch is None or not training:
        x = F.batch_norm(x, mean, variance, gamma, beta, False, 0.0, eps)
    elif shared is not None:
        x = _normalise_shared(x, gamma, beta, batch, eps, shared)
    elif x.numel() == x.shape[1]:
        x = _normalise_single_values(x, gamma, beta, batch[0])
    else:
        x = F.batch_norm(x, *batch, gamma, beta, True, 1.0, eps)
    return x if axis == 1 else x.movedim(1, axis)


class SharedBatchNorm(nn.Module):
    """batch_norm with the statistics of several processes."""

    def __init__(self, shared: SharedSums) -> None:
        super().__init__()
        self._shared = shared

    def forward(self, *arguments: Any, **constants: Any) -> Tensor:
        """The result of batch_norm."""
        return batch_norm(*arguments, **constants, shared=self._shared)


def _normalise_shared(
    x: Tensor,
    gamma: Optional[Tensor],
    beta: Tensor,
    batch: tuple[Tensor, Tensor],
    eps: float,
    shared: SharedSums,
) -> Tensor:
    """Normalise with the mean and variance over the batches of all processes."""
    axes = [0, *range(2, x.ndim)]
    mean = shared.add(x.float().mean(axes)) / shared.processes
    shape = (1, -1, *[1] * (x.ndim - 2))
    centred = x.float() - mean.reshape(shape)
    variance = shared.add(centred.square().mean(axes)) / shared.processes
    with torch.no_grad():
        batch[0].copy_(mean)
        batch[1].copy_(variance)
    scale = torch.rsqrt(variance + eps)
    scale = scale if gamma is None else scale * gamma
    return (centred * scale.reshape(shape) + beta.reshape(shape)).to(x.dtype)


def _normalise_single_values(
    x: Tensor, gamma: Optional[Tensor], beta: Tensor, batch_mean: Tensor
) -> Tensor:
    """Normalise one value per channel, whose variance is 0; PyTorch refuses to."""
    batch_mean.copy_(x.detach().reshape(-1))
    sides = (1, -1) + (1,) * (x.dim() - 2)
    scaled = x * 0.0 if gamma is None else x * 0.0 * gamma.reshape(sides)
    return scaled + beta.reshape(sides)


def layer_norm(x: Tensor, gamma: Tensor, beta: Tensor, *, axis: int, eps: float) -> Tensor:
    """Normalise along one axis."""
    if axis in (-1, x.dim() - 1):
        return F.layer_norm(x, gamma.shape, gamma, beta, eps)
    return F.layer_norm(x.movedim(axis, -1), gamma.shape, gamma, beta, eps).movedim(-1, axis)


def instance_norm(x: Tensor, gamma: Tensor, beta: Tensor, *, eps: float) -> Tensor:
    """Normalise each channel of each image."""
    return F.instance_norm(x, weight=gamma, bias=beta, eps=eps)


def dropout(x: Tensor, training: bool, *, p: float, axes: Sides, always: bool) -> Tensor:
    """Drop values with probability ``p``, the same ones along ``axes``."""
    if p == 0 or not (training or always):
        return x
    if not axes:
        return F.dropout(x, p)
    sides = [1 if axis in axes else side for axis, side in enumerate(x.shape)]
    return x * F.dropout(x.new_ones(sides), p)


def random_leaky(x: Tensor, training: bool, *, lower: float, upper: float) -> Tensor:
    """A leaky ReLU with random slopes in training, and with their mean otherwise."""
    return F.rrelu(x, lower, upper, training)


def parametric_relu(x: Tensor, slopes: Tensor) -> Tensor:
    """A leaky ReLU with one slope, or one per channel."""
    return F.prelu(x, slopes.reshape(-1))


def elu(x: Tensor, *, alpha: float) -> Tensor:
    """The exponential linear unit."""
    return F.elu(x, alpha)


def leaky(x: Tensor, *, slope: float) -> Tensor:
    """The leaky ReLU."""
    return F.leaky_relu(x, slope)


def soft_relu(x: Tensor) -> Tensor:
    """log(1 + exp(x))."""
    return F.softplus(x)


def hard_sigmoid(x: Tensor, *, alpha: float, beta: float) -> Tensor:
    """alpha * x + beta, cut to 0 to 1."""
    return torch.clamp(alpha * x + beta, 0.0, 1.0)


def clip(x: Tensor, *, least: float, most: float, passing: tuple[float, float]) -> Tensor:
    """The values cut to a range; those between the limits ``passing`` pass gradients."""
    result: Tensor = _Clip.apply(x, least, most, passing)
    return result


class _Clip(torch.autograd.Function):
    """torch.clamp with the gradient of hardtanh.

    That reads and writes memory once; torch.clamp's own gradient takes five operators. hardtanh
    passes no gradient at the limits themselves.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, least: float, most: float, passing: tuple[float, float]
    ) -> Tensor:
        ctx.save_for_backward(x)
        ctx.passing = passing
        return torch.clamp(x, least, most)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (x,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(gradient, x, *ctx.passing), None, None, None


def softmax(x: Tensor, *, axis: int, temperature: float, logarithm: bool) -> Tensor:
    """The softmax along an axis, or its logarithm."""
    scaled = x if temperature == 1 else x / temperature
    return F.log_softmax(scaled, axis) if logarithm else F.softmax(scaled, axis)


def batch_product(first: Tensor, second: Tensor, *, flip: tuple[bool, bool]) -> Tensor:
    """Products of matrices ``(B, N, M)``, each of the two transposed first if ``flip`` says so."""
    left = first.transpose(1, 2) if flip[0] else first
    return torch.bmm(left, second.transpose(1, 2) if flip[1] else second)


def scaled_by_width(x: Tensor) -> Tensor:
    """The tensor divided by the square root of its last side."""
    return x / math.sqrt(x.shape[-1])


def from_scalar(x: Tensor, *, kind: str, scalar: float) -> Tensor:
    """Operators whose first operand is a number."""
    if kind == "minus":
        return scalar - x
    result: Tensor = scalar / x if kind == "divide" else torch.pow(scalar, x)
    return result


def adaptive_average(x: Tensor, *, size: tuple[int, int]) -> Tensor:
    """The mean of windows that cover maps ``(B, C, H, W)``, with outputs of this size."""
    if size == (1, 1):
        return x.mean((2, 3), keepdim=True)
    return F.adaptive_avg_pool2d(x, size)
