"""Published ImageNet weights that can be converted, and the preprocessing each was trained with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from fashionai.normalization import IMAGENET_MEAN, IMAGENET_STD, Channels

HALF: Channels = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class PublishedWeights:
    """Published weights that fit a Gluon network.

    ``model`` is Gluon's name of the network. ``library`` is timm or torchvision.
    ``name`` is a tag of timm, whose weights are the file ``model.safetensors`` of
    the repository ``timm/<name>`` on the Hugging Face hub, or a file name of
    torchvision, which contains the first eight digits of the file's SHA-256.

    The input is ``(x - mean) / std`` for RGB values x in [0, 1]. ``top1`` is the
    published ImageNet accuracy, in [0, 1], for square images of ``pixels`` pixels: each
    image is resized with ``interpolation`` so that the middle ``crop_fraction`` of its
    short side has ``pixels`` pixels. None if unknown. ``licence`` is an SPDX
    identifier, or empty if unknown.
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
    found = [weights for weights in PUBLISHED_WEIGHTS if weights.model == model]
    return sorted(found, key=lambda weights: -(weights.top1 or 0))


def of_library(model: str, library: str) -> Optional[PublishedWeights]:
    """The most accurate weights of a Gluon network that a library publishes, None without any."""
    found = [weights for weights in published_weights(model) if weights.library == library]
    return found[0] if found else None


APACHE, BSD = "Apache-2.0", "BSD-3-Clause"

