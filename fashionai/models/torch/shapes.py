"""Operators that change shapes, with MXNet's rules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Optional

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - PyTorch's name for it

Bounds = tuple[Optional[int], ...]


def reshape(x: Tensor, *, shape: tuple[int, ...], reverse: bool = False) -> Tensor:
    """Reshape with MXNet's codes: 0 keeps a side, -1 is inferred, and those of new_shape."""
    if reverse:
        sides = new_shape(tuple(x.shape)[::-1], shape[::-1])[::-1]
    else:
        sides = new_shape(tuple(x.shape), shape)
    return x.reshape(sides)


def new_shape(old: Sequence[int], codes: Sequence[int]) -> list[int]:
    """The shape that codes of Reshape mean; one -1 may be left.

    0 keeps the next side of ``old``; -2 keeps all sides that are left; -3 is the product
    of the next two; -4 splits the next side into the two that follow it, one of which may
    be -1.
    """
    new: list[int] = []
    position, index = 0, 0
    while index < len(codes):
        code = codes[index]
        if code == -2:
            new += old[position:]
            position = len(old)
        elif code == -3:
            new.append(old[position] * old[position + 1])
            position += 2
        elif code == -4:
            new += _split(old[position], codes[index + 1], codes[index + 2])
            position, index = position + 1, index + 2
        else:
            new.append(old[position] if code == 0 else code)
            position += 1
        index += 1
    return new


def _split(side: int, first: int, second: int) -> list[int]:
    if first == -1:
        return [side // second, second]
    return [first, side // first if second == -1 else second]


def flatten(x: Tensor) -> Tensor:
    """``(B, ...)`` as ``(B, N)``."""
    return x.reshape(x.shape[0], math.prod(x.shape[1:]))


def slice_all(x: Tensor, *, begin: Bounds, end: Bounds, step: Bounds = ()) -> Tensor:
    """A slice along the first axes, with Python's rules."""
    steps = [*step, *[None] * (len(begin) - len(step))]
    for axis, (first, last, every) in enumerate(zip(begin, end, steps)):
        x = _slice(x, axis, first, last, every)
    return x


def slice_axis(x: Tensor, *, axis: int, begin: int, end: Optional[int]) -> Tensor:
    """A slice along one axis."""
    return _slice(x, axis % x.dim(), begin, end, None)


def _slice(
    x: Tensor, axis: int, first: Optional[int], last: Optional[int], every: Optional[int]
) -> Tensor:
    """Python's slice, without indices on the CPU, for which a GPU would have to wait."""
    step = every or 1
    if step < 0:
        # x[i:j:-k] is x[::-1][~i:~j:k]: ~i counts from the other end.
        x, step = x.flip(axis), -step
        first, last = (None if bound is None else ~bound for bound in (first, last))
    if (first, last, step) == (None, None, 1):
        return x
    return x[(slice(None),) * axis + (slice(first, last, step),)]


def pad(x: Tensor, *, mode: str, widths: tuple[int, ...], value: float) -> Tensor:
    """Padding. ``widths`` are PyTorch's, from the last axis to the first one."""
    return F.pad(x, widths, mode, value) if mode == "constant" else F.pad(x, widths, mode)


def transpose(x: Tensor, *, axes: tuple[int, ...]) -> Tensor:
    """The axes in this order, in reverse order if none are given."""
    return x.permute(axes or tuple(reversed(range(x.dim()))))


def split(x: Tensor, *, parts: int, axis: int, squeeze: bool) -> Any:
    """Equal parts along an axis; with ``squeeze`` without this axis."""
    return x.unbind(axis) if squeeze else x.chunk(parts, axis)


def squeeze(x: Tensor, *, axes: tuple[int, ...]) -> Tensor:
    """The tensor without these axes of one element, all such axes if none are given."""
    kept = [
        side
        for axis, side in enumerate(x.shape)
        if (side != 1 if not axes else axis not in [each % x.dim() for each in axes])
    ]
    return x.reshape(kept)


def concatenate(*parts: Tensor, axis: int) -> Tensor:
    """The parts one after the other along an axis."""
    return torch.cat(parts, axis)


def stack(*parts: Tensor, axis: int) -> Tensor:
    """The parts along a new axis."""
    return torch.stack(parts, axis)


def reduction(x: Tensor, *, kind: str, axes: tuple[int, ...], keep: bool, others: bool) -> Tensor:
    """The sum, mean, max or min over axes, all by default; with ``others`` over all but these."""
    chosen = {axis % x.dim() for axis in axes} if axes else set(range(x.dim()))
    if others:
        chosen = set(range(x.dim())) - chosen
    functions: dict[str, Any] = {
        "sum": torch.sum,
        "mean": torch.mean,
        "max": torch.amax,
        "min": torch.amin,
    }
    result: Tensor = functions[kind](x, tuple(sorted(chosen)), keepdim=keep)
    # MXNet has no arrays of no dimensions.
    return result if result.dim() else result.reshape(1)
