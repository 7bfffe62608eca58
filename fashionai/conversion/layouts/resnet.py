"""Layer names of ResNets."""

from __future__ import annotations

from collections.abc import Sequence

from fashionai.conversion.names import Layout, table


def _resnet_v1b(depth: int, blocks: Sequence[int], convolutions: int) -> list[Layout]:
    """The layout of a ResNet v1b, whose 3x3 convolutions have the stride.

    GluonCV, torchvision and timm use the same names.
    """
    patterns = ["{conv1,bn1,fc}", "layer{2..4}.0.downsample.{0,1}"]
    if convolutions == 3:
        patterns.append("layer1.0.downsample.{0,1}")
    for stage, count in enumerate(blocks, 1):
        patterns.append(f"layer{stage}.{{0..{count - 1}}}.{{conv,bn}}{{1..{convolutions}}}")
    names = table([(pattern, pattern) for pattern in patterns])
    return [Layout("torchvision", f"resnet{depth}", names, "fc")]


def _resnet_d(depth: int, blocks: Sequence[int]) -> list[Layout]:
    """The layout of a ResNet-D: three first convolutions, and shortcuts that pool averages.

    GluonCV and timm use the same names.
    """
    patterns = ["{bn1,fc}", "conv1.{0,1,3,4,6}", "layer{1..4}.0.downsample.{1,2}"]
    for stage, count in enumerate(blocks, 1):
        patterns.append(f"layer{stage}.{{0..{count - 1}}}.{{conv,bn}}{{1..3}}")
    names = table([(pattern, pattern) for pattern in patterns])
    return [Layout("timm", f"resnet{depth}d", names, "fc")]


def _resnest(network: str, blocks: Sequence[int]) -> list[Layout]:
    """The layout of a ResNeSt: a ResNet-D whose 3x3 convolutions have split attention.

    The names differ only in the first batch normalisation of the split attention.
    """
    same = ["{bn1,fc}", "conv1.{0,1,3,4,6}", "layer{1..4}.0.downsample.{1,2}"]
    pairs = [(pattern, pattern) for pattern in same]
    for stage, count in enumerate(blocks, 1):
        block = f"layer{stage}.{{0..{count - 1}}}"
        pairs += [
            (f"{block}.{{conv,bn}}{{1,3}}", f"{block}.{{conv,bn}}{{1,3}}"),
            (f"{block}.conv2.{{conv,bn,fc1,bn1,fc2}}", f"{block}.conv2.{{conv,bn0,fc1,bn1,fc2}}"),
        ]
    return [Layout("timm", network, table(pairs), "fc")]


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
    return [Layout("timm", f"resnetv2_{depth}", table(pairs), ranks={"output": 4})]


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
    "resnet50_v1d": _resnet_d(50, (3, 4, 6, 3)),
    "resnet101_v1d": _resnet_d(101, (3, 4, 23, 3)),
    "resnet152_v1d": _resnet_d(152, (3, 8, 36, 3)),
    "resnest14": _resnest("resnest14d", (1, 1, 1, 1)),
    "resnest26": _resnest("resnest26d", (2, 2, 2, 2)),
    "resnest50": _resnest("resnest50d", (3, 4, 6, 3)),
}
