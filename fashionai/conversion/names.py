"""Which layer of a PyTorch network is which layer of the Gluon network of equal architecture.

A row of a table is a pair of patterns, Gluon's and PyTorch's. Braces hold numbers
from..to or choices with commas; both patterns stand for the same number of names,
in the same order.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from fashionai.errors import WeightsError, nearest

Rows = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Layout:
    """The names that one library gives to the layers of a network.

    ``layers`` maps Gluon's name of a layer to this library's, ``output`` is
    Gluon's name of the layer of classes, and ``output_rank`` tells whether that
    is a dense layer (2) or a 1x1 convolution (4) in this library.
    """

    library: str
    network: str
    layers: dict[str, str]
    output: str = "output"
    output_rank: int = 2


def layouts(model: str) -> list[Layout]:
    """The layouts in which a Gluon network's weights exist, the one to write first.

    Raises WeightsError for a network without a counterpart of equal architecture.
    """
    if model not in LAYOUTS:
        raise WeightsError(
            f"{model} has no counterpart of equal architecture in torchvision or timm",
            nearest(model, LAYOUTS),
        )
    return LAYOUTS[model]


def expand(pattern: str) -> list[str]:
    """The names a pattern stands for, the last braces counting fastest."""
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


def _table(rows: Rows) -> dict[str, str]:
    return {
        gluon: torch
        for row in rows
        for gluon, torch in itertools.zip_longest(*(expand(pattern) for pattern in row))
    }


def _resnet_v1b(depth: int, blocks: Sequence[int], convolutions: int) -> list[Layout]:
    """torchvision and timm agree, and GluonCV took their names; the stride is on the 3x3."""
    rows = ["{conv1,bn1,fc}", "layer{2..4}.0.downsample.{0,1}"]
    if convolutions == 3:
        rows.append("layer1.0.downsample.{0,1}")
    for stage, count in enumerate(blocks, 1):
        rows.append(f"layer{stage}.{{0..{count - 1}}}.{{conv,bn}}{{1..{convolutions}}}")
    return [Layout("torchvision", f"resnet{depth}", _table([(row, row) for row in rows]), "fc")]


def _resnet_v2(depth: int, blocks: Sequence[int], convolutions: int) -> list[Layout]:
    rows = [
        ("features.{1,9}", "{stem.conv,norm}"),
        ("features.{6..8}.0.downsample", "stages.{1..3}.blocks.0.downsample.conv"),
        ("output", "head.fc"),
    ]
    if convolutions == 3:
        rows.append(("features.5.0.downsample", "stages.0.blocks.0.downsample.conv"))
    for stage, count in enumerate(blocks):
        rows.append(
            (
                f"features.{5 + stage}.{{0..{count - 1}}}.{{bn,conv}}{{1..{convolutions}}}",
                f"stages.{stage}.blocks.{{0..{count - 1}}}.{{norm,conv}}{{1..{convolutions}}}",
            )
        )
    return [Layout("timm", f"resnetv2_{depth}", _table(rows), output_rank=4)]


def _mobilenet_v2() -> list[Layout]:
    ends = "features.{0,1,20,21}"
    first, others = "features.3.out.{3,4,6,7}", "features.{4..19}.out.{0,1,3,4,6,7}"
    torchvision = [
        (ends, "features.{0,18}.{0,1}"),
        (first, "features.1.conv.{0.0,0.1,1,2}"),
        (others, "features.{2..17}.conv.{0.0,0.1,1.0,1.1,2,3}"),
        ("output.0", "classifier.1"),
    ]
    # Of the first public port, in which ImageNet features are still passed around.
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
    rows = [
        ("features.{0,1,11}", "features.{conv0,norm0,norm5}"),
        ("features.{5,7,9}.{0,2}", "features.transition{1..3}.{norm,conv}"),
        ("output", "classifier"),
    ]
    for block, count in enumerate(blocks):
        rows.append(
            (
                f"features.{4 + 2 * block}.{{0..{count - 1}}}.1.{{0,2,3,5}}",
                f"features.denseblock{block + 1}.denselayer{{1..{count}}}"
                ".{norm1,conv1,norm2,conv2}",
            )
        )
    return [Layout("torchvision", f"densenet{depth}", _table(rows))]


def _vgg(depth: int, convolutions: Sequence[int], normalised: bool) -> list[Layout]:
    """``convolutions`` in each of the five stages, which a pooling layer ends."""
    features, index = [], 0
    for count in convolutions:
        for _ in range(count):
            features += [str(index), str(index + 1)] if normalised else [str(index)]
            index += 3 if normalised else 2
        index += 1
    same = f"features.{{{','.join(features)}}}"
    dense = f"{{features.{index},features.{index + 2},output}}"
    name = f"vgg{depth}_bn" if normalised else f"vgg{depth}"
    return [
        Layout("torchvision", name, _table([(same, same), (dense, "classifier.{0,3,6}")])),
        Layout(
            "timm", name, _table([(same, same), (dense, "{pre_logits.fc1,pre_logits.fc2,head.fc}")])
        ),
    ]


def _alexnet() -> list[Layout]:
    rows = [
        ("features.{0,2,4,5,6}", "features.{0,3,6,8,10}"),
        ("{features.9,features.11,output}", "classifier.{1,4,6}"),
    ]
    return [Layout("torchvision", "alexnet", _table(rows))]


def _squeezenet(version: str, fires: str) -> list[Layout]:
    rows = [
        ("features.0", "features.0"),
        (
            f"features.{fires}.{{0.0,1.0.0,1.1.0}}",
            f"features.{fires}.{{squeeze,expand1x1,expand3x3}}",
        ),
        ("output.0", "classifier.1"),
    ]
    return [Layout("torchvision", f"squeezenet{version}", _table(rows), "output.0", output_rank=4)]


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
        f"vgg{depth}{'_bn' * normalised}": _vgg(depth, convolutions, normalised)
        for depth, convolutions in (
            (11, (1, 1, 2, 2, 2)),
            (13, (2, 2, 2, 2, 2)),
            (16, (2, 2, 3, 3, 3)),
            (19, (2, 2, 4, 4, 4)),
        )
        for normalised in (False, True)
    },
    "alexnet": _alexnet(),
    "squeezenet1.0": _squeezenet("1_0", "{3,4,5,7,8,9,10,12}"),
    "squeezenet1.1": _squeezenet("1_1", "{3,4,6,7,9,10,11,12}"),
}
