"""The networks of this package by name."""

from __future__ import annotations

from fashionai.models.networks import (
    convnext,
    efficientnet,
    efficientnet_lite,
    efficientnetv2,
    small,
    vit,
)
from fashionai.models.networks.options import Builder, of_classes

# Networks that leave out residual branches in training, as NetworkOptions.drop_path says.
WITH_DROP_PATH: dict[str, Builder] = {
    **efficientnet.NETWORKS,
    **efficientnet_lite.NETWORKS,
    **efficientnetv2.NETWORKS,
    **convnext.NETWORKS,
    **vit.NETWORKS,
}

NETWORKS: dict[str, Builder] = {
    "small_cnn": of_classes(small.SmallCNN),
    "logos_cnn": of_classes(small.logos_cnn),
    "covers_lenet": of_classes(small.covers_lenet),
    "covers_alexnet": of_classes(small.covers_alexnet),
    **WITH_DROP_PATH,
}
