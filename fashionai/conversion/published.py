"""Published ImageNet weights that can be converted, and the preprocessing each was trained with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from fashionai.normalization import IMAGENET_MEAN, IMAGENET_STD, Channels

HALF: Channels = (0.5, 0.5, 0.5)

_Published = tuple[str, int, float, Optional[float]]


@dataclass(frozen=True)
class PublishedWeights:
    """Published weights that fit a Gluon network.

    ``model`` is Gluon's name of the network. ``library`` is timm or torchvision.
    ``name`` is a tag of timm, whose weights are the file ``model.safetensors`` of
    the repository ``timm/<name>`` on the Hugging Face hub, or a file name of
    torchvision, which contains the first eight digits of the file's SHA-256.

    The input is ``(x - mean) / std`` for RGB values x in [0, 1]. ``pixels`` is the side
    of the square images that the network was trained with, or that its accuracy is
    published for where that is larger. For this accuracy an image is resized with
    ``interpolation`` so that the middle ``crop_fraction`` of the short side has
    ``pixels`` pixels. ``top1`` is that accuracy, in [0, 1]; None if unknown.
    ``licence`` is an SPDX identifier, or empty if unknown.
    """

    model: str
    library: str
    name: str
    mean: Channels = IMAGENET_MEAN
    std: Channels = IMAGENET_STD
    pixels: int = 224
    crop_fraction: float = 0.875
    interpolation: str = "bilinear"
    top1: Optional[float] = None
    licence: str = ""


def published_weights(model: str) -> list[PublishedWeights]:
    """The published weights of a Gluon network, the most accurate first; may be empty."""
    return [weights for weights in PUBLISHED_WEIGHTS if weights.model == model]


# By Gluon's name: the tag.
_TIMM = {
    "resnet18_v1b": "resnet18.a1_in1k",
    "resnet34_v1b": "resnet34.a1_in1k",
    "resnet50_v1b": "resnet50.tv2_in1k",
    "resnet101_v1b": "resnet101.tv2_in1k",
    "resnet152_v1b": "resnet152.tv2_in1k",
    "mobilenetv2_1.0": "mobilenetv2_100.ra_in1k",
    "densenet121": "densenet121.ra_in1k",
    "densenet161": "densenet161.tv_in1k",
    "densenet169": "densenet169.tv_in1k",
    "densenet201": "densenet201.tv_in1k",
    "vgg11": "vgg11.tv_in1k",
    "vgg11_bn": "vgg11_bn.tv_in1k",
    "vgg13": "vgg13.tv_in1k",
    "vgg13_bn": "vgg13_bn.tv_in1k",
    "vgg16": "vgg16.tv_in1k",
    "vgg16_bn": "vgg16_bn.tv_in1k",
    "vgg19": "vgg19.tv_in1k",
    "vgg19_bn": "vgg19_bn.tv_in1k",
}
# The same for weights trained with mean and standard deviation 0.5.
_TIMM_HALF = {
    "resnet18_v2": "resnetv2_18.ra4_e3600_r224_in1k",
    "resnet34_v2": "resnetv2_34.ra4_e3600_r224_in1k",
    "resnet50_v2": "resnetv2_50.a1h_in1k",
    "resnet101_v2": "resnetv2_101.a1h_in1k",
}
# EfficientNets of timm by mean, standard deviation and interpolation; by Gluon's name the tag, the
# pixels, the crop fraction and the accuracy. All are published under Apache-2.0. Source:
# https://github.com/huggingface/pytorch-image-models.
_EFFICIENTNETS: dict[tuple[Channels, Channels, str], dict[str, _Published]] = {
    (HALF, HALF, "bicubic"): {
        "efficientnet_b0": ("efficientnet_b0.ra4_e3600_r224_in1k", 224, 0.9, 0.7857),
        "efficientnet_b1": ("efficientnet_b1.ra4_e3600_r240_in1k", 240, 0.9, 0.8040),
        "efficientnet_lite0": ("tf_efficientnet_lite0.in1k", 224, 0.875, 0.7485),
        "efficientnet_lite1": ("tf_efficientnet_lite1.in1k", 240, 0.882, 0.7667),
        "efficientnet_lite2": ("tf_efficientnet_lite2.in1k", 260, 0.890, 0.7747),
        "efficientnetv2_b3": ("tf_efficientnetv2_b3.in21k_ft_in1k", 300, 0.9, 0.8263),
        "efficientnetv2_s": ("tf_efficientnetv2_s.in21k_ft_in1k", 384, 1.0, 0.8433),
    },
    (HALF, HALF, "bilinear"): {
        "efficientnet_lite3": ("tf_efficientnet_lite3.in1k", 300, 0.904, 0.7981),
        "efficientnet_lite4": ("tf_efficientnet_lite4.in1k", 380, 0.920, 0.8154),
    },
    (IMAGENET_MEAN, IMAGENET_STD, "bicubic"): {
        "efficientnet_b2": ("efficientnet_b2.ra_in1k", 288, 1.0, None),
        "efficientnet_b3": ("efficientnet_b3.ra2_in1k", 320, 1.0, 0.8230),
        "efficientnet_b4": ("efficientnet_b4.ra2_in1k", 384, 1.0, 0.8347),
        "efficientnetv2_b0": ("tf_efficientnetv2_b0.in1k", 224, 0.875, 0.7839),
    },
}
# By Gluon's name: the file name.
_TORCHVISION = {
    "resnet18_v1b": "resnet18-f37072fd.pth",
    "resnet34_v1b": "resnet34-b627a593.pth",
    "resnet50_v1b": "resnet50-11ad3fa6.pth",
    "resnet101_v1b": "resnet101-cd907fc2.pth",
    "resnet152_v1b": "resnet152-f82ba261.pth",
    "mobilenetv2_1.0": "mobilenet_v2-7ebf99e0.pth",
    "densenet121": "densenet121-a639ec97.pth",
    "densenet161": "densenet161-8d451a50.pth",
    "densenet169": "densenet169-b2777c0a.pth",
    "densenet201": "densenet201-c1103571.pth",
    "vgg11": "vgg11-8a719046.pth",
    "vgg11_bn": "vgg11_bn-6002323d.pth",
    "vgg13": "vgg13-19584684.pth",
    "vgg13_bn": "vgg13_bn-abd245e5.pth",
    "vgg16": "vgg16-397923af.pth",
    "vgg16_bn": "vgg16_bn-6c64b313.pth",
    "vgg19": "vgg19-dcbb9e9d.pth",
    "vgg19_bn": "vgg19_bn-c79401a0.pth",
    "alexnet": "alexnet-owt-7be5be79.pth",
    "squeezenet1.0": "squeezenet1_0-b66bff10.pth",
    "squeezenet1.1": "squeezenet1_1-b8a52dc0.pth",
}
# By Gluon's name: the tag, the fraction of the short side, and the accuracy at 224 pixels. timm
# publishes all of them under the Apache License 2.0.
_CONVNEXT = {
    "convnext_atto": ("convnext_atto.d2_in1k", 0.875, 0.7567),
    "convnext_pico": ("convnext_pico.d1_in1k", 0.875, 0.7952),
    "convnext_nano": ("convnext_nano.in12k_ft_in1k", 0.95, 0.8231),
    "convnext_tiny": ("convnext_tiny.in12k_ft_in1k", 0.95, 0.8419),
    "convnext_small": ("convnext_small.in12k_ft_in1k", 0.95, 0.8516),
    "convnext_base": ("convnext_base.fb_in22k_ft_in1k", 0.875, 0.8581),
}
_VIT_HALF = {
    "vit_tiny": ("vit_tiny_patch16_224.augreg_in21k_ft_in1k", 0.9, 0.7545),
    "vit_small": ("vit_small_patch16_224.augreg_in21k_ft_in1k", 0.9, 0.8140),
    "vit_base": ("vit_base_patch16_224.augreg2_in21k_ft_in1k", 0.9, 0.8511),
}
_DEIT3 = {
    "deit3_small": ("deit3_small_patch16_224.fb_in22k_ft_in1k", 1.0, 0.8308),
    "deit3_base": ("deit3_base_patch16_224.fb_in22k_ft_in1k", 1.0, 0.8573),
}


def _of_today(
    table: Mapping[str, tuple[str, float, float]], mean: Channels, std: Channels
) -> list[PublishedWeights]:
    return [
        PublishedWeights(
            *(model, "timm", name, mean, std, 224, crop_fraction, "bicubic", top1, "Apache-2.0")
        )
        for model, (name, crop_fraction, top1) in table.items()
    ]


PUBLISHED_WEIGHTS = [
    *(
        PublishedWeights(model, "timm", name, mean, std)
        for table, mean, std in ((_TIMM, IMAGENET_MEAN, IMAGENET_STD), (_TIMM_HALF, HALF, HALF))
        for model, name in table.items()
    ),
    *(
        PublishedWeights(
            model, "timm", name, mean, std, pixels, crop_fraction, interpolation, top1, "Apache-2.0"
        )
        for (mean, std, interpolation), networks in _EFFICIENTNETS.items()
        for model, (name, pixels, crop_fraction, top1) in networks.items()
    ),
    *(PublishedWeights(model, "torchvision", name) for model, name in _TORCHVISION.items()),
    *_of_today(_CONVNEXT, IMAGENET_MEAN, IMAGENET_STD),
    *_of_today(_VIT_HALF, HALF, HALF),
    *_of_today(_DEIT3, IMAGENET_MEAN, IMAGENET_STD),
]