# Weights that timm publishes, by Gluon's name of the network: the tag, pixels, crop fraction,
# interpolation, accuracy and licence. Sources: timm's configurations of pretrained weights, which
# have the licences, and its table results-imagenet.csv, which has the accuracies.
_Published = tuple[str, int, float, str, Optional[float], str]
_TIMM: dict[str, _Published] = {
    "resnet18_v1b": ("resnet18.a1_in1k", 224, 0.95, "bicubic", 0.7150, APACHE),
    "resnet34_v1b": ("resnet34.a1_in1k", 224, 0.95, "bicubic", 0.7642, APACHE),
    "resnet50_v1b": ("resnet50.tv2_in1k", 224, 0.965, "bilinear", 0.8085, BSD),
    "resnet101_v1b": ("resnet101.tv2_in1k", 224, 0.965, "bilinear", 0.8191, BSD),
    "resnet152_v1b": ("resnet152.tv2_in1k", 224, 0.965, "bilinear", 0.8229, BSD),
    "resnet101_v1d": ("resnet101d.ra2_in1k", 256, 0.95, "bicubic", 0.8225, APACHE),
    "resnet152_v1d": ("resnet152d.ra2_in1k", 256, 0.95, "bicubic", 0.8316, APACHE),
    "resnest14": ("resnest14d.gluon_in1k", 224, 0.875, "bilinear", 0.7552, APACHE),
    "resnest26": ("resnest26d.gluon_in1k", 224, 0.875, "bilinear", 0.7848, APACHE),
    "resnest50": ("resnest50d.in1k", 224, 0.875, "bilinear", 0.8096, APACHE),
    "mobilenetv2_1.0": ("mobilenetv2_100.ra_in1k", 224, 0.875, "bicubic", 0.7291, APACHE),
    "densenet121": ("densenet121.ra_in1k", 224, 0.875, "bicubic", 0.7557, APACHE),
    "densenet161": ("densenet161.tv_in1k", 224, 0.875, "bicubic", 0.7738, APACHE),
    "densenet169": ("densenet169.tv_in1k", 224, 0.875, "bicubic", 0.7592, APACHE),
    "densenet201": ("densenet201.tv_in1k", 224, 0.875, "bicubic", 0.7728, APACHE),
    "vgg11": ("vgg11.tv_in1k", 224, 0.875, "bilinear", 0.6905, BSD),
    "vgg11_bn": ("vgg11_bn.tv_in1k", 224, 0.875, "bilinear", 0.7037, BSD),
    "vgg13": ("vgg13.tv_in1k", 224, 0.875, "bilinear", 0.6995, BSD),
    "vgg13_bn": ("vgg13_bn.tv_in1k", 224, 0.875, "bilinear", 0.7156, BSD),
    "vgg16": ("vgg16.tv_in1k", 224, 0.875, "bilinear", 0.7159, BSD),
    "vgg16_bn": ("vgg16_bn.tv_in1k", 224, 0.875, "bilinear", 0.7335, BSD),
    "vgg19": ("vgg19.tv_in1k", 224, 0.875, "bilinear", 0.7240, BSD),
    "vgg19_bn": ("vgg19_bn.tv_in1k", 224, 0.875, "bilinear", 0.7423, BSD),
    "efficientnet_b2": ("efficientnet_b2.ra_in1k", 288, 1.0, "bicubic", None, APACHE),
    "efficientnet_b3": ("efficientnet_b3.ra2_in1k", 320, 1.0, "bicubic", 0.8230, APACHE),
    "efficientnet_b4": ("efficientnet_b4.ra2_in1k", 384, 1.0, "bicubic", 0.8347, APACHE),
    "efficientnetv2_b0": ("tf_efficientnetv2_b0.in1k", 224, 0.875, "bicubic", 0.7839, APACHE),
    "convnext_atto": ("convnext_atto.d2_in1k", 224, 0.875, "bicubic", 0.7567, APACHE),
    "convnext_pico": ("convnext_pico.d1_in1k", 224, 0.875, "bicubic", 0.7952, APACHE),
    "convnext_nano": ("convnext_nano.in12k_ft_in1k", 224, 0.95, "bicubic", 0.8231, APACHE),
    "convnext_tiny": ("convnext_tiny.in12k_ft_in1k", 224, 0.95, "bicubic", 0.8419, APACHE),
    "convnext_small": ("convnext_small.in12k_ft_in1k", 224, 0.95, "bicubic", 0.8516, APACHE),
    "convnext_base": ("convnext_base.fb_in22k_ft_in1k", 224, 0.875, "bicubic", 0.8581, APACHE),
    "deit3_small": (
        *("deit3_small_patch16_224.fb_in22k_ft_in1k", 224, 1.0, "bicubic", 0.8308, APACHE),
    ),
    "deit3_base": (
        *("deit3_base_patch16_224.fb_in22k_ft_in1k", 224, 1.0, "bicubic", 0.8573, APACHE),
    ),
}
# The same for weights trained with mean and standard deviation 0.5.
_TIMM_HALF: dict[str, _Published] = {
    "resnet18_v2": ("resnetv2_18.ra4_e3600_r224_in1k", 224, 0.9, "bicubic", 0.7357, APACHE),
    "resnet34_v2": ("resnetv2_34.ra4_e3600_r224_in1k", 224, 0.9, "bicubic", 0.7763, APACHE),
    "resnet50_v2": ("resnetv2_50.a1h_in1k", 224, 0.95, "bicubic", 0.8041, APACHE),
    "resnet101_v2": ("resnetv2_101.a1h_in1k", 224, 0.95, "bicubic", 0.8204, APACHE),
    "resnet50_v1d": ("resnet50d.ra4_e3600_r224_in1k", 224, 0.95, "bicubic", 0.8096, APACHE),
    "efficientnet_b0": ("efficientnet_b0.ra4_e3600_r224_in1k", 224, 0.9, "bicubic", 0.7857, APACHE),
    "efficientnet_b1": ("efficientnet_b1.ra4_e3600_r240_in1k", 240, 0.9, "bicubic", 0.8040, APACHE),
    "efficientnet_lite0": ("tf_efficientnet_lite0.in1k", 224, 0.875, "bicubic", 0.7485, APACHE),
    "efficientnet_lite1": ("tf_efficientnet_lite1.in1k", 240, 0.882, "bicubic", 0.7667, APACHE),
    "efficientnet_lite2": ("tf_efficientnet_lite2.in1k", 260, 0.890, "bicubic", 0.7747, APACHE),
    "efficientnet_lite3": ("tf_efficientnet_lite3.in1k", 300, 0.904, "bilinear", 0.7981, APACHE),
    "efficientnet_lite4": ("tf_efficientnet_lite4.in1k", 380, 0.920, "bilinear", 0.8154, APACHE),
    "efficientnetv2_b3": (
        *("tf_efficientnetv2_b3.in21k_ft_in1k", 300, 0.9, "bicubic", 0.8263, APACHE),
    ),
    "efficientnetv2_s": (
        *("tf_efficientnetv2_s.in21k_ft_in1k", 384, 1.0, "bicubic", 0.8433, APACHE),
    ),
    "vit_tiny": (
        *("vit_tiny_patch16_224.augreg_in21k_ft_in1k", 224, 0.9, "bicubic", 0.7545, APACHE),
    ),
    "vit_small": (
        *("vit_small_patch16_224.augreg_in21k_ft_in1k", 224, 0.9, "bicubic", 0.8140, APACHE),
    ),
    "vit_base": (
        *("vit_base_patch16_224.augreg2_in21k_ft_in1k", 224, 0.9, "bicubic", 0.8511, APACHE),
    ),
}
# Weights that torchvision publishes, by Gluon's name: the file name, the pixels of the resized
# short side, and the accuracy. Source: torchvision's table of weights. Their licence is that of
# torchvision, as in timm's configurations of the same weights.
_TORCHVISION = {
    "resnet18_v1b": ("resnet18-f37072fd.pth", 256, 0.6976),
    "resnet34_v1b": ("resnet34-b627a593.pth", 256, 0.7331),
    "resnet50_v1b": ("resnet50-11ad3fa6.pth", 232, 0.8086),
    "resnet101_v1b": ("resnet101-cd907fc2.pth", 232, 0.8189),
    "resnet152_v1b": ("resnet152-f82ba261.pth", 232, 0.8228),
    "mobilenetv2_1.0": ("mobilenet_v2-7ebf99e0.pth", 232, 0.7215),
    "densenet121": ("densenet121-a639ec97.pth", 256, 0.7443),
    "densenet161": ("densenet161-8d451a50.pth", 256, 0.7714),
    "densenet169": ("densenet169-b2777c0a.pth", 256, 0.7560),
    "densenet201": ("densenet201-c1103571.pth", 256, 0.7690),
    "vgg11": ("vgg11-8a719046.pth", 256, 0.6902),
    "vgg11_bn": ("vgg11_bn-6002323d.pth", 256, 0.7037),
    "vgg13": ("vgg13-19584684.pth", 256, 0.6993),
    "vgg13_bn": ("vgg13_bn-abd245e5.pth", 256, 0.7159),
    "vgg16": ("vgg16-397923af.pth", 256, 0.7159),
    "vgg16_bn": ("vgg16_bn-6c64b313.pth", 256, 0.7336),
    "vgg19": ("vgg19-dcbb9e9d.pth", 256, 0.7238),
    "vgg19_bn": ("vgg19_bn-c79401a0.pth", 256, 0.7422),
    "alexnet": ("alexnet-owt-7be5be79.pth", 256, 0.5652),
    "squeezenet1.0": ("squeezenet1_0-b66bff10.pth", 256, 0.5809),
    "squeezenet1.1": ("squeezenet1_1-b8a52dc0.pth", 256, 0.5818),
}
PUBLISHED_WEIGHTS = [
    *(
        PublishedWeights(
            *(model, "timm", tag, mean, std),
            *(pixels, crop_fraction, interpolation, top1, licence),
        )
        for table, mean, std in ((_TIMM, IMAGENET_MEAN, IMAGENET_STD), (_TIMM_HALF, HALF, HALF))
        for model, (tag, pixels, crop_fraction, interpolation, top1, licence) in table.items()
    ),
    *(
        PublishedWeights(
            *(model, "torchvision", file, IMAGENET_MEAN, IMAGENET_STD),
            *(224, 224 / short_side, "bilinear", top1, BSD),
        )
        for model, (file, short_side, top1) in _TORCHVISION.items()
    ),
]
