"""What networks of this package are built for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class NetworkOptions(NamedTuple):
    """What a network is built for.

    ``classes`` is the number of outputs. ``crop`` is the side of the square images in
    pixels: asymmetric padding and position embeddings depend on it. ``drop_path`` is the
    largest probability, in [0, 1), with which a residual branch is left out in training
    (stochastic depth, https://arxiv.org/abs/1603.09382).
    """

    classes: int
    crop: int = 224
    drop_path: float = 0.0


Builder = Callable[[NetworkOptions], Any]


def of_classes(build: Callable[[int], Any]) -> Builder:
    """The builder of a network that depends on the number of classes alone."""
    return lambda options: build(options.classes)
