"""The layouts of all networks whose weights can be converted."""

from __future__ import annotations

from fashionai.conversion.layouts import (
    convnext,
    densenet,
    efficientnet,
    mobilenet,
    resnet,
    vgg,
    vit,
)
from fashionai.conversion.names import Layout
from fashionai.errors import WeightsError, nearest

LAYOUTS: dict[str, list[Layout]] = {
    **resnet.LAYOUTS,
    **mobilenet.LAYOUTS,
    **densenet.LAYOUTS,
    **vgg.LAYOUTS,
    **efficientnet.LAYOUTS,
    **convnext.LAYOUTS,
    **vit.LAYOUTS,
}


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
