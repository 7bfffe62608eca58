"""Layer names of DenseNets."""

from __future__ import annotations

from collections.abc import Sequence

from fashionai.conversion.names import Layout, table


def _densenet(depth: int, blocks: Sequence[int]) -> list[Layout]:
    pairs = [
        ("features.{0,1,11}", "features.{conv0,norm0,norm5}"),
        ("features.{5,7,9}.{0,2}", "features.transition{1..3}.{norm,conv}"),
        ("output", "classifier"),
    ]
    for block, count in enumerate(blocks):
        pairs.append(
            (
                f"features.{4 + 2 * block}.{{0..{count - 1}}}.1.{{0,2,3,5}}",
                f"features.denseblock{block + 1}.denselayer{{1..{count}}}"
                ".{norm1,conv1,norm2,conv2}",
            )
        )
    return [Layout("torchvision", f"densenet{depth}", table(pairs))]


LAYOUTS: dict[str, list[Layout]] = {
    "densenet121": _densenet(121, (6, 12, 24, 16)),
    "densenet161": _densenet(161, (6, 12, 36, 24)),
    "densenet169": _densenet(169, (6, 12, 32, 32)),
    "densenet201": _densenet(201, (6, 12, 48, 32)),
}
