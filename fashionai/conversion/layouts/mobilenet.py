"""Layer names of MobileNetV2."""

from __future__ import annotations

from fashionai.conversion.names import Layout, table


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
        Layout(library, network, table(pairs), "output.0", ranks={"output.0": 2})
        for library, network, pairs in (
            ("torchvision", "mobilenet_v2", torchvision),
            ("timm", "mobilenetv2_100", timm),
            ("pytorch-mobilenet-v2", "MobileNetV2", pytorch_mobilenet_v2),
        )
    ]


LAYOUTS: dict[str, list[Layout]] = {"mobilenetv2_1.0": _mobilenet_v2()}
