"""Names of corresponding layers in Gluon and PyTorch networks of the same architecture.

A table is a list of pairs of patterns: Gluon's names, then the other library's.
``{1..3}`` in a pattern stands for 1, 2 and 3, ``{a,b}`` for a and b. Both patterns
of a pair stand for the same number of names, in the same order.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

PatternPairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Layout:
    """The layer names of a network in one library.

    ``library`` and ``network`` are the library and its name of the network.
    ``layers`` maps Gluon's layer names to the library's. ``output`` is Gluon's name
    of the output layer. ``parameters`` maps Gluon's names of parameters that are no
    weights of a layer, such as a class token, to the library's names of tensors.
    ``ranks`` is the number of axes of the weights in the library, by Gluon's name of the
    layer, where it differs from Gluon's: 2 for a dense layer, 4 for a 1x1 convolution. The
    kernels of ``rotated`` networks are those of the library rotated by 180 degrees.
    """

    library: str
    network: str
    layers: dict[str, str]
    output: str = "output"
    parameters: dict[str, str] = field(default_factory=dict)
    ranks: dict[str, int] = field(default_factory=dict)
    rotated: bool = False


def expand(pattern: str) -> list[str]:
    """The names that a pattern stands for. The last braces vary fastest."""
    parts = [
        _choices(part) if index % 2 else [part]
        for index, part in enumerate(re.split(r"\{(.*?)\}", pattern))
    ]
    return ["".join(name) for name in itertools.product(*parts)]


def _choices(text: str) -> list[str]:
    if ".." in text:
        first, last = text.split("..")
        return [str(number) for number in range(int(first), int(last) + 1)]
    return text.split(",")


def table(pairs: PatternPairs) -> dict[str, str]:
    """The names that pairs of patterns stand for: Gluon's name to the library's."""
    return {
        gluon: torch
        for pair in pairs
        for gluon, torch in itertools.zip_longest(*(expand(pattern) for pattern in pair))
    }
