"""Names of corresponding layers in Gluon and PyTorch networks of the same architecture.

A table is a list of pairs of patterns: Gluon's names, then the other library's.
``{1..3}`` in a pattern stands for 1, 2 and 3, ``{a,b}`` for a and b. Both patterns
of a pair stand for the same number of names, in the same order.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from fashionai.errors import WeightsError, nearest

PatternPairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Layout:
    """The layer names of a network in one library.

    ``library`` and ``network`` are the library and its name of the network.
    ``layers`` maps Gluon's layer names to the library's. ``output`` is Gluon's name
    of the output layer. ``output_rank`` is the number of axes of the output layer's
    weights in the library: 2 for a dense layer, 4 for a 1x1 convolution.
    """

    library: str
    network: str
    layers: dict[str, str]
    output: str = "output"
    output_rank: int = 2


def layouts(model: str) -> list[Layout]:
    """The layouts in which weights of a Gluon network are published.

    The first one is the layout that exported files have. Raises WeightsError for a
    network without a counterpart of equal architecture.
    """
    if model not in LAYOUTS:
        raise WeightsError(
            f"{model} has no counterpart of equal architecture in torchvision or timm",
            nearest(model, LAYOUTS),
        )
    return LAYOUTS[model]


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


def _table(pairs: PatternPairs) -> dict[str, str]:
    return {
        gluon: torch
        for pair in pairs
        for gluon, torch in itertools.zip_longest(*(expand(pattern) for pattern in pair))
    }


def _resnet_v1b(depth: int, blocks: Sequence[int], convolutions: int) -> list[Layout]:
    """The layout of a ResNet v1b, whose 3x3 convolutions have the stride.

    GluonCV, torchvision and timm use the same names.
    """
    patterns = ["{conv1,bn1,fc}", "layer{2..4}.0.downsample.{0,1}"]
    if convolutions == 3:
        patterns.append("layer1.0.downsample.{0,1}")
    for stage, count in enumerate(blocks, 1):
        patterns.append(f"layer{stage}.{{0..{count - 1}}}.{{conv,bn}}{{1..{convolutions}}}")
    table = _table([(pattern, pattern) for pattern in patterns])
    return [Layout("torchvision", f"resnet{depth}", table, "fc")]


def _resnet_v2(depth: int, blocks: Sequence[int], convolutions: int) -> list[Layout]:
    pairs = [
        ("features.{1,9}", "{stem.conv,norm}"),
        ("features.{6..8}.0.downsample", "stages.{1..3}.blocks.0.downsample.conv"),
        ("output", "head.fc"),
    ]
    if convolutions == 3:
        pairs.append(("features.5.0.downsample", "stages.0.blocks.0.downsample.conv"))
    for stage, count in enumerate(blocks):
        pairs.append(
            (
                f"features.{5 + stage}.{{0..{count - 1}}}.{{bn,conv}}{{1..{convolutions}}}",
                f"stages.{stage}.blocks.{{0..{count - 1}}}.{{norm,conv}}{{1..{convolutions}}}",
            )
        )
    return [Layout("timm", f"resnetv2_{depth}", _table(pairs), output_rank=4)]


def _mobilenet_v2() -> list[Layout]:
    ends = "features.{0,1,20,21}"
    first, others = "features.3.out.{3,4,6,7}", "features.{4..19}.out.{0,1,3,4,6,7}"
    torchvision = [
        (ends, "features.{0,18}.{0,1}"),
        (first, "features.1.conv.{0.0,0.1,1,2}"),
        (others, "features.{2..17}.conv.{0.0,0.1,1.0,1.1,2,3}"),
        ("output.0", "classifier.1"),
    ]
    # The names of the first public port to PyTorch; weights with these names are still in use.
    pytorch_mobilenet_v2 = [
        (ends, "features.{0,18}.{0,1}"),
        (first, "features.1.conv.{0,1,3,4}"),
        (others, "features.{2..17}.conv.{0,1,3,4,6,7}"),
        ("output.0", "classifier.1"),
    ]
    timm = [
        (ends, "{conv_stem,bn1,conv_head,bn2}"),
        (first, "blocks.0.0.{conv_dw,bn1,conv_pw,bn2}"),
        ("output.0", "classifier"),
    ]
    start = 4
    for stage, count in enumerate((2, 3, 4, 3, 3, 1), 1):
        timm.append(
            (
                f"features.{{{start}..{start + count - 1}}}.out.{{0,1,3,4,6,7}}",
                f"blocks.{stage}.{{0..{count - 1}}}.{{conv_pw,bn1,conv_dw,bn2,conv_pwl,bn3}}",
            )
        )
        start += count
    return [
        Layout("torchvision", "mobilenet_v2", _table(torchvision), "output.0"),
        Layout("timm", "mobilenetv2_100", _table(timm), "output.0"),
        Layout("pytorch-mobilenet-v2", "MobileNetV2", _table(pytorch_mobilenet_v2), "output.0"),
    ]


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
    return [Layout("torchvision", f"densenet{depth}", _table(pairs))]


def _vgg_name(depth: int, batch_norm: bool) -> str:
    return f"vgg{depth}_bn" if batch_norm else f"vgg{depth}"


def _vgg(depth: int, convolutions: Sequence[int], batch_norm: bool) -> list[Layout]:
    """``convolutions`` is the number in each of the five stages, which end in a pooling layer."""
    features, index = [], 0
    for count in convolutions:
        for _ in range(count):
            features += [str(index), str(index + 1)] if batch_norm else [str(index)]
            index += 3 if batch_norm else 2
        index += 1
    same = f"features.{{{','.join(features)}}}"
    dense = f"{{features.{index},features.{index + 2},output}}"
    name = _vgg_name(depth, batch_norm)
    return [
        Layout("torchvision", name, _table([(same, same), (dense, "classifier.{0,3,6}")])),
        Layout(
            "timm", name, _table([(same, same), (dense, "{pre_logits.fc1,pre_logits.fc2,head.fc}")])
        ),
    ]


def _alexnet() -> list[Layout]:
    pairs = [
        ("features.{0,2,4,5,6}", "features.{0,3,6,8,10}"),
        ("{features.9,features.11,output}", "classifier.{1,4,6}"),
    ]
    return [Layout("torchvision", "alexnet", _table(pairs))]


def _squeezenet(version: str, fires: str) -> list[Layout]:
    pairs = [
        ("features.0", "features.0"),
        (
            f"features.{fires}.{{0.0,1.0.0,1.1.0}}",
            f"features.{fires}.{{squeeze,expand1x1,expand3x3}}",
        ),
        ("output.0", "classifier.1"),
    ]
    return [Layout("torchvision", f"squeezenet{version}", _table(pairs), "output.0", output_rank=4)]


LAYOUTS: dict[str, list[Layout]] = {
    "resnet18_v1b": _resnet_v1b(18, (2, 2, 2, 2), 2),
    "resnet34_v1b": _resnet_v1b(34, (3, 4, 6, 3), 2),
    "resnet50_v1b": _resnet_v1b(50, (3, 4, 6, 3), 3),
    "resnet101_v1b": _resnet_v1b(101, (3, 4, 23, 3), 3),
    "resnet152_v1b": _resnet_v1b(152, (3, 8, 36, 3), 3),
    "resnet18_v2": _resnet_v2(18, (2, 2, 2, 2), 2),
    "resnet34_v2": _resnet_v2(34, (3, 4, 6, 3), 2),
    "resnet50_v2": _resnet_v2(50, (3, 4, 6, 3), 3),
    "resnet101_v2": _resnet_v2(101, (3, 4, 23, 3), 3),
    "resnet152_v2": _resnet_v2(152, (3, 8, 36, 3), 3),
    "mobilenetv2_1.0": _mobilenet_v2(),
    "densenet121": _densenet(121, (6, 12, 24, 16)),
    "densenet161": _densenet(161, (6, 12, 36, 24)),
    "densenet169": _densenet(169, (6, 12, 32, 32)),
    "densenet201": _densenet(201, (6, 12, 48, 32)),
    **{
        _vgg_name(depth, batch_norm): _vgg(depth, convolutions, batch_norm)
        for depth, convolutions in (
            (11, (1, 1, 2, 2, 2)),
            (13, (2, 2, 2, 2, 2)),
            (16, (2, 2, 3, 3, 3)),
            (19, (2, 2, 4, 4, 4)),
        )
        for batch_norm in (False, True)
    },
    "alexnet": _alexnet(),
    "squeezenet1.0": _squeezenet("1_0", "{3,4,5,7,8,9,10,12}"),
    "squeezenet1.1": _squeezenet("1_1", "{3,4,6,7,9,10,11,12}"),
}
