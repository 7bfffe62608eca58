"""Pooling and resizing of feature maps with MXNet's rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - PyTorch's name for it

Pair = tuple[int, int]


def global_pooling(x: Tensor, kind: str) -> Tensor:
    """Pooling of whole maps to ``(B, C, 1, 1)``."""
    axes = tuple(range(2, x.dim()))
    if kind == "max":
        return x.amax(axes, keepdim=True)
    return x.mean(axes, keepdim=True) if kind == "avg" else x.sum(axes, keepdim=True)


def max_pooling(x: Tensor, kernel: Pair, stride: Pair, pad: Pair, full: bool) -> Tensor:
    """The maximum of windows of ``(B, C, H, W)``. Padding never is the maximum."""
    if not full and _is_native(kernel, pad):
        return F.max_pool2d(x, kernel, stride, pad)
    sides = _output_sides(x, kernel, stride, pad, full)
    if full and _is_native(kernel, pad) and _ends_inside(x, stride, pad, sides):
        return F.max_pool2d(x, kernel, stride, pad, ceil_mode=True)
    padded = _padded(x, kernel, stride, pad, sides, torch.finfo(x.dtype).min)
    return F.max_pool2d(padded, kernel, stride)


def average_pooling(
    x: Tensor, kernel: Pair, stride: Pair, pad: Pair, full: bool, include_pad: bool
) -> Tensor:
    """The mean of windows of ``(B, C, H, W)``.

    With ``include_pad`` a window counts the given padding, but not what the convention
    full adds at the end.
    """
    sides = _output_sides(x, kernel, stride, pad, full)
    if _is_native(kernel, pad) and (not full or _ends_inside(x, stride, pad, sides)):
        return F.avg_pool2d(x, kernel, stride, pad, ceil_mode=full, count_include_pad=include_pad)
    sums = F.avg_pool2d(
        _padded(x, kernel, stride, pad, sides, 0.0), kernel, stride, divisor_override=1
    )
    down, right = (
        _counts(x, axis, kernel[axis], stride[axis], pad[axis], side, include_pad)
        for axis, side in enumerate(sides)
    )
    return sums / (down[:, None] * right)


def sum_pooling(x: Tensor, kernel: Pair, stride: Pair, pad: Pair, full: bool) -> Tensor:
    """The sum of windows of ``(B, C, H, W)``."""
    sides = _output_sides(x, kernel, stride, pad, full)
    padded = _padded(x, kernel, stride, pad, sides, 0.0)
    return F.avg_pool2d(padded, kernel, stride, divisor_override=1)


def bilinear(
    x: Tensor,
    like: Optional[Tensor] = None,
    *,
    size: Pair,
    factors: tuple[Optional[float], Optional[float]],
    align_corners: bool,
) -> Tensor:
    """Resize ``(B, C, H, W)`` to ``size``, by ``factors``, or to the size of ``like``."""
    if like is not None:
        size = (like.shape[2], like.shape[3])
    else:
        height, width = (
            side if factor is None else int(factor * x.shape[2 + axis])
            for axis, (side, factor) in enumerate(zip(size, factors))
        )
        size = (height, width)
    return F.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)


def _is_native(kernel: Pair, pad: Pair) -> bool:
    """Whether PyTorch accepts this padding."""
    return all(2 * each <= size for size, each in zip(kernel, pad))


def _output_sides(x: Tensor, kernel: Pair, stride: Pair, pad: Pair, full: bool) -> list[int]:
    """The sides of the output. The convention full rounds up instead of down."""
    spaces = [x.shape[2 + axis] + 2 * pad[axis] - kernel[axis] for axis in (0, 1)]
    return [
        1 + (-(-space // step) if full else space // step) for space, step in zip(spaces, stride)
    ]


def _ends_inside(x: Tensor, stride: Pair, pad: Pair, sides: Sequence[int]) -> bool:
    """Whether no window begins in the padding at the end; PyTorch leaves out such windows."""
    return all((sides[i] - 1) * stride[i] < x.shape[2 + i] + pad[i] for i in (0, 1))


def _padded(
    x: Tensor, kernel: Pair, stride: Pair, pad: Pair, sides: Sequence[int], value: float
) -> Tensor:
    """The maps with as much padding as the windows need."""
    ends = [
        max(0, (sides[i] - 1) * stride[i] + kernel[i] - pad[i] - x.shape[2 + i]) for i in (0, 1)
    ]
    return F.pad(x, (pad[1], ends[1], pad[0], ends[0]), value=value)


def _counts(
    x: Tensor, axis: int, kernel: int, stride: int, pad: int, outputs: int, include_pad: bool
) -> Tensor:
    """The number of values that each window counts along one axis of the maps, at least 1.

    It is computed on their device: a GPU would have to wait for a list from the CPU.
    """
    side = x.shape[2 + axis]
    begins = torch.arange(outputs, device=x.device) * stride - pad
    ends = (begins + kernel).clamp(max=side + pad)
    if not include_pad:
        begins, ends = begins.clamp(min=0), ends.clamp(max=side)
    return (ends - begins).clamp(min=1).to(x.dtype)
