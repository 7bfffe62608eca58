"""Layer names of ConvNeXts."""

from __future__ import annotations

from collections.abc import Sequence

from fashionai.conversion.names import Layout, table


def _convnext(size: str, blocks: Sequence[int], convolutions: bool = False) -> list[Layout]:
    """With ``convolutions``, timm's network has 1x1 convolutions in place of dense layers."""
    layers = [
        ("features.0.{0,1}", "stem.{0,1}"),
        ("features.{2..4}.{0,1}", "stages.{1..3}.downsample.{0,1}"),
        ("{features.7,output}", "{head.norm,head.fc}"),
    ]
    dense, scales = [], []
    for stage, count in enumerate(blocks):
        first = 2 if stage else 0
        gluon = f"features.{stage + 1}.{{{first}..{first + count - 1}}}"
        timm = f"stages.{stage}.blocks.{{0..{count - 1}}}"
        layers.append((f"{gluon}.{{depthwise,norm}}", f"{timm}.{{conv_dw,norm}}"))
        dense.append((f"{gluon}.mlp.{{expand,project}}", f"{timm}.mlp.{{fc1,fc2}}"))
        scales.append((f"{gluon}.mlp.project.scale", f"{timm}.gamma"))
    return [
        Layout(
            "timm",
            f"convnext_{size}",
            table([*layers, *dense]),
            parameters=table(scales),
            ranks=dict.fromkeys(table(dense), 4) if convolutions else {},
        )
    ]


LAYOUTS: dict[str, list[Layout]] = {
    "convnext_atto": _convnext("atto", (2, 2, 6, 2), convolutions=True),
    "convnext_pico": _convnext("pico", (2, 2, 6, 2), convolutions=True),
    "convnext_nano": _convnext("nano", (2, 2, 8, 2), convolutions=True),
    "convnext_tiny": _convnext("tiny", (3, 3, 9, 3)),
    "convnext_small": _convnext("small", (3, 3, 27, 3)),
    "convnext_base": _convnext("base", (3, 3, 27, 3)),
}
