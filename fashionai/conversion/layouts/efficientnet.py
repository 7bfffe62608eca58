"""Layer names of the EfficientNets."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from fashionai.conversion.names import Layout, table

Pairs = list[tuple[str, str]]

SQUEEZE = ("squeeze.{reduce,expand}", "se.{conv_reduce,conv_expand}")
# The layers of a block in timm: of MBConv blocks without and with an expansion, and of
# Fused-MBConv blocks.
PLAIN = [("{depthwise,project}.{conv,norm}", "{conv_dw,bn1,conv_pw,bn2}")]
EXPANDED = [
    ("{expand,depthwise,project}.{conv,norm}", "{conv_pw,bn1,conv_dw,bn2,conv_pwl,bn3}"),
]
FUSED_PLAIN = [("expand.{conv,norm}", "{conv,bn1}")]
FUSED = [("{expand,project}.{conv,norm}", "{conv_exp,bn1,conv_pwl,bn2}")]


def _timm(
    network: str, blocks: Sequence[int], layers: Sequence[Pairs], rotated: bool = False
) -> Layout:
    """``blocks`` is the number of blocks of each stage, ``layers`` those of one such block."""
    # The layer 0 of rotated networks rotates images.
    stem = int(rotated)
    pairs = [
        (
            f"features.{{{stem},{stem + len(blocks) + 1}}}.{{conv,norm}}",
            "{conv_stem,bn1,conv_head,bn2}",
        ),
        ("output", "classifier"),
    ]
    for stage, (count, names) in enumerate(zip(blocks, layers)):
        numbers = f"{{0..{count - 1}}}"
        for ours, theirs in names:
            pairs.append(
                (
                    f"features.{stem + stage + 1}.{numbers}.{ours}",
                    f"blocks.{stage}.{numbers}.{theirs}",
                )
            )
    return Layout("timm", network, table(pairs), rotated=rotated)


def _lite_package(network: str, blocks: Sequence[int]) -> Layout:
    """The names of efficientnet-lite-pytorch, which numbers all blocks in one sequence."""
    pairs = [
        (
            f"features.{{1,{len(blocks) + 2}}}.{{conv,norm}}",
            "{_conv_stem,_bn0,_conv_head,_bn1}",
        ),
        ("output", "_fc"),
    ]
    numbers = itertools.count()
    for stage, count in enumerate(blocks):
        for block in range(count):
            ours, theirs = f"features.{stage + 2}.{block}", f"_blocks.{next(numbers)}"
            if stage:
                pairs.append((f"{ours}.expand.{{conv,norm}}", f"{theirs}.{{_expand_conv,_bn0}}"))
            pairs.append(
                (
                    f"{ours}.{{depthwise,project}}.{{conv,norm}}",
                    f"{theirs}.{{_depthwise_conv,_bn1,_project_conv,_bn2}}",
                )
            )
    return Layout("efficientnet-lite-pytorch", network, table(pairs), rotated=True)


# Numbers of blocks of the stages.
_EFFICIENTNET = (
    (1, 2, 2, 3, 3, 4, 1),
    (2, 3, 3, 4, 4, 5, 2),
    (2, 3, 3, 4, 4, 5, 2),
    (2, 3, 3, 5, 5, 6, 2),
    (2, 4, 4, 6, 6, 8, 2),
)
_V2 = {"b0": (1, 2, 2, 3, 5, 8), "b3": (2, 3, 3, 5, 7, 12), "s": (2, 4, 4, 6, 9, 15)}

_LITE_LAYERS = [PLAIN, *[EXPANDED] * 6]
_EFFICIENTNET_LAYERS = [[*layers, SQUEEZE] for layers in _LITE_LAYERS]
_V2_LAYERS = [FUSED_PLAIN, FUSED, FUSED, *[[*EXPANDED, SQUEEZE]] * 3]


def _lite(number: int, blocks: Sequence[int]) -> list[Layout]:
    """The first and the last stage of the Lite networks have one block."""
    fewer = (1, *blocks[1:-1], 1)
    return [
        _timm(f"tf_efficientnet_lite{number}", fewer, _LITE_LAYERS, rotated=True),
        _lite_package(f"efficientnet-lite{number}", fewer),
    ]


LAYOUTS: dict[str, list[Layout]] = {
    **{
        f"efficientnet_b{number}": [
            _timm(f"efficientnet_b{number}", blocks, _EFFICIENTNET_LAYERS),
        ]
        for number, blocks in enumerate(_EFFICIENTNET)
    },
    **{
        f"efficientnet_lite{number}": _lite(number, blocks)
        for number, blocks in enumerate(_EFFICIENTNET)
    },
    **{
        f"efficientnetv2_{name}": [
            _timm(f"tf_efficientnetv2_{name}", blocks, _V2_LAYERS, rotated=True)
        ]
        for name, blocks in _V2.items()
    },
}
