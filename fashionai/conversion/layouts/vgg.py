"""Layer names of VGG, AlexNet and SqueezeNet."""

from __future__ import annotations

from collections.abc import Sequence

from fashionai.conversion.names import Layout, table


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
        Layout("torchvision", name, table([(same, same), (dense, "classifier.{0,3,6}")])),
        Layout(
            "timm", name, table([(same, same), (dense, "{pre_logits.fc1,pre_logits.fc2,head.fc}")])
        ),
    ]


def _alexnet() -> list[Layout]:
    pairs = [
        ("features.{0,2,4,5,6}", "features.{0,3,6,8,10}"),
        ("{features.9,features.11,output}", "classifier.{1,4,6}"),
    ]
    return [Layout("torchvision", "alexnet", table(pairs))]


def _squeezenet(version: str, fires: str) -> list[Layout]:
    pairs = [
        ("features.0", "features.0"),
        (
            f"features.{fires}.{{0.0,1.0.0,1.1.0}}",
            f"features.{fires}.{{squeeze,expand1x1,expand3x3}}",
        ),
        ("output.0", "classifier.1"),
    ]
    return [Layout("torchvision", f"squeezenet{version}", table(pairs), "output.0")]


LAYOUTS: dict[str, list[Layout]] = {
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
